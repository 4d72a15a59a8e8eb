"""N- and P-MPJPE as the code of EpipolarPose computes them, to compare with its published numbers alone. [Kocabas19]

Both fit a whole similarity and then move the roots onto each other, which spoils the fit: the P-error comes out
larger than the usual one, and the N-error has the size of a fit that may turn, as no other N-error does. All
joints count, the root with its error of zero. The usual errors are in `joint_error`; their names have no
"reference" in them, and numbers of one kind never compare with those of the other.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.alignment import Similarity, similarity_alignment
from coview.metrics.joint_error import joint_error
from coview.metrics.mean import Mean

Pose3D = Float[Tensor, "*batch joints 3"]


def reference_p_joint_error(predicted: Pose3D, truth: Pose3D, root: int) -> Float[Tensor, "*batch joints"]:
    """Error per joint after the best similarity (det = +1), and then a shift that brings root onto root: millimetres.

    NaN for poses with fewer than three joints known in both, or with an unknown root."""
    aligned = _similarity(predicted, truth).apply(predicted)
    return joint_error(_centred(aligned, root), _centred(truth, root))


def reference_n_joint_error(predicted: Pose3D, truth: Pose3D, root: int) -> Float[Tensor, "*batch joints"]:
    """Error per joint of root-aligned poses, the predicted one in the size of the best similarity: millimetres.

    Not Rhodin's scale, which is the best without turning; this one is never negative. NaN as for the P-error."""
    scale = _similarity(predicted, truth).scale
    return joint_error(_centred(predicted, root) * scale[..., None, None], _centred(truth, root))


class ReferencePMPJPE(Mean):
    """Mean of `reference_p_joint_error`, the root's zero included: millimetres."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        error = reference_p_joint_error(predicted, truth, self.root)
        self.add(error, error.isfinite())


class ReferenceNMPJPE(Mean):
    """Mean of `reference_n_joint_error`, the root's zero included: millimetres."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        error = reference_n_joint_error(predicted, truth, self.root)
        self.add(error, error.isfinite())


def _similarity(predicted: Tensor, truth: Tensor) -> Similarity:
    valid = torch.isfinite(predicted).all(dim=-1) & torch.isfinite(truth).all(dim=-1)
    return similarity_alignment(predicted, truth, valid.to(truth))


def _centred(pose: Tensor, root: int) -> Tensor:
    return pose - pose[..., root, None, :]
