"""3D joint errors in millimetres (MPJPE and relatives) and the scores built on them (PCK, CPS), for single poses.

Their means over a data set are in `coview.metrics.running`.

Poses are in metres, or in any unit where they are scaled to the truth. Joints whose truth is NaN are not counted.
Joints that were not predicted (NaN) are left out of mean errors, count as wrong in every score, and lower `Coverage`:
always read the two together.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.geometry.alignment import similarity_alignment
from coview.representations.normalised import root_centred

Pose3D = Float[Tensor, "*batch joints 3"]
# millimetres [Wandt21]
_CPS_LIMIT = 300


# --- one number per joint --------------------------------------------------------------------------


def known_in_both(predicted: Pose3D, truth: Pose3D) -> Bool[Tensor, "*batch joints"]:
    """Which joints are finite in both poses.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: any unit; NaN: unknown."""
    return torch.isfinite(predicted).all(dim=-1) & torch.isfinite(truth).all(dim=-1)


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
    predicted, truth = root_centred(predicted, root), root_centred(truth, root)
    scale = scale_to(predicted, truth)
    return predicted * scale[..., None, None]


def scale_to(predicted: Pose3D, truth: Pose3D) -> Float[Tensor, "*batch"]:
    """Least-squares scale s = Σ⟨P, G⟩ / Σ⟨P, P⟩ about the origin, over the joints known in both.

    Args:
        predicted: any unit; NaN: not predicted.
        truth: any unit; NaN: unknown.

    Returns:
        The scale of each pose; NaN where no joint is known in both."""
    valid = known_in_both(predicted, truth)[..., None]
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
    error = joint_error(scaled_to(predicted, truth, root), root_centred(truth, root))
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
    weights = known_in_both(predicted, truth).to(truth)
    return joint_error(similarity_alignment(predicted, truth, weights).apply(predicted), truth)


# --- scores ----------------------------------------------------------------------------------------


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
