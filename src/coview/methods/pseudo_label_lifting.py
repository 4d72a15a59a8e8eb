"""A lifter trained by triangulated pseudo-labels: EpipolarPose's idea [Kocabas19] with 2D joints as input. ours

The labels are `pseudo3d`, triangulated from 2D joints by cameras that were found from the same joints: no 3D label
and no given camera is read. The loss is that of supervised lifting, so the two differ by the labels alone.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.methods.shared.base import Fact
from coview.methods.shared.lifted import LiftedPoses
from coview.methods.shared.lifting import LiftingConfig, LiftingMethod
from coview.sample import MultiView
from coview.skeletons import Skeleton


@dataclass(frozen=True)
class PseudoLabelLiftingConfig(LiftingConfig):
    """Both settings are ours; without them it is plain regression of the labels."""

    # Standard deviation (metres) at which a label has half the weight; 0: all have the same. Of one coordinate
    # of a joint relative to the root, from `pseudo_covariance`
    half_at: float = 0.0
    # Weight of the distance between the poses that the views of an instant give, in world axes; 0: no such term
    consistency: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.half_at < 0 or self.consistency < 0:
            raise InputError(
                f"PseudoLabelLiftingConfig: half_at (metres) and consistency cannot be negative, got {self.half_at} "
                f"and {self.consistency}."
            )

    def build(self, skeleton: Skeleton) -> "PseudoLabelLifting":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return PseudoLabelLifting(self, skeleton)


class PseudoLabelLifting(LiftingMethod):
    """One view in, one pose out; trained by poses that were triangulated from all views."""

    supervision = frozenset({"pseudo3d", "pseudo_covariance", "pseudo_cameras"})
    config: PseudoLabelLiftingConfig

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Weighted mean distance of root-centred joints in camera axes from the pseudo-labels.

        Args:
            predicted: Poses of all views.
            batch: `pseudo3d`, `pseudo_covariance` and `pseudo_cameras`.

        Returns:
            `label` and, unless its weight is 0, `consistency`, in the unit of the labels: metres as far as their
            scale is known.
        """
        rotation = batch.pseudo_cameras.rotation
        distance, valid = self.distance_to(predicted, batch.pseudo3d, rotation)
        weight = valid * self._weights(batch.pseudo_covariance)[..., None, :]
        terms = {"label": (weight * distance).sum() / weight.sum().clamp_min(1e-6)}
        if self.config.consistency:
            terms["consistency"] = self.config.consistency * self._disagreement(predicted, rotation)
        return terms

    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Nothing to decide: labels leave no ambiguity.

        Args:
            batch: Not read.
        """
        return {}

    def _weights(self, covariance: Float[Tensor, "*batch joints 3 3"]) -> Float[Tensor, "*batch joints"]:
        """1 for a label of variance 0, 1/2 at the standard deviation `half_at`; 0 where the variance is NaN."""
        variance = covariance.diagonal(dim1=-2, dim2=-1).mean(dim=-1)
        if not self.config.half_at:
            return torch.ones_like(variance)
        own = variance + variance[..., self.root, None]
        return torch.nan_to_num(1 / (1 + own / self.config.half_at**2))

    def _disagreement(
        self, lifted: LiftedPoses, rotation: Float[Tensor, "*batch views 3 3"]
    ) -> Float[Tensor, ""]:
        """Mean distance of joints from the mean over the views of their instant, in world axes."""
        world = self.in_camera(lifted) @ rotation
        valid = (lifted.observed.confidence[..., self.root] > 0).to(world)[..., None, None]
        mean = (world * valid).sum(dim=-3, keepdim=True) / valid.sum(dim=-3, keepdim=True).clamp_min(1)
        gap = (world - mean).square().sum(dim=-1).add(1e-12).sqrt() * valid[..., 0]
        return gap.sum() / (valid.sum() * world.shape[-2]).clamp_min(1)
