"""N- and P-MPJPE as computed by the code of EpipolarPose, for comparison with its published numbers only. [Kocabas19]

Both fit a similarity and then align the roots, which is not optimal any more: the P-error is larger than the usual
one, and the N-error uses the scale of a fit with rotation, as no other N-error does. All joints count, the root with
its error of zero. The usual errors are in `joint_error`; the two kinds do not compare.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.alignment import Similarity, similarity_alignment
from coview.metrics.joint_error import joint_error
from coview.metrics.mean import RootedMean

Pose3D = Float[Tensor, "*batch joints 3"]


def reference_p_joint_error(predicted: Pose3D, truth: Pose3D, root: int) -> Float[Tensor, "*batch joints"]:
    """Error per joint after the best similarity alignment (det = +1) followed by an alignment of the roots.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: metres; NaN: unknown.
        root: index of the root joint.

    Returns:
        Millimetres; NaN for poses with fewer than three joints known in both, or with an unknown root."""
    aligned = _similarity(predicted, truth).apply(predicted)
    return joint_error(_centred(aligned, root), _centred(truth, root))


def reference_n_joint_error(predicted: Pose3D, truth: Pose3D, root: int) -> Float[Tensor, "*batch joints"]:
    """Error per joint of root-aligned poses, the predicted one scaled by the best similarity's scale.

    This scale, unlike that of [Rhodin18], is fitted together with a rotation and is never negative.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: metres; NaN: unknown.
        root: index of the root joint.

    Returns:
        Millimetres; NaN as for `reference_p_joint_error`."""
    scale = _similarity(predicted, truth).scale
    return joint_error(_centred(predicted, root) * scale[..., None, None], _centred(truth, root))


class ReferencePMPJPE(RootedMean):
    """Mean of `reference_p_joint_error`, the root's zero included: millimetres.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = reference_p_joint_error(predicted, truth, self.root)
        self.add(error, error.isfinite())


class ReferenceNMPJPE(RootedMean):
    """Mean of `reference_n_joint_error`, the root's zero included: millimetres.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = reference_n_joint_error(predicted, truth, self.root)
        self.add(error, error.isfinite())


def _similarity(predicted: Tensor, truth: Tensor) -> Similarity:
    valid = torch.isfinite(predicted).all(dim=-1) & torch.isfinite(truth).all(dim=-1)
    return similarity_alignment(predicted, truth, valid.to(truth))


def _centred(pose: Tensor, root: int) -> Tensor:
    return pose - pose[..., root, None, :]
