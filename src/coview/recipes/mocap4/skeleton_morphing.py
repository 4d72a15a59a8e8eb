"""CanonPose's skeleton morphing on the motion of mocap4, small enough for a minute on a CPU.

The paper trains 100 epochs of one labelled subject at width 1024. The detector of mocap4 uses the true
skeleton already, so all that can be learned there is what noise leaves behind; give your own labelled
data for a detector that differs.
"""

from coview.data.mocap.mocap4 import Mocap4Config
from coview.methods.skeleton_morphing import SkeletonMorphingConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=SkeletonMorphingConfig(width=256),
    data=Mocap4Config(),
    steps=2000,
    batch_size=32,
    learning_rate=1e-4,
    weight_decay=1e-5,
    schedule="drops",
)
