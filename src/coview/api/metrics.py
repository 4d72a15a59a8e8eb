"""Errors and scores of 3D poses as one number: `mpjpe`, `n_mpjpe`, `p_mpjpe`, `pck`, `pss`.

Joints whose truth is NaN are not counted. Joints that were not predicted (NaN) are left out of the mean errors and
count as wrong in the scores, so compare errors only of methods that predict the same joints.
"""

from typing import Any, Literal

import torch
from torch import Tensor

from coview.api.arrays import ArrayLike, Kind, Number, read
from coview.api.axes import Axis, expect, expect_equal
from coview.errors import InputError
from coview.metrics.joint_error import joint_error, n_joint_error, p_joint_error
from coview.metrics.structure_score import PoseCentres, same_centre, shipped_centres
from coview.skeletons import Skeleton

Alignment = Literal["none", "root", "scale", "similarity"]


def mpjpe(predicted: ArrayLike, truth: ArrayLike, root: int | Skeleton | None = None) -> Any:
    """Mean per-joint position error (MPJPE) in millimetres, without alignment or with the root joints laid together.

    The mean Euclidean distance over all joints of all poses. With `root` both poses are moved until that joint is at
    the origin, "protocol 1" of Human3.6M; the root's own error, 0, counts among the others [Iskakov19].

    Args:
        predicted: (*batch, joints, 3), metres. NumPy array, tensor or nested lists.
        truth: The same shape, metres.
        root: Index of the root joint, or the skeleton; None: compare positions as they are.

    Returns:
        Millimetres, in the kind that `predicted` came in; NaN where no joint is known in both.

    Raises:
        CoviewError: Shapes that differ, no last axis of x, y, z, or a root that is no joint.

    Example:
        >>> import coview, numpy as np
        >>> truth = np.zeros((10, 17, 3))
        >>> float(coview.mpjpe(truth + [0.03, 0.04, 0.0], truth))
        50.0
        >>> float(coview.mpjpe(truth + [0.03, 0.04, 0.0], truth, root=0))
        0.0
    """
    first, second, kind = _poses(predicted, truth)
    if root is not None:
        place = _root(root, first.shape[-2])
        first, second = (pose - pose[..., place, None, :] for pose in (first, second))
    return _mean(joint_error(first, second), kind)


def n_mpjpe(predicted: ArrayLike, truth: ArrayLike, root: int | Skeleton) -> Any:
    """Scale-normalised mean per-joint position error (N-MPJPE) in millimetres: after root alignment and scaling.

    With the roots at the origin, the prediction is multiplied by the factor of least squares s = Σ⟨P, G⟩ / Σ⟨P, P⟩
    [Rhodin18]; the mean is over the joints other than the root. A negative factor (a pose inside out) stays negative.

    Args:
        predicted: (*batch, joints, 3), any unit. NumPy array, tensor or nested lists.
        truth: The same shape, metres.
        root: Index of the root joint, or the skeleton.

    Returns:
        Millimetres, in the kind that `predicted` came in; NaN where nothing is known in both.

    Raises:
        CoviewError: Shapes that differ, no last axis of x, y, z, or a root that is no joint.

    Example:
        >>> import coview, numpy as np
        >>> truth = np.random.default_rng(0).normal(size=(10, 17, 3))
        >>> round(float(coview.n_mpjpe(2 * truth + 1, truth, root=0)), 6)
        0.0
    """
    first, second, kind = _poses(predicted, truth)
    return _mean(n_joint_error(first, second, _root(root, first.shape[-2])), kind)


def p_mpjpe(predicted: ArrayLike, truth: ArrayLike) -> Any:
    """Procrustes-aligned mean per-joint position error (P-MPJPE, PA-MPJPE) in millimetres.

    Each pose is first laid onto its truth by rotation, translation and scale, never by a reflection ("protocol 2" of
    Human3.6M); the mean is over all joints.

    Args:
        predicted: (*batch, joints, 3), any unit and frame. NumPy array, tensor or nested lists.
        truth: The same shape, metres.

    Returns:
        Millimetres, in the kind that `predicted` came in; poses with fewer than three known joints are not counted.

    Raises:
        CoviewError: Shapes that differ, or no last axis of x, y, z.

    Example:
        >>> import coview, numpy as np
        >>> truth = np.random.default_rng(0).normal(size=(10, 17, 3))
        >>> turned = 3 * truth[..., [1, 0, 2]] * [1, -1, 1]
        >>> round(float(coview.p_mpjpe(turned, truth)), 6)
        0.0
    """
    first, second, kind = _poses(predicted, truth)
    return _mean(p_joint_error(first, second), kind)


