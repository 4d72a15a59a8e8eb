"""The cuboid behind a picture: columns and rows of its pixels, and layers of depth around the root joint.

A joint's place in it is 2.5-dimensional: two coordinates in the picture, one along the optical axis relative to
the root. [Sun18]; poses in metres follow when the root's depth is known, or when the body's size is.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# of Newton's method, which doubles the digits each time
_STEPS = 12


def marginals(
    scores: Float[Tensor, "*batch layers height width"],
) -> tuple[Float[Tensor, "*batch width"], Float[Tensor, "*batch height"], Float[Tensor, "*batch layers"]]:
    """The softmax over a volume, summed up for its columns, rows and layers; float32 at least."""
    precise = scores.to(torch.promote_types(scores.dtype, torch.float32))
    shares = precise.flatten(-3).softmax(dim=-1).view(scores.shape)
    columns = shares.sum(dim=-1)
    return shares.sum(dim=-3).sum(dim=-2), columns.sum(dim=-2), columns.sum(dim=-1)


def mean_cell(shares: Float[Tensor, "*batch cells"]) -> Float[Tensor, "*batch"]:
    """The expected index of a distribution over cells: fractions lie between their centres."""
    return (shares * torch.arange(shares.shape[-1]).to(shares)).sum(dim=-1)


def cross_entropy(
    shares: Float[Tensor, "*batch cells"], cell: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Cross-entropy of a distribution with a place between two cells, which share it linearly.

    Places beyond the outermost cells' centres count as those; a NaN is an error of the caller's."""
    last = shares.shape[-1] - 1
    place = cell.clamp(0, last)
    low = place.floor().clamp_max(max(last - 1, 0))
    part = place - low
    index = torch.stack([low, (low + 1).clamp_max(last)], dim=-1).long()
    chance = (shares.take_along_dim(index, dim=-1) + 1e-8).log()
    return -((1 - part) * chance[..., 0] + part * chance[..., 1])


def depth_of_size(
    slope: Float[Tensor, "*batch bones 3"],
    constant: Float[Tensor, "*batch bones 3"],
    total: float,
    nearest: float,
) -> Float[Tensor, "*batch"]:
    """The depth Z at which bones `slope` Z + `constant` are `total` metres long together, at least `nearest`.

    Bones between points at Z + z on rays x have this form: the sum of their lengths is convex in Z. Newton's
    method comes down from a depth that is certainly too large and ends at the larger solution; where the offsets
    alone are too long at every depth, at the depth of the least squares. No gradient flows."""
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
