"""Volumes of image and depth: columns and rows of an image, and layers of depth around the root joint. [Sun18]

A joint's position in it is 2.5-dimensional: two coordinates in the image, one along the optical axis relative to
the root. Poses in metres follow when the root's depth is known, or when the body's size is.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# steps of Newton's method, which doubles the number of correct digits each time
_STEPS = 12


def marginals(
    scores: Float[Tensor, "*batch layers height width"],
) -> tuple[Float[Tensor, "*batch width"], Float[Tensor, "*batch height"], Float[Tensor, "*batch layers"]]:
    """Marginals of the softmax over a volume along its three axes.

    Args:
        scores: Logits.

    Returns:
        Distributions over columns, rows and layers; float32 at least.
    """
    precise = scores.to(torch.promote_types(scores.dtype, torch.float32))
    shares = precise.flatten(-3).softmax(dim=-1).view(scores.shape)
    columns = shares.sum(dim=-1)
    return shares.sum(dim=-3).sum(dim=-2), columns.sum(dim=-2), columns.sum(dim=-1)


def mean_cell(shares: Float[Tensor, "*batch cells"]) -> Float[Tensor, "*batch"]:
    """Expected index of a distribution over cells.

    Args:
        shares: Probabilities that sum to 1.

    Returns:
        Index in cells, from 0; fractions lie between the centres of cells.
    """
    return (shares * torch.arange(shares.shape[-1]).to(shares)).sum(dim=-1)


def cross_entropy(
    shares: Float[Tensor, "*batch cells"], cell: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Cross-entropy of a distribution with a target between two cells, which share it linearly.

    Args:
        shares: Probabilities that sum to 1.
        cell: Index of the target in cells, may be fractional; clamped to the outermost centres. Must not be NaN.

    Returns:
        Nats.
    """
    last = shares.shape[-1] - 1
    target = cell.clamp(0, last)
    low = target.floor().clamp_max(max(last - 1, 0))
    part = target - low
    index = torch.stack([low, (low + 1).clamp_max(last)], dim=-1).long()
    chance = (shares.take_along_dim(index, dim=-1) + 1e-8).log()
    return -((1 - part) * chance[..., 0] + part * chance[..., 1])


def depth_of_size(
    slope: Float[Tensor, "*batch bones 3"],
    constant: Float[Tensor, "*batch bones 3"],
    total: float,
    nearest: float,
) -> Float[Tensor, "*batch"]:
    """Depth Z at which bones `slope` Z + `constant` have a given total length, at least `nearest`.

    Bones between points at Z + z on rays x have this form: the sum of their lengths is convex in Z. Newton's
    method starts from a depth that is certainly too large and ends at the larger solution; if the bones are too long
    at every depth, at the depth of the least sum of squares.

    Args:
        slope: Change of each bone per unit of depth, no unit.
        constant: Each bone at depth 0, metres.
        total: Sum of the bones' lengths, metres.
        nearest: Least depth, metres.

    Returns:
        Metres, without gradient.
    """
    slope, constant = slope.detach(), constant.detach()
    reach = slope.norm(dim=-1).sum(dim=-1).clamp_min(1e-6)
    depth = (total + constant.norm(dim=-1).sum(dim=-1)) / reach
    shortest = -(slope * constant).sum(dim=(-2, -1)) / slope.square().sum(dim=(-2, -1)).clamp_min(1e-12)
    least = shortest.minimum(depth).clamp_min(nearest)
    for _ in range(_STEPS):
        bones = slope * depth[..., None, None] + constant
        lengths = bones.norm(dim=-1)
        growth = ((bones * slope).sum(dim=-1) / lengths.clamp_min(1e-9)).sum(dim=-1)
        step = (lengths.sum(dim=-1) - total) / growth.maximum(0.05 * reach)
        depth = (depth - step).maximum(least)
    return depth
