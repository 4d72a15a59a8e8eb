"""The fully supervised ceiling: the same network as the self-supervised lifters, taught by 3D labels.

After Martinez et al., ICCV 2017: the mean joint distance to the true pose in the camera's axes. It says
how much of a self-supervised error is due to the lack of labels, and how much to network and 2D input.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.methods.base import Fact
from coview.methods.lifted import LiftedPoses
from coview.methods.lifting import LiftingConfig, LiftingMethod
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
        truth = batch.joints3d - batch.joints3d[..., self.root, None, :]
        truth = truth[..., None, :, :] @ batch.cameras.rotation.mT
        known = truth.isfinite().all(dim=-1) & predicted.joints3d.isfinite().all(dim=-1)
        # the input of the root is exchanged, not the result: a NaN behind `where` still has a NaN gradient
        pose = predicted.canonical @ predicted.ray_from_canonical.mT @ predicted.seen.ray_from_camera
        gap = torch.where(known[..., None], pose - truth, 1.0)
        distance = torch.where(known, gap.norm(dim=-1), 0.0)
        return {"joint": distance.sum() / known.sum().clamp_min(1)}

    def revise(self, batch: MultiView) -> dict[str, Fact]:
        """Labels leave no mirror to decide on."""
        return {}
