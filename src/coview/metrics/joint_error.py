"""3D joint errors in millimetres (MPJPE and relatives) and the scores built on them (PCK, AUC, CPS).

Poses are in metres, or in any unit where they are scaled to the truth. Joints whose truth is NaN are not counted.
Joints that were not predicted (NaN) are left out of mean errors, count as wrong in every score, and lower `Coverage`:
always read the two together.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.alignment import similarity_alignment
from coview.metrics.mean import Mean

Pose3D = Float[Tensor, "*batch joints 3"]
# millimetres [Mehta17]
_AUC_THRESHOLDS = tuple(range(0, 151, 5))
# millimetres [Wandt21]
_CPS_LIMIT = 300


# --- functions: one number per joint ---------------------------------------------------------------


def joint_error(predicted: Pose3D, truth: Pose3D) -> Float[Tensor, "*batch joints"]:
    """Euclidean distance per joint.

    Args:
        predicted: metres; NaN: not predicted.
        truth: metres; NaN: unknown.

    Returns:
        Millimetres; NaN where either is NaN."""
    return 1000 * (predicted - truth).norm(dim=-1)


def scaled_to(predicted: Pose3D, truth: Pose3D, root: int) -> Pose3D:
    """The root-centred prediction times the least-squares scale to the root-centred truth. [Rhodin18]

    The scale is negative for a pose that is opposite to the truth; taking its absolute value would hide the fault.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: metres; NaN: unknown.
        root: index of the root joint."""
    predicted, truth = _centred(predicted, root), _centred(truth, root)
    scale = scale_to(predicted, truth)
    return predicted * scale[..., None, None]


def scale_to(predicted: Pose3D, truth: Pose3D) -> Float[Tensor, "*batch"]:
    """Least-squares scale s = Σ⟨P, G⟩ / Σ⟨P, P⟩ about the origin, over the joints known in both.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: any unit; NaN: unknown.

    Returns:
        The scale of each pose; NaN where no joint is known in both."""
    valid = _both_valid(predicted, truth)[..., None]
    mine, other = torch.where(valid, predicted, 0.0), torch.where(valid, truth, 0.0)
    return (mine * other).sum(dim=(-2, -1)) / mine.square().sum(dim=(-2, -1))


def n_joint_error(predicted: Pose3D, truth: Pose3D, root: int) -> Float[Tensor, "*batch others"]:
    """Error per joint other than the root after `scaled_to`; its mean is N-MPJPE. [Rhodin18]

    Args:
        predicted: any unit; NaN: not predicted.
        truth: metres; NaN: unknown.
        root: index of the root joint.

    Returns:
        Millimetres."""
    error = joint_error(scaled_to(predicted, truth, root), _centred(truth, root))
    others = [joint for joint in range(error.shape[-1]) if joint != root]
    return error[..., others]


def p_joint_error(predicted: Pose3D, truth: Pose3D) -> Float[Tensor, "*batch joints"]:
    """Error per joint after the best similarity alignment (Procrustes); its mean is P-MPJPE.

    The root counts like any joint. The rotation has determinant +1: a mirrored pose stays wrong.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: metres; NaN: unknown.

    Returns:
        Millimetres; NaN for poses with fewer than three joints known in both."""
    weights = _both_valid(predicted, truth).to(truth)
    return joint_error(similarity_alignment(predicted, truth, weights).apply(predicted), truth)


# --- functions: scores -----------------------------------------------------------------------------


def correct_share(
    error: Float[Tensor, "*batch joints"], truth_valid: Tensor, threshold: float
) -> Float[Tensor, ""]:
    """Percentage of correct keypoints (PCK): joints with known truth whose error is below the threshold.

    Args:
        error: millimetres; NaN counts as wrong.
        truth_valid: whether the truth of each joint is known.
        threshold: millimetres."""
    return 100 * ((error < threshold) & truth_valid).sum() / truth_valid.sum()


def correct_pose_score(error: Float[Tensor, "*batch joints"]) -> Float[Tensor, "*batch"]:
    """Correct Poses Score (CPS) of single poses: the number of thresholds of 1 to 300 mm that hold all joints.
    [Wandt21]

    Args:
        error: millimetres; joints with NaN are skipped.

    Returns:
        0 to 300; 0 where all errors are NaN."""
    worst = torch.where(error.isnan().all(dim=-1), torch.inf, error.nan_to_num(0.0).amax(dim=-1))
    return (_CPS_LIMIT + 1 - worst.clamp(1, _CPS_LIMIT + 1).ceil()).clamp_min(0)


# --- metrics: running means over a data set --------------------------------------------------------


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


class RelativeMPJPE(Mean):
    """Mean per-joint position error after aligning the roots, all joints: millimetres. [Iskakov19]

    The root's own error of zero is counted: with 17 joints, this is 16/17 of the mean of the others.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: metres; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = joint_error(_centred(predicted, self.root), _centred(truth, self.root))
        self.add(error, error.isfinite())


class CentredMPJPE(Mean):
    """Mean per-joint position error after aligning the roots, joints other than the root: millimetres.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: metres; NaN: not predicted.
            truth: metres; NaN: unknown."""
        error = joint_error(_centred(predicted, self.root), _centred(truth, self.root))
        self.add(_without(error, self.root), _without(error.isfinite(), self.root))


class NMPJPE(Mean):
    """N-MPJPE: mean error after aligning roots and scale, joints other than the root: millimetres. [Rhodin18]

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

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


class NAUC(Mean):
    """Area under the N-PCK curve: its mean over thresholds 0, 5, … 150 mm, percent. [Mehta17]

    Args:
        root: index of the root joint."""

    higher_is_better = True

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

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
        valid = _both_valid(truth, truth)
        missed = (valid & ~_both_valid(predicted, predicted)).any(dim=-1)
        score = torch.where(missed, 0.0, correct_pose_score(p_joint_error(predicted, truth)))
        self.add(score, valid.any(dim=-1))


class OppositeShare(Mean):
    """Percentage of poses whose N-MPJPE scale is negative: the prediction is inverted through the root.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: any unit; NaN: not predicted.
            truth: metres; NaN: unknown."""
        scale = scale_to(_centred(predicted, self.root), _centred(truth, self.root))
        self.add(100.0 * (scale < 0), scale.isfinite())


class Coverage(Mean):
    """Percentage of the joints with known truth that were predicted."""

    higher_is_better = True

    def update(self, predicted: Pose3D, truth: Pose3D) -> None:
        """Adds a batch.

        Args:
            predicted: NaN: not predicted.
            truth: NaN: unknown."""
        self.add(100.0 * _both_valid(predicted, predicted), _both_valid(truth, truth))


def _centred(pose: Tensor, root: int) -> Tensor:
    return pose - pose[..., root, None, :]


def _both_valid(predicted: Tensor, truth: Tensor) -> Tensor:
    return torch.isfinite(predicted).all(dim=-1) & torch.isfinite(truth).all(dim=-1)


def _truth_valid(truth: Tensor, root: int) -> Tensor:
    return torch.isfinite(_centred(truth, root)).all(dim=-1)


def _without(valid: Tensor, root: int) -> Tensor:
    return valid[..., [joint for joint in range(valid.shape[-1]) if joint != root]]
