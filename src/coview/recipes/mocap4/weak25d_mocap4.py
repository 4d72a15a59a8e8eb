"""Weakly supervised 2.5D lifting on mocap4: given intrinsics and mean limb lengths, no 3D pose; minutes on one core.

The limbs are means over the training clips, whose joints are not those of Human3.6M: the one thing that 3D
measurements give, as in the paper. Settings were chosen on training clips held out (subjects 08, 49 and 55).
"""

from coview.body.limb_lengths import LimbLengths
from coview.data.mocap.mocap4 import Mocap4Config
from coview.methods.weak_25d_lifting import Weak25DLiftingConfig
from coview.training.recipe import Recipe

limbs = LimbLengths(
    hip=0.086,
    thigh=0.420,
    shank=0.418,
    torso=0.443,
    neck=0.186,
    head=0.096,
    shoulder=0.199,
    upper_arm=0.292,
    forearm=0.191,
)
recipe = Recipe(
    method=Weak25DLiftingConfig(limbs=limbs),
    data=Mocap4Config(),
    steps=3000,
    batch_size=128,
    learning_rate=2e-3,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="cosine",
    warm_up=100,
    resolve_ambiguity_at=(0.1, 0.3, 0.6, 1.0),
)
