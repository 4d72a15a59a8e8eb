"""Algebraic triangulation with learnt confidences on rendered people, from a network that knows 2D joints.

coview train ransac_rendered
coview train algebraic_rendered --init runs/ransac_rendered
"""

from dataclasses import replace

from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig
from coview.recipes.rendered.ransac_rendered import recipe as heatmaps

recipe = replace(
    heatmaps,
    method=AlgebraicTriangulationConfig(
        depth=18, size=128, trunk=32, deconv=64, confidence_rate=20.0, multiplier=10.0
    ),
    steps=1500,
    learning_rate=5e-5,
    clip_norm=10.0,
)
