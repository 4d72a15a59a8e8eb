"""Heat maps from 2D labels on rendered people: the 2D network that the learnable methods begin with.

At test time the RANSAC baseline. ResNet-18 of half the width and 128 pixels, one room: 40 minutes on two cores.
    coview train ransac_rendered
"""

from coview.data.rendering.dataset import RenderedConfig
from coview.methods.algebraic_triangulation import RansacTriangulationConfig
from coview.training.recipe import Recipe

method = RansacTriangulationConfig(
    depth=18, size=128, trunk=32, deconv=64, loss="cross_entropy", multiplier=10.0
)
recipe = Recipe(
    method=method,
    data=RenderedConfig(scenes=5000, validation_scenes=400, size=128, scenery="studio"),
    steps=4000,
    batch_size=8,
    learning_rate=1e-3,
    weight_decay=0.0,
    schedule="cosine",
    warm_up=100,
)
