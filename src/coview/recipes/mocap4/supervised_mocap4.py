"""The fully supervised ceiling on mocap4: network, inputs and training of `canonpose_mocap4`, but 3D labels."""

from dataclasses import replace

from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.recipes.mocap4 import canonpose_mocap4

recipe = replace(
    canonpose_mocap4.recipe,
    method=SupervisedLiftingConfig(
        width=256,
        rotation="six_d",
        projection="perspective",
        input_size="unit_rms",
        centring="weighted",
        flip_test=True,
    ),
)
