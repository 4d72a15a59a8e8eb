"""The refinement unit of EpipolarPose after a lifter on mocap4, small enough for minutes on a CPU.

coview train refinement_unit --first-from runs/canonpose_mocap4

As published it is taught by 3D labels and is 1024 wide, for 200 passes over the data. Without labels:
`--method.taught-by pseudo --pseudo.cameras people`, poses computed from 2D alone.
"""

from coview.data.mocap.mocap4 import Mocap4Config
from coview.methods.refinement_unit import RefinementUnitConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=RefinementUnitConfig(width=256),
    data=Mocap4Config(),
    steps=4000,
    batch_size=16,  # of four poses each: the paper's 64
    learning_rate=1e-3,
    weight_decay=0.0,
    clip_norm=1.0,
    schedule="constant",
)
