"""Penalties that two papers share. Each is a function; none holds a weight."""

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
    """Confidence-weighted mean absolute difference of 2D poses, each first scaled to unit RMS.

    [Wandt21] eq. 5, per pose; batches broadcast. Inputs root-centred, any unit, free of NaN;
    confidence in [0, 1]. The answer has no unit and cannot see size: a pose and its double cost the
    same. The RMS is over the joints seen, or weighted with `sized_by`. Joints of confidence 0 take no
    part in the scale either; a pose without any costs 0."""
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
    """How far poses of one instant, each in its own camera's axes, are from being one rigid pose. [Iqbal20]

    Mean L1 distance, in the unit of the poses, after the rigid motion that lays the pose of one view best onto
    that of another, over all pairs of views; weighted, motion and mean, with the product of both trusts (in
    [0, 1]). There is no scale in the motion: it would make a pose that shrinks to a point the best answer. The
    motion is a constant of the gradient unless `upright`; where the views agree on a rotation only badly, its own
    gradient is not to be had. `upright` is for poses in axes whose z is up: they are turned about it alone, so that
    views must agree on up as well. Pairs with fewer than `fewest` joints trusted in both views do not count; 0 where
    none counts. Poses must be finite, also where the trust is 0."""
    views = poses.shape[-3]
    first, second = torch.triu_indices(views, views, 1, device=poses.device)
    source, target = poses[..., first, :, :], poses[..., second, :, :]
    weight = confidence[..., first, :] * confidence[..., second, :]
    usable = (weight > 0).sum(dim=-1, keepdim=True) >= max(min_joints, 3)
    weight = torch.where(usable, weight, 0.0)
    motion = _motion(source, target, torch.where(usable, weight, 1.0), upright)
    distance = (motion.apply(source) - target).abs().sum(dim=-1)
    return (weight * distance).sum() / weight.sum().clamp_min(_TINY)


def cross_view_error(
    poses: Float[Tensor, "*batch views joints 3"],
    observed: Float[Tensor, "*batch views joints 3"],
    confidence: Float[Tensor, "*batch views joints"],
    min_joints: int = 6,
    *,
    upright: bool = False,
) -> Float[Tensor, ""]:
    """How far the pose of one view, moved rigidly, is from what each other view saw. ours

    Mean distance in the unit of the poses over all ordered pairs of views, weighted with the trust (in [0, 1]) of the
    view that saw; the motion is found from joints that both trust. What was seen is a constant of the gradient, and so
    is the motion unless `upright`, as in `view_disagreement`. Errors of the two pictures are independent, so repeating
    one's own is no answer, and the best is the true place [Lehtinen18]. Pairs with fewer than `fewest` joints trusted
    in both do not count; 0 where none counts. Poses must be finite, also where the trust is 0."""
    views = poses.shape[-3]
    told, teller = (
        torch.cartesian_prod(torch.arange(views), torch.arange(views))[~torch.eye(views).bool().flatten()]
        .to(poses.device)
        .unbind(-1)
    )
    source, target = poses[..., teller, :, :], observed[..., told, :, :].detach()
    weight, both = confidence[..., told, :], confidence[..., told, :] * confidence[..., teller, :]
    usable = (both > 0).sum(dim=-1, keepdim=True) >= max(min_joints, 3)
    weight = torch.where(usable, weight, 0.0)
    motion = _motion(source, target, torch.where(usable, both, 1.0), upright)
    distance = ((motion.apply(source) - target).square().sum(dim=-1) + _TINY).sqrt()
    return (weight * distance).sum() / weight.sum().clamp_min(_TINY)


def _motion(source: Tensor, target: Tensor, weight: Tensor, upright: bool) -> Similarity:
    """An unusable pair, all weights one, is moved as if it were usable: that costs nothing and is finite."""
    # held constant, it made losses rise from some hundred steps on
    if upright:
        return upright_alignment(source, target, weight)
    with torch.no_grad():
        return rigid_alignment(source, target, weight)


def limb_error(
    lengths: Float[Tensor, "*batch limbs"],
    means: Float[Tensor, "limbs"],
    confidence: Float[Tensor, "*batch limbs"],
) -> Float[Tensor, ""]:
    """Weighted mean square distance of limbs from their mean lengths, in their unit squared. [Iqbal20]

    0 where nothing is trusted. A pose of nothing but limbs of the right length costs nothing, possible or not."""
    return (confidence * (lengths - means).square()).sum() / confidence.sum().clamp_min(_TINY)
