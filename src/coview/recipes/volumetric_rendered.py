"""Volumetric triangulation on rendered people: ResNet-18, 128 pixels, 32 cells along a side.

coview train volumetric_rendered --init runs/ransac_rendered --base-from runs/algebraic_rendered
"""

from dataclasses import replace

from coview.methods.volumetric_triangulation import VolumetricTriangulationConfig
from coview.recipes.ransac_rendered import recipe as heatmaps

recipe = replace(
    heatmaps,
    method=VolumetricTriangulationConfig(depth=18, size=128, cells=32),
    steps=3000,
    batch_size=5,
    learning_rate=1e-3,
)
