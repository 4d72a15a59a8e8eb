"""CanonPose on your own recording: give the session with --data. No calibration is used, no 3D is needed."""

from dataclasses import replace

from coview.data.session_dataset import RecordedConfig
from coview.recipes.mocap4 import canonpose_mocap4

recipe = replace(
    canonpose_mocap4.recipe,
    method=replace(canonpose_mocap4.method, view_weight=0.25, camera_weight=0.25),
    data=RecordedConfig(),
    steps=4000,
    batch_size=64,
)
