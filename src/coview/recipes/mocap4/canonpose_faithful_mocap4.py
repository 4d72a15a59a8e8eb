"""CanonPose's losses, projection, rotation form and placing as published, on mocap4; nothing is varied.

It is trained exactly as ours is, not as in the paper, which takes hours: width 256, 3000 steps of 128
instants, Adam at 2e-3 along a cosine; inputs and first weights are scaled as so short a training needs.
The paper's own are the defaults of `CanonPoseConfig` and `Recipe`: width 1024, batches of 32, Adam 1e-4,
and 100 passes. The mirror decision is not the paper's either; without it half of all runs would be worthless.
"""

from dataclasses import replace

from coview.data.augment import Augment
from coview.methods.canonpose import CanonPoseConfig
from coview.recipes.mocap4 import canonpose_mocap4

recipe = replace(
    canonpose_mocap4.recipe,
    method=CanonPoseConfig(width=256, input_size="unit_rms", pose_head_init_scale=0.1),
    augment=Augment(),
)
