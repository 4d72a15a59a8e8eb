"""CanonPose as published, on mocap4: axis-angle, orthographic, root-centred, nothing varied.

Width and optimiser are those of our recipe, so that it too is done in three minutes on one CPU core, and
the inputs and first weights are scaled as that short training needs. The paper's own are the defaults of
`CanonPoseConfig` and `Recipe`: width 1024, batches of 32, Adam 1e-4, 100 epochs. The mirror decision is
not the paper's either; without it half of all runs would be worthless.
"""

from dataclasses import replace

from coview.data.augment import Augment
from coview.methods.canonpose import CanonPoseConfig
from coview.recipes import canonpose_mocap4

recipe = replace(
    canonpose_mocap4.recipe,
    method=CanonPoseConfig(width=256, input_size="unit_rms", pose_start=0.1),
    augment=Augment(),
)
