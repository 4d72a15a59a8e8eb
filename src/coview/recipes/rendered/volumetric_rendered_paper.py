"""Volumetric triangulation at the paper's size, on rendered people: ResNet-152, 384 pixels, 64 cells; for a GPU.

    coview train volumetric_rendered_paper --init runs/ransac_rendered_paper \\
        --base-from runs/algebraic_rendered_paper --precision bf16
"""

from dataclasses import replace

from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.recipes.rendered.ransac_rendered_paper import data
from coview.recipes.rendered.volumetric_rendered import recipe as small

recipe = replace(small, method=VolumetricTriangulationConfig(), data=data, steps=20_000)
