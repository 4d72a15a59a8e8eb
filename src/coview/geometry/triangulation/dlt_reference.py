"""Triangulation as the weights of Learnable Triangulation were trained with it: homogeneous, not conditioned.

The rows are those of `coview.geometry.triangulation.undistorted`, but no origin is shifted and no column
scaled, so that noisy detections give another point in metres than in millimetres. It is here for its
compatibility; `triangulate` is faster and indifferent to units. [Iskakov19]
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from coview.errors import InputError

_EQUAL = 64 * torch.finfo(torch.float64).eps  # singular values no further apart, per largest, are equal
_TINY = 1e-12  # a homogeneous point of unit length whose fourth coordinate is below is at infinity


def homogeneous_dlt(
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*#batch views 3 4"],
    weights: Float[Tensor, "*batch views joints"],
) -> Float[Tensor, "*batch joints 3"]:
    """Points from pixels as the smallest right singular vector of the weighted rows. [Iskakov19 eq. 4; HZ04 §12.2]

    Undistorted pixels in; out the unit and frame of `projections`, on which the answer *depends*: the
    released weights expect millimetres. Weights multiply rows. Rows are made in the precision given, decomposed
    in float64. NaN where fewer than two views have a weight that is not 0 and finite pixels, or where the point
    is at infinity. Gradients are always finite: 0 for those points, and 0 along directions that nothing
    determines (all views from one place, say, where the answer is any point of the ray).
    ValueError: fewer than two views."""
    views = points.shape[-3]
    if views < 2:
        raise InputError(
            f"homogeneous_dlt: {views} view(s) given in points of shape {tuple(points.shape)}, and one ray has "
            f"no depth. Give two or more calibrated views (axis -3)."
        )
    seen = points.isfinite().all(dim=-1) & weights.isfinite() & (weights != 0)
    pixels, safe_weights = torch.where(seen[..., None], points, 0.0), torch.where(seen, weights, 0.0)
    across, down, depth = projections[..., None, :, :].unbind(dim=-2)
    two = torch.stack([pixels[..., :1] * depth - across, pixels[..., 1:] * depth - down], dim=-2)
    rows = (safe_weights[..., None, None] * two).transpose(-4, -3).flatten(-3, -2)  # joints (views two) 4
    twice = seen.sum(dim=-2) >= 2
    # rows that decide nothing are replaced: the decomposition of zeros has no gradient
    rows = torch.where(twice[..., None, None], rows, torch.eye(4).to(rows).repeat(views, 1)[: 2 * views])
    vector = _SmallestVector.apply(rows.double())
    finite = twice & (vector[..., 3].abs() > _TINY)
    last = torch.where(finite, vector[..., 3], 1.0)
    found = vector[..., :3] / last[..., None]
    return torch.where(finite[..., None], found, torch.nan).to(rows.dtype)


class _SmallestVector(torch.autograd.Function):
    """Right singular vector of the smallest singular value, with a gradient that leaves out what is equal."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        _, values, vectors = torch.linalg.svd(rows, full_matrices=False)
        ctx.save_for_backward(rows, values, vectors)
        return vectors[..., -1, :].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        """From d v₀ = −Σ vᵢ vᵢᵀ d(AᵀA) v₀ / (σᵢ² − σ₀²)."""
        rows, values, vectors = ctx.saved_tensors
        gap = values[..., :-1] - values[..., -1:]
        apart = gap > _EQUAL * values[..., :1]
        gap = torch.where(apart, gap * (values[..., :-1] + values[..., -1:]), torch.inf)
        smallest, others = vectors[..., -1, :, None], vectors[..., :-1, :]
        answer = -others.mT @ ((others @ upstream[..., None]) / gap[..., None])
        return rows @ smallest @ answer.mT + rows @ answer @ smallest.mT
