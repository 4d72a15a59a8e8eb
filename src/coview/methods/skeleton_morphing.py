"""Skeleton morphing: a detector's 2D joints mapped to the joint positions of another skeleton. [Wandt21]

Detectors differ in where they place a neck, a hip or a root. A small network learns the difference from
one labelled subject; frozen, it is applied before a lifter (`LiftingConfig.morphing`). Not needed where the
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

    # features of the network's layers
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
    """Trained by labels: the true 3D joints of some instants, projected by their calibrated cameras.

    The people it learns from should not be those a lifter is then trained on: a lifter that trains on
    poses fitted to their labels is no longer self-supervised."""

    inputs = frozenset({"joints2d", "confidence"})
    supervision = frozenset({"joints3d", "cameras"})

    def __init__(self, config: SkeletonMorphingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.root = skeleton.root_index
        self.morpher = Morpher(len(skeleton), config.width)

    def forward(self, batch: MultiView) -> ImagePoses:
        """2D joints of the other skeleton's positions.

        Args:
            batch: `joints2d` (pixels) and `confidence`.

        Returns:
            Pixels; NaN for joints that were not detected.
        """
        return ImagePoses(joints2d=morphed(batch.joints2d, batch.confidence, self.root, self.morpher))

    def losses(self, predicted: ImagePoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean squared difference to the true image positions, in units of the detected pose's norm.

        Measured about the detected root, not about each pose's own as in the authors' code, so that the network
        also learns the position of the root itself (ours).

        Args:
            predicted: The moved 2D joints.
            batch: `joints2d`, `confidence`, `joints3d` and `cameras`.

        Returns:
            `morph`, no unit; joints that are not known do not count.
        """
        truth = batch.cameras.project(batch.joints3d[..., None, :, :])
        pixels, weights = present(batch.joints2d, batch.confidence, self.root)
        norm = root_mean_square(root_centred(pixels, self.root), weights > 0) * (2 * pixels.shape[-2]) ** 0.5
        valid = (weights > 0) & truth.isfinite().all(dim=-1)
        # unknown values are replaced before the subtraction: a NaN behind `where` still has a NaN gradient
        target = torch.where(valid[..., None], truth, 0.0)
        moved = torch.where(valid[..., None], predicted.joints2d, 0.0)
        square = ((moved - target) / norm[..., None, None]).square().mean(dim=-1)
        return {"morph": square.sum() / valid.sum().clamp_min(1)}
