"""Metrics that run over a data set: means of joint errors in millimetres, and of the scores built on them.

Poses are in metres, or in any unit where they are scaled to the truth. Joints whose truth is NaN are not counted.
Joints that were not predicted (NaN) are left out of mean errors, count as wrong in every score, and lower `Coverage`:
always read the two together.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.metrics.joint_error import (
    Pose3D,
    correct_pose_score,
    joint_error,
    known_in_both,
    n_joint_error,
    p_joint_error,
    scale_to,
)
from coview.metrics.mean import Mean, RootedMean
from coview.metrics.structure_score import PoseCentres, same_centre
from coview.representations.normalised import root_centred

# millimetres [Mehta17]
_AUC_THRESHOLDS = tuple(range(0, 151, 5))


class MPJPE(Mean):
    """Mean per-joint position error without alignment, all joints: millimetres. For predictions in metres only."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: metres; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = joint_error(predicted, truth)
        self.add(error, error.isfinite())


class RelativeMPJPE(RootedMean):
    """Mean per-joint position error after aligning the roots, all joints: millimetres. [Iskakov19]

    The root's own error of zero is counted: with 17 joints, this is 16/17 of the mean of the others.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: metres; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = joint_error(root_centred(predicted, self.root), root_centred(truth, self.root))
        self.add(error, error.isfinite())


class CentredMPJPE(RootedMean):
    """Mean per-joint position error after aligning the roots, joints other than the root: millimetres.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: metres; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = joint_error(root_centred(predicted, self.root), root_centred(truth, self.root))
        self.add(_without(error, self.root), _without(error.isfinite(), self.root))


class NMPJPE(RootedMean):
    """N-MPJPE: mean error after aligning roots and scale, joints other than the root: millimetres. [Rhodin18]

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = n_joint_error(predicted, truth, self.root)
        self.add(error, error.isfinite())


class PMPJPE(Mean):
    """P-MPJPE: mean error after a similarity alignment without reflection, all joints: millimetres."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = p_joint_error(predicted, truth)
        self.add(error, error.isfinite())


class NPCK(Mean):
    """N-PCK: percentage of joints (without the root) within a threshold after aligning roots and scale.

    Args:
        root: index of the root joint.
        threshold: millimetres."""

    higher_is_better = True

    def __init__(self, root: int, threshold: float = 150.0) -> None:
        super().__init__()
        self.root, self.threshold = root, threshold

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted, counts as wrong.
            truth: metres; NaN: unknown."""
        error = n_joint_error(predicted, truth, self.root)
        self.add(100.0 * (error < self.threshold), _without(_truth_valid(truth, self.root), self.root))


class NAUC(RootedMean):
    """Area under the N-PCK curve: its mean over thresholds 0, 5, … 150 mm, percent. [Mehta17]

    Args:
        root: index of the root joint."""

    higher_is_better = True

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted, counts as wrong.
            truth: metres; NaN: unknown."""
        error = n_joint_error(predicted, truth, self.root)
        below = error[..., None] < error.new_tensor(_AUC_THRESHOLDS)
        share = 100.0 * below.double().mean(dim=-1)
        self.add(share, _without(_truth_valid(truth, self.root), self.root))


class CPS(Mean):
    """Correct Poses Score after the alignment of P-MPJPE: 0 to 300 mm, higher is better. [Wandt21]"""

    higher_is_better = True

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; a pose with a missing joint (NaN) scores 0.
            truth: metres; NaN: unknown."""
        valid = known_in_both(truth, truth)
        missed = (valid & ~known_in_both(predicted, predicted)).any(dim=-1)
        score = torch.where(missed, 0.0, correct_pose_score(p_joint_error(predicted, truth)))
        self.add(score, valid.any(dim=-1))


class OppositeShare(RootedMean):
    """Percentage of poses whose N-MPJPE scale is negative: the prediction is inverted through the root.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: metres; NaN: unknown."""
        scale = scale_to(root_centred(predicted, self.root), root_centred(truth, self.root))
        self.add(100.0 * (scale < 0), scale.isfinite())


class Coverage(Mean):
    """Percentage of the joints with known truth that were predicted."""

    higher_is_better = True

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: NaN: not predicted.
            truth: NaN: unknown."""
        self.add(100.0 * known_in_both(predicted, predicted), known_in_both(truth, truth))


class PSS(Mean):
    """Percentage of poses whose nearest centre is that of their truth. [Kocabas19]

    A pose with a joint that was not predicted is wrong; one with an unknown joint of the truth is not counted.

    Args:
        centres: typical poses; predictions and truth are in their frame."""

    higher_is_better = True

    def __init__(self, centres: PoseCentres) -> None:
        super().__init__()
        self.centres = centres

    def update(
        self, predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
    ) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: any unit; NaN: unknown."""
        right, counted = same_centre(predicted, truth, self.centres)
        self.add(100.0 * right, counted)


# --- inside --------------------------------------------------------------------------------------


def _truth_valid(truth: Tensor, root: int) -> Tensor:
    return torch.isfinite(root_centred(truth, root)).all(dim=-1)


def _without(valid: Tensor, root: int) -> Tensor:
    return valid[..., [joint for joint in range(valid.shape[-1]) if joint != root]]
