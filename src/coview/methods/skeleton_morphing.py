"""Skeleton morphing: a detector's 2D joints moved to where another skeleton has them. [Wandt21]

Detectors differ in where they put a neck, a hip or a root. A small network learns the difference from
one labelled subject; frozen, it stands before a lifter (`LiftingConfig.morphing`). Not needed where the
detector already uses the lifter's skeleton.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.methods.shared.base import ImagePoses, Method, MethodConfig
from coview.networks.morpher import Morpher
from coview.representations.morphed import morphed
from coview.representations.normalised import present, root_centred, root_mean_square
from coview.sample import MultiView
from coview.skeletons import Skeleton


@dataclass(frozen=True)
class SkeletonMorphingConfig(MethodConfig):
    """The width is that of the authors' code [Wandt21]."""

    # of the network
    width: int = 1024

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"SkeletonMorphingConfig: width must be at least 1, got {self.width}.")

    def build(self, skeleton: Skeleton) -> "SkeletonMorphing":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return SkeletonMorphing(self, skeleton)


class SkeletonMorphing(Method[ImagePoses]):
    """Taught by labels: the true 3D joints of some instants, seen through their known cameras.

    The people it learns from should not be those a lifter is then trained on: a lifter that trains on
    poses fitted to their labels is no longer self-supervised."""

    inputs = frozenset({"joints2d", "confidence"})
    supervision = frozenset({"joints3d", "cameras"})

    def __init__(self, config: SkeletonMorphingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.root = skeleton.root_index
        self.morpher = Morpher(len(skeleton), config.width)

    def forward(self, batch: MultiView) -> ImagePoses:
        """Pixels; a joint that was not detected stays unknown."""
        return ImagePoses(joints2d=morphed(batch.joints2d, batch.confidence, self.root, self.morpher))

    def losses(self, predicted: ImagePoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean squared difference to the true image positions, in units of the detected pose's norm.

        Measured about the detected root, not about each pose's own as in the authors' code: so the
        network also learns where the root itself belongs (ours). No unit; unknown joints do not count."""
        truth = batch.cameras.project(batch.joints3d[..., None, :, :])
        pixels, weights = present(batch.joints2d, batch.confidence, self.root)
        norm = root_mean_square(root_centred(pixels, self.root), weights > 0) * (2 * pixels.shape[-2]) ** 0.5
        known = (weights > 0) & truth.isfinite().all(dim=-1)
        # what is unknown is exchanged before it is subtracted: a NaN behind `where` has a NaN gradient
        target = torch.where(known[..., None], truth, 0.0)
        moved = torch.where(known[..., None], predicted.joints2d, 0.0)
        square = ((moved - target) / norm[..., None, None]).square().mean(dim=-1)
        return {"morph": square.sum() / known.sum().clamp_min(1)}
