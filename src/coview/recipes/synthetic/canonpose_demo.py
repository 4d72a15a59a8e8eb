"""CanonPose as the demo trains it: our defaults, a small network, half a minute on two cores."""

from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=CanonPoseConfig(
        width=128,
        rotation="six_d",
        projection="perspective",
        input_size="unit_rms",
        pose_head_init_scale=0.03,
        view_weight=0.25,
        camera_weight=0.25,
    ),
    data=SyntheticConfig(noise=DetectorNoise()),
    steps=2500,
    batch_size=32,
    learning_rate=4e-3,
    weight_decay=0.0,
    schedule="cosine",
    warm_up=100,
    resolve_ambiguity_at=(0.1, 0.3, 0.6, 1.0),
)
