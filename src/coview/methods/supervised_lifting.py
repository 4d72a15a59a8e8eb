"""The fully supervised ceiling: the same network as the self-supervised lifters, taught by 3D labels.

After Martinez et al., ICCV 2017: the mean joint distance to the true pose in the camera's axes. It says
how much of a self-supervised error is due to the lack of labels, and how much to network and 2D input.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from coview.methods.shared.base import Fact
from coview.methods.shared.lifted import LiftedPoses
from coview.methods.shared.lifting import LiftingConfig, LiftingMethod
from coview.sample import MultiView
from coview.skeletons import Skeleton


@dataclass(frozen=True)
class SupervisedLiftingConfig(LiftingConfig):
    """Only the network's settings: the loss has none."""

    def build(self, skeleton: Skeleton) -> "SupervisedLifting":
        return SupervisedLifting(self, skeleton)


class SupervisedLifting(LiftingMethod):
    """Reads the truth in training; at test time one view, like every lifter."""

    supervision = frozenset({"joints3d", "cameras"})

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean distance of joints in camera axes, root-centred, metres; unknown joints and views do not count."""
        distance, known = self.distance_to(predicted, batch.joints3d, batch.cameras.rotation)
        return {"joint": distance.sum() / known.sum().clamp_min(1)}

    def revise(self, batch: MultiView) -> dict[str, Fact]:
        """Labels leave no mirror to decide on."""
        return {}
