"""CanonPose on your own recording: give the session with --data. No calibration is used, no 3D is needed."""

from coview.data.recorded import RecordedConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=CanonPoseConfig(
        width=256,
        rotation="six_d",
        projection="perspective",
        input_size="unit_rms",
        pose_start=0.03,
        view_weight=0.25,
        camera_weight=0.25,
    ),
    data=RecordedConfig(),
    steps=4000,
    batch_size=64,
    learning_rate=2e-3,
    weight_decay=0.0,
    schedule="cosine",
    warm_up=100,
    revise_at=(0.1, 0.3, 0.6, 1.0),
)
