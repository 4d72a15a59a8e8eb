"""CanonPose with our defaults on mocap4: about three minutes on one CPU core.

What differs from the paper, field by field, and what each difference bought: docs/methods/canonpose.md. Every
value was chosen on training clips held out for that purpose (subjects 08, 49 and 55), none on the test clips.
"""

from coview.data.augment import Augment
from coview.data.mocap.mocap4 import Mocap4Config
from coview.methods.canonpose import CanonPoseConfig
from coview.training.recipe import Recipe

method = CanonPoseConfig(
    width=256,
    rotation="six_d",
    projection="perspective",
    input_size="unit_rms",
    centring="weighted",
    learn_focal=True,
    pose_head_init_scale=0.03,
    flip_test=True,
)
recipe = Recipe(
    method=method,
    data=Mocap4Config(),
    steps=3000,
    batch_size=128,
    augment=Augment(mirror=0.5),
    learning_rate=2e-3,
    weight_decay=0.0,
    schedule="cosine",
    warm_up=100,
    resolve_ambiguity_at=(0.1, 0.3, 0.6, 1.0),
)
