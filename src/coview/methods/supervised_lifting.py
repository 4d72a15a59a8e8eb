"""The fully supervised reference: the same network as the self-supervised lifters, trained by 3D labels.

After Martinez et al., ICCV 2017: the mean joint distance to the true pose in the camera's axes. It shows
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
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return SupervisedLifting(self, skeleton)


class SupervisedLifting(LiftingMethod):
    """One view in, one pose out; trained by true 3D joints and cameras."""

    supervision = frozenset({"joints3d", "cameras"})

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean distance of root-centred joints in camera axes from the truth.

        Args:
            predicted: Poses of all views.
            batch: `joints3d` and `cameras`.

        Returns:
            `joint`, metres; joints and views that are not known do not count.
        """
        distance, valid = self.distance_to(predicted, batch.joints3d, batch.cameras.rotation)
        return {"joint": distance.sum() / valid.sum().clamp_min(1)}

    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Nothing to decide: labels leave no ambiguity.

        Args:
            batch: Not read.
        """
        return {}