def pck(
    predicted: ArrayLike,
    truth: ArrayLike,
    threshold: Number = 150.0,
    *,
    alignment: Alignment = "root",
    root: int | Skeleton | None = None,
) -> Any:
    """Percentage of correct keypoints (PCK): joints nearer to the truth than a threshold.

    Args:
        predicted: (*batch, joints, 3), metres (any unit with "scale" and "similarity"). NumPy array, tensor or lists.
        truth: The same shape, metres.
        threshold: Millimetres; 150 is usual [Mehta17].
        alignment: "none"; "root": root joints laid together; "scale": and scaled, as for `n_mpjpe` (N-PCK, joints
            other than the root); "similarity": as for `p_mpjpe`.
        root: Index of the root joint, or the skeleton; needed by "root" and "scale".

    Returns:
        Per cent of the joints whose truth is known, in the kind that `predicted` came in; a joint that was not
        predicted is wrong. NaN where no truth is known.

    Raises:
        CoviewError: Shapes that differ, no last axis of x, y, z, no root where one is needed.

    Example:
        >>> import coview, numpy as np
        >>> truth = np.zeros((10, 4, 3))
        >>> predicted = truth.copy()
        >>> predicted[:, 3] = 0.2  # 346 mm off
        >>> float(coview.pck(predicted, truth, root=0))
        75.0
    """
    first, second, kind = _poses(predicted, truth)
    if not threshold > 0:
        raise InputError(f"threshold: it is in millimetres and must be above 0, got {threshold}.")
    errors, valid = _aligned_errors(first, second, alignment, root)
    right = ((errors < threshold) & valid).sum(dtype=torch.float64)
    return kind.give(100.0 * right / valid.sum())


def pss(predicted: ArrayLike, truth: ArrayLike, centres: int | PoseCentres = 50) -> Any:
    """Pose Structure Score (PSS): how often a pose comes nearest to the typical pose that its truth comes nearest to.

    Poses are root-centred and of unit norm, so the score does not know sizes, but does know orientations [Kocabas19].
    Scores compare only where the typical poses are the same.

    Args:
        predicted: (*batch, joints, 3), camera axes, any unit. NumPy array, tensor or nested lists.
        truth: The same shape.
        centres: 50 or 100: those that come with coview, of the joints of h36m_17 and the training poses of mocap4; or
            your own, of `coview.metrics.structure_score.fit_centres`.

    Returns:
        Per cent of the poses whose truth is wholly known, in the kind that `predicted` came in.

    Raises:
        CoviewError: Shapes that differ, joints that are not those of the centres, or an unknown number of centres.

    Example:
        >>> import coview, numpy as np
        >>> truth = np.random.default_rng(0).normal(size=(10, 17, 3))
        >>> float(coview.pss(2 * truth, truth))
        100.0
    """
    first, second, kind = _poses(predicted, truth)
    typical = centres if isinstance(centres, PoseCentres) else shipped_centres(centres)
    if first.shape[-2] != len(typical.joints):
        raise InputError(
            f"predicted: expected (*batch, joints={len(typical.joints)}, 3), got {tuple(first.shape)}: the centres "
            f"are of the joints {', '.join(typical.joints)}. Bring the poses to them with coview.convert_joints."
        )
    right, counted = same_centre(first, second, typical)
    return kind.give(100 * (right & counted).sum(dtype=torch.float64) / counted.sum())


# --- inside --------------------------------------------------------------------------------------


def _poses(predicted: ArrayLike, truth: ArrayLike) -> tuple[Tensor, Tensor, Kind]:
    """Both as tensors of one type and device, checked to be alike, and the kind of the answer."""
    first, kind = read("predicted", predicted)
    second, other_kind = read("truth", truth)
    expect("predicted", first, Axis("joints"), Axis("", 3))
    expect_equal("truth", second, "predicted", tuple(first.shape), ("joints", ""))
    kind = kind.joined(other_kind)
    return first.to(kind.device, kind.dtype), second.to(kind.device, kind.dtype), kind


def _root(root: int | Skeleton, joints: int) -> int:
    """The root's index. InputError where it is no joint, or of another skeleton."""
    if isinstance(root, Skeleton):
        if len(root) != joints:
            raise InputError(
                f"root: skeleton '{root.name}' has {len(root)} joints, and the poses have {joints}."
            )
        return root.root_index
    if isinstance(root, bool) or not isinstance(root, int) or not 0 <= root < joints:
        raise InputError(
            f"root: the index of one of {joints} joints (0 to {joints - 1}) or a Skeleton, got {root!r}."
        )
    return root


def _mean(errors: Tensor, kind: Kind) -> Any:
    """Over everything that is known; summed in float64, so that the answer does not depend on the batch."""
    valid = errors.isfinite()
    return kind.give(torch.where(valid, errors, 0.0).sum(dtype=torch.float64) / valid.sum())


def _aligned_errors(
    predicted: Tensor, truth: Tensor, alignment: Alignment, root: int | Skeleton | None
) -> tuple[Tensor, Tensor]:
    """Errors in millimetres after an alignment, and where the truth is known."""
    valid = truth.isfinite().all(dim=-1)
    if alignment == "none":
        return joint_error(predicted, truth), valid
    if alignment == "similarity":
        return p_joint_error(predicted, truth), valid
    if alignment not in ("root", "scale"):
        raise InputError(f"alignment: 'none', 'root', 'scale' or 'similarity', got {alignment!r}.")
    if root is None:
        raise InputError(
            f"root: alignment '{alignment}' lays the root joints together; name the joint or the skeleton."
        )
    place = _root(root, predicted.shape[-2])
    valid = valid & valid[..., place, None]
    if alignment == "scale":
        others = [joint for joint in range(predicted.shape[-2]) if joint != place]
        return n_joint_error(predicted, truth, place), valid[..., others]
    centred = (pose - pose[..., place, None, :] for pose in (predicted, truth))
    return joint_error(*centred), valid
