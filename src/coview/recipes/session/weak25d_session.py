"""Weakly supervised 2.5D lifting on your own recording: give the session with --data. Its intrinsics must be known.

`coview calibrate people SESSION` finds them, or a calibration file that the session came with; where the cameras
stand is not read. Limbs are taken to be as long as those of the people of Human3.6M; --method.limbs.thigh 0.45 and the
like say better, in metres.
"""

from dataclasses import replace

from coview.data.session_dataset import RecordedConfig
from coview.methods.weak_25d_lifting import Weak25DLiftingConfig
from coview.recipes.mocap4 import weak25d_mocap4

recipe = replace(
    weak25d_mocap4.recipe, method=Weak25DLiftingConfig(), data=RecordedConfig(), steps=2500, batch_size=64
)
