"""Loss terms that two papers share. Each is a function; none holds a weight."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.alignment import Similarity, rigid_alignment, upright_alignment

# under the square root: a prediction with all joints at the root has a finite gradient
_TINY = 1e-12


def scale_free_error(
    predicted: Float[Tensor, "*#batch joints 2"],
    observed: Float[Tensor, "*#batch joints 2"],
    confidence: Float[Tensor, "*#batch joints"],
    *,
    sized_by: Float[Tensor, "*#batch joints"] | None = None,
) -> Float[Tensor, "*batch"]:
    """Confidence-weighted mean absolute difference of 2D poses, each first scaled to unit RMS. [Wandt21] eq. 5

    The error has no unit and is invariant to the size of both poses.

    Args:
        predicted: root-centred 2D joints, any unit, finite. Batches broadcast.
        observed: root-centred 2D joints, any unit, finite.
        confidence: of the observed joints, in [0, 1]. Joints of confidence 0 do not enter the RMS either.
        sized_by: weights of the joints in the RMS; None: 1 where the confidence is positive.

    Returns:
        The error of each pose; 0 for a pose without any confident joint."""
    weights = (confidence > 0).to(predicted) if sized_by is None else sized_by
    distance = (_unit_rms(predicted, weights) - _unit_rms(observed, weights)).abs().sum(dim=-1)
    return (confidence * distance).mean(dim=-1) / 2


def _unit_rms(
    joints: Float[Tensor, "*#batch joints 2"], weights: Float[Tensor, "*#batch joints"]
) -> Float[Tensor, "*#batch joints 2"]:
    squares = (joints.square().sum(dim=-1) * weights).sum(dim=-1)
    total = weights.sum(dim=-1)
    mean = squares / (2 * torch.where(total > 0, total, 1.0))
    return joints * (mean + _TINY).rsqrt()[..., None, None]


def view_disagreement(
    poses: Float[Tensor, "*batch views joints 3"],
    confidence: Float[Tensor, "*batch views joints"],
    min_joints: int = 6,
    *,
    upright: bool = False,
) -> Float[Tensor, ""]:
    """Mean L1 distance between the poses of two views after a rigid alignment, over all pairs of views. [Iqbal20]

    Each pose is in the axes of its own camera. The alignment has no scale: with one, poses that shrink to a point
    would have the least error. It is constant in the gradient unless `upright`, because the gradient of a badly
    determined rotation is unbounded.

    Args:
        poses: 3D joints of every view, any unit. Finite, also where the confidence is 0.
        confidence: per view and joint, in [0, 1]; the product over both views weights alignment and mean.
        min_joints: pairs of views with fewer joints of positive confidence in both are left out.
        upright: the poses are in axes whose z is up, and are aligned by a rotation about z alone, so that the views
            must agree on the vertical as well.

    Returns:
        The weighted mean in the unit of the poses; 0 where no pair of views counts."""
    views = poses.shape[-3]
    first, second = torch.triu_indices(views, views, 1, device=poses.device)
    source, target = poses[..., first, :, :], poses[..., second, :, :]
    weight = confidence[..., first, :] * confidence[..., second, :]
    usable = (weight > 0).sum(dim=-1, keepdim=True) >= max(min_joints, 3)
    weight = torch.where(usable, weight, 0.0)
    alignment = _alignment(source, target, torch.where(usable, weight, 1.0), upright)
    distance = (alignment.apply(source) - target).abs().sum(dim=-1)
    return (weight * distance).sum() / weight.sum().clamp_min(_TINY)


def cross_view_error(
    poses: Float[Tensor, "*batch views joints 3"],
    observed: Float[Tensor, "*batch views joints 3"],
    confidence: Float[Tensor, "*batch views joints"],
    min_joints: int = 6,
    *,
    upright: bool = False,
) -> Float[Tensor, ""]:
    """Mean distance of each view's pose, rigidly aligned, from the pose observed in every other view. ours

    The observed poses are constant in the gradient, and so is the alignment unless `upright`, as in
    `view_disagreement`. Errors of two images are independent, so the minimum is at the true pose rather than at a copy
    of one's own observation [Lehtinen18].

    Args:
        poses: predicted 3D joints of every view, any unit. Finite, also where the confidence is 0.
        observed: 3D joints observed in every view, in the unit of `poses`; finite.
        confidence: of the observed joints, in [0, 1]. That of the observing view weights the mean, the product of both
            views the alignment.
        min_joints: pairs of views with fewer joints of positive confidence in both are left out.
        upright: align by a rotation about the z axis alone.

    Returns:
        The weighted mean over all ordered pairs of views, in the unit of the poses; 0 where none counts."""
    views = poses.shape[-3]
    observer, predictor = (
        torch.cartesian_prod(torch.arange(views), torch.arange(views))[~torch.eye(views).bool().flatten()]
        .to(poses.device)
        .unbind(-1)
    )
    source, target = poses[..., predictor, :, :], observed[..., observer, :, :].detach()
    weight, pair_weight = (
        confidence[..., observer, :],
        confidence[..., observer, :] * confidence[..., predictor, :],
    )
    usable = (pair_weight > 0).sum(dim=-1, keepdim=True) >= max(min_joints, 3)
    weight = torch.where(usable, weight, 0.0)
    alignment = _alignment(source, target, torch.where(usable, pair_weight, 1.0), upright)
    distance = ((alignment.apply(source) - target).square().sum(dim=-1) + _TINY).sqrt()
    return (weight * distance).sum() / weight.sum().clamp_min(_TINY)


def _alignment(source: Tensor, target: Tensor, weight: Tensor, upright: bool) -> Similarity:
    """The alignment; for an unusable pair all weights are one, so that its value and gradient stay finite."""
    # held constant, it made losses rise from some hundred steps on
    if upright:
        return upright_alignment(source, target, weight)
    with torch.no_grad():
        return rigid_alignment(source, target, weight)


def limb_error(
    lengths: Float[Tensor, "*batch limbs"],
    means: Float[Tensor, "limbs"],
    weights: Float[Tensor, "*batch limbs"],
) -> Float[Tensor, ""]:
    """Weighted mean squared difference of limb lengths from their means. [Iqbal20]

    It constrains lengths alone: an impossible pose of correct lengths has no error.

    Args:
        lengths: of the limbs, any unit.
        means: mean length of each limb, in the unit of `lengths`.
        weights: of the limbs, not negative.

    Returns:
        The mean, in the unit of the lengths squared; 0 where all weights are 0."""
    return (weights * (lengths - means).square()).sum() / weights.sum().clamp_min(_TINY)
