"""Algebraic triangulation at the paper's size, on rendered people: ResNet-152 and 384 pixels; for a GPU.

coview train ransac_rendered_paper --precision bf16
coview train algebraic_rendered_paper --init runs/ransac_rendered_paper --precision bf16
"""

from dataclasses import replace

from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig
from coview.recipes.rendered.algebraic_rendered import recipe as small
from coview.recipes.rendered.ransac_rendered_paper import data

recipe = replace(small, method=AlgebraicTriangulationConfig(), data=data, steps=20_000, learning_rate=1e-5)
