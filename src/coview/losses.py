"""Penalties that two papers share. Each is a function; none holds a weight."""

import torch
from jaxtyping import Float
from torch import Tensor

_TINY = 1e-12  # under the square root: a prediction with all joints at the root has a finite gradient


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
