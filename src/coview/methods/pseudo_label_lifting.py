"""A lifter taught by what several cameras agreed on: EpipolarPose's idea [Kocabas19] for 2D joints in. ours

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

    # Standard deviation (metres) at which a label counts half; 0: all count the same. Of one coordinate of a
    # joint relative to the root, from `pseudo_covariance`
    half_at: float = 0.0
    # Weight of the distance between what the views of an instant say, in world axes: 0 does without
    consistency: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.half_at < 0 or self.consistency < 0:
            raise InputError(
                f"PseudoLabelLiftingConfig: half_at (metres) and consistency cannot be negative, got {self.half_at} "
                f"and {self.consistency}."
            )

    def build(self, skeleton: Skeleton) -> "PseudoLabelLifting":
        return PseudoLabelLifting(self, skeleton)


class PseudoLabelLifting(LiftingMethod):
    """One view in, one pose out; taught by poses that all views agreed on."""

    supervision = frozenset({"pseudo3d", "pseudo_covariance", "pseudo_cameras"})

    def __init__(self, config: PseudoLabelLiftingConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.config = config

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean distances of root-centred joints in camera axes, in the unit of the labels (metres, nearly)."""
        rotation = batch.pseudo_cameras.rotation
        distance, known = self.distance_to(predicted, batch.pseudo3d, rotation)
        weight = known * self._trust(batch.pseudo_covariance)[..., None, :]
        terms = {"label": (weight * distance).sum() / weight.sum().clamp_min(1e-6)}
        if self.config.consistency:
            terms["consistency"] = self.config.consistency * self._disagreement(predicted, rotation)
        return terms

    def revise(self, batch: MultiView) -> dict[str, Fact]:
        """Labels leave no mirror to decide on."""
        return {}

    def _trust(self, covariance: Float[Tensor, "*batch joints 3 3"]) -> Float[Tensor, "*batch joints"]:
        """1 for labels that are sure, 1/2 at `half_at`; 0 where the spread is not known."""
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
        seen = (lifted.seen.confidence[..., self.root] > 0).to(world)[..., None, None]
        middle = (world * seen).sum(dim=-3, keepdim=True) / seen.sum(dim=-3, keepdim=True).clamp_min(1)
        gap = (world - middle).square().sum(dim=-1).add(1e-12).sqrt() * seen[..., 0]
        return gap.sum() / (seen.sum() * world.shape[-2]).clamp_min(1)
