"""CanonPose on exact synthetic people, with a small network: a quick look at the method on a laptop."""

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.training.recipe import Recipe

recipe = Recipe(
    method=CanonPoseConfig(width=128, input_size="unit_rms"),
    data=SyntheticConfig(instants=4000, validation_instants=400),
    steps=2000,
    learning_rate=4e-3,
    schedule="cosine",
    warm_up=100,
)
