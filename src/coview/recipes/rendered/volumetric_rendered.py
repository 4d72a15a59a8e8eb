"""Volumetric triangulation on rendered people: ResNet-18 of half the width, 128 pixels, 32 cells along a side.

coview train volumetric_rendered --init runs/ransac_rendered --base-from runs/algebraic_rendered
"""

from dataclasses import replace

from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.recipes.rendered.ransac_rendered import recipe as heatmaps

recipe = replace(
    heatmaps,
    method=VolumetricTriangulationConfig(
        depth=18, size=128, trunk=32, deconv=64, cells=32, width=16, front_kernel=3
    ),
    steps=1500,
    batch_size=5,
    learning_rate=1e-3,
)
