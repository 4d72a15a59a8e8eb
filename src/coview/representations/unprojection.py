"""Feature maps of several views gathered into one volume. [Iskakov19]

Every voxel is projected into every view and the map sampled there. All views of a voxel are sampled and
joined before the next block of voxels is begun, and again in the backward pass: nothing of the size views ×
channels × voxels is ever held. The maps lie channels-last, so that a sample is a sum of four rows of a table
(`embedding_bag`), the fastest gather that torch has on a processor.
"""

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Aggregate = Literal["sum", "max", "softmax"]

_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}  # numbers sampled at a time (voxels × views × channels)
_NEVER = -1e30  # as a logit: a view that does not see the voxel


def unproject(
    features: Float[Tensor, "*batch views channels height width"],
    projections: Float[Tensor, "*batch views 3 4"],
    points: Float[Tensor, "*batch n_x n_y n_z 3"],
    aggregate: Aggregate = "softmax",
    weights: Float[Tensor, "*batch views channels"] | None = None,
    *,
    reference: bool = False,
) -> Float[Tensor, "*batch channels n_x n_y n_z"]:
    """A volume of features: at each of `points`, what the views' maps hold where the point projects.

    `projections` go from the points' frame into map *cells* (see `cells_from_world`). Per channel the views'
    samples are joined by their sum, their maximum, or their mean weighted by their own softmax. `weights`
    scale the features first: with "sum" they are the paper's conf, and if they add up to 1 over the views
    its conf_norm.

    By default a map is sampled bilinearly where the point falls; within the half cell at its border the
    border's value holds. A view takes no part for points behind it or outside its map; what no view sees is
    0. `reference` repeats the released numerics: cell u is sampled at u (width − 1) / width, likewise v;
    beyond the border maps fade to 0 within a cell; and such zeros take part in maximum and softmax.

    Float32 at least, also under autocast; channels-last in memory (channels_last_3d). Gradients reach
    features and weights, not projections and points. ValueError: reference with maps that are not square,
    where the released code is wrong, or an unknown aggregate."""
    *batch, views, channels, height, width = features.shape
    if aggregate not in ("sum", "max", "softmax"):
        raise ValueError(f"unproject: aggregate is 'sum', 'max' or 'softmax', got {aggregate!r}.")
    if reference and height != width:
        raise ValueError(
            f"unproject: the reference mode is defined on square maps, got {width} × {height} cells: the "
            f"released code mixes up width and height. Use square crops, or reference=False."
        )
    kind = torch.promote_types(features.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        maps = features.to(kind)
        if weights is not None:
            maps = maps * weights.to(kind)[..., None, None]
        maps = maps.reshape(-1, channels, height, width)
        # the ring around each map is what a sample between the border and the outside is mixed with
        maps = functional.pad(maps, (1, 1, 1, 1), mode="constant" if reference else "replicate")
        tables = maps.permute(0, 2, 3, 1).contiguous().view(-1, views, height + 2, width + 2, channels)
        into_ring = _into_ring(projections.reshape(-1, views, 3, 4).double(), height, width, reference)
        flat = points.reshape(len(tables), -1, 3).to(kind).mT.contiguous()
        volume = _Unprojection.apply(tables, into_ring.to(kind), flat, aggregate, reference)
    return volume.reshape(*batch, *points.shape[-4:-1], channels).movedim(-1, -4)


class _Unprojection(torch.autograd.Function):
    """From tables to voxels; the backward pass samples again instead of remembering."""

    @staticmethod
    def forward(
        ctx: Any, tables: Tensor, projections: Tensor, points: Tensor, aggregate: Aggregate, reference: bool
    ) -> Tensor:
        """Tables (batch views height width channels), points (batch 3 voxels) -> (batch voxels channels)."""
        ctx.save_for_backward(tables, projections, points)
        ctx.aggregate, ctx.reference = aggregate, reference
        volume = tables.new_empty(len(points), points.shape[-1], tables.shape[-1])
        for item, part in _blocks(tables, points):
            corners = _corners(tables[item], projections[item], points[item, :, part], reference)
            volume[item, part] = _joined(_sampled(tables[item], corners), corners, aggregate, reference)
        return volume

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        tables, projections, points = ctx.saved_tensors
        gradient = tables.new_zeros(tables.shape)  # contiguous, whatever the tables are
        for item, part in _blocks(tables, points):
            corners = _corners(tables[item], projections[item], points[item, :, part], ctx.reference)
            pulled = _pulled_apart(upstream[item, part], tables[item], corners, ctx.aggregate, ctx.reference)
            _scatter(gradient[item].view(-1, tables.shape[-1]), pulled, corners)
        return gradient, None, None, None, None


class _Corners(NamedTuple):
    """Four rows of the table around each sample, their shares, and which views see which voxels."""

    rows: Tensor  # views voxels 4, int
    shares: Tensor  # views voxels 4; all 0 where not seen
    seen: Tensor  # views voxels


def _into_ring(projections: Tensor, height: int, width: int, reference: bool) -> Tensor:
    """Projections into cells of the map with its ring around it, contracted as the released code does."""
    across, down, depth = projections.unbind(dim=-2)
    if reference:
        across, down = across * ((width - 1) / width), down * ((height - 1) / height)
    return torch.stack([across + depth, down + depth, depth], dim=-2)


def _corners(table: Tensor, projections: Tensor, points: Tensor, reference: bool) -> _Corners:
    views, height, width, _ = table.shape  # with the ring
    x, y, z = points
    in_x, in_y, in_z, fixed = projections[..., None].unbind(dim=2)  # each views 3 1
    image = torch.addcmul(torch.addcmul(torch.addcmul(fixed, in_x, x), in_y, y), in_z, z)
    front = image[:, 2] > 0
    u, v = (image[:, :2] / torch.where(front, image[:, 2], 1.0)[:, None]).unbind(dim=1)
    margin = 0.0 if reference else 0.5
    seen = front & (u >= margin) & (u < width - 1 - margin) & (v >= margin) & (v < height - 1 - margin)
    u, v = torch.where(seen, u, 0.0), torch.where(seen, v, 0.0)
    column, row = u.int(), v.int()
    first = torch.arange(views, dtype=torch.int32, device=table.device)[:, None] * (height * width)
    rows = (first + row * width + column)[..., None] + torch.tensor(
        [0, 1, width, width + 1], dtype=torch.int32, device=table.device
    )
    u, v = u - column, v - row
    both = u * v
    shares = torch.stack([1 - u - v + both, u - both, v - both, both], dim=-1)
    return _Corners(rows, shares * seen[..., None], seen)


def _sampled(table: Tensor, corners: _Corners) -> Tensor:
    """Views voxels channels."""
    flat = functional.embedding_bag(
        corners.rows.flatten(0, 1),
        table.flatten(0, 2),
        per_sample_weights=corners.shares.flatten(0, 1),
        mode="sum",
    )
    return flat.view(*corners.seen.shape, -1)


def _joined(samples: Tensor, corners: _Corners, aggregate: Aggregate, reference: bool) -> Tensor:
    """Voxels channels."""
    if aggregate == "sum":
        return samples.sum(dim=0)
    if aggregate == "max":
        highest = (samples if reference else samples + _handicap(corners)).amax(dim=0)
        return highest if reference else torch.where(corners.seen.any(dim=0)[:, None], highest, 0.0)
    return (_attention(samples, corners, reference) * samples).sum(dim=0)


def _attention(samples: Tensor, corners: _Corners, reference: bool) -> Tensor:
    return (samples if reference else samples + _handicap(corners)).softmax(dim=0)


def _handicap(corners: _Corners) -> Tensor:
    return torch.where(corners.seen, 0.0, _NEVER).to(corners.shares)[..., None]


def _pulled_apart(
    upstream: Tensor, table: Tensor, corners: _Corners, aggregate: Aggregate, reference: bool
) -> Tensor:
    """Gradient of the samples (views voxels channels) from that of the voxels."""
    if aggregate == "sum":
        return upstream.expand(*corners.seen.shape, -1)
    samples = _sampled(table, corners)
    joined = _joined(samples, corners, aggregate, reference)
    if aggregate == "max":
        equal = (samples == joined) & (reference | corners.seen)[..., None]
        return equal * (upstream / equal.sum(dim=0).clamp_min(1))
    return _attention(samples, corners, reference) * (1 + samples - joined) * upstream


def _scatter(gradient: Tensor, pulled: Tensor, corners: _Corners) -> None:
    """Adds the samples' gradients to the table's rows that they were mixed from."""
    for corner in range(4):
        share = corners.shares[..., corner, None]
        gradient.index_add_(0, corners.rows[..., corner].flatten(), (pulled * share).flatten(0, 1))


def _blocks(tables: Tensor, points: Tensor) -> Iterator[tuple[int, slice]]:
    """Items of the batch, and parts of their voxels."""
    numbers = _BLOCK.get(tables.device.type, _BLOCK["cuda"])
    size = max(16, numbers // (tables.shape[1] * tables.shape[-1]))
    for item in range(len(tables)):
        for start in range(0, points.shape[-1], size):
            yield item, slice(start, start + size)
