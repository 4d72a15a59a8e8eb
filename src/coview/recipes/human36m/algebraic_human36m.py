"""Algebraic triangulation on Human3.6M as the released weights were trained [Iskakov19]; the data is yours to bring.

coview train algebraic_human36m --init released:pose_resnet_4.5_pixels_human36m.pth

Sixty times 15 000 scenes, eight at a time. It begins with a network that finds joints in 2D: from scratch it does
not learn. To train on the released numerics add --method.released-numerics --data.released-numerics.
"""

from coview.data.human36m.dataset import Human36MConfig
from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=AlgebraicTriangulationConfig(),
    data=Human36MConfig(incomplete=True),
    steps=60 * 1875,
    batch_size=8,
    learning_rate=1e-5,
    weight_decay=0.0,
    schedule="constant",
)
