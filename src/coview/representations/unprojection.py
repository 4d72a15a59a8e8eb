"""Feature maps of several views gathered into one volume. [Iskakov19]

Every voxel is projected into every view and the map sampled there. All views of a block of voxels are sampled and
aggregated before the next block, and again in the backward pass: nothing of the size views × channels × voxels is
ever in memory. Maps are stored channels-last, so that a sample is a sum of four rows of a table (`embedding_bag`), the
fastest gather that torch has on a CPU.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from coview.errors import InputError

Aggregate = Literal["sum", "max", "softmax"]

# numbers sampled at a time (voxels × views × channels)
_BLOCK = {"cpu": 1 << 20, "cuda": 1 << 26}
# value of a view that does not see the voxel: never a maximum, and weight 0 in a softmax
_NEVER = -1e30
# largest magnitude whose exponential needs no scaling; e^-40 is negligible
_CALM = 40.0
# sum of exponentials between those of views that do not see a voxel and that of one view that does
_NOBODY = 1e-30


def unproject(
    features: Float[Tensor, "*batch views channels height width"],
    projections: Float[Tensor, "*batch views 3 4"],
    points: Float[Tensor, "*batch n_x n_y n_z 3"],
    aggregate: Aggregate = "softmax",
    weights: Float[Tensor, "*batch views channels"] | None = None,
    *,
    released_numerics: bool = False,
) -> Float[Tensor, "*batch channels n_x n_y n_z"]:
    """A volume of features: at each point the aggregated samples of all views' maps where the point projects.

    Maps are sampled bilinearly; within the half cell at its border a map has the border's value. A view is not used
    for points behind it or outside its map.

    Args:
        features: Maps of every view.
        projections: From the points' frame into map *cells* (see `cells_from_world`).
        points: Positions of the voxels.
        aggregate: How samples of the views are combined per channel: their sum, maximum, or mean weighted by their own
            softmax.
        weights: Factors on the features; with "sum" they are the paper's conf, and if they add up to 1 over the views
            its conf_norm.
        released_numerics: Whether to repeat the numerics of the released code: cell u is sampled at
            u (width − 1) / width, likewise v; beyond the border maps fade to 0 within a cell; and such zeros are
            included in maximum and softmax.

    Returns:
        0 where no view sees a point. Float32 at least, also under autocast; channels-last in memory
        (channels_last_3d). Gradients reach features and weights, not projections and points.

    Raises:
        InputError: `aggregate` is unknown, or with `released_numerics` maps are not square, where the released code is
            wrong.
    """
    *batch, views, channels, height, width = features.shape
    if aggregate not in ("sum", "max", "softmax"):
        raise InputError(f"unproject: aggregate is 'sum', 'max' or 'softmax', got {aggregate!r}.")
    if released_numerics and height != width:
        raise InputError(
            f"unproject: released_numerics is defined on square maps, got {width} × {height} cells: the "
            f"released code mixes up width and height. Use square crops, or released_numerics=False."
        )
    kind = torch.promote_types(features.dtype, torch.float32)
    with torch.autocast(features.device.type, enabled=False):
        maps = features.to(kind)
        if weights is not None:
            maps = maps * weights.to(kind)[..., None, None]
        maps = maps.reshape(-1, channels, height, width)
        # the ring around each map is what a sample between the border and the outside is mixed with
        maps = functional.pad(maps, (1, 1, 1, 1), mode="constant" if released_numerics else "replicate")
        tables = maps.permute(0, 2, 3, 1).reshape(-1, views * (height + 2) * (width + 2), channels)
        # for its memory
        del maps
        plan = _planned(tables, views, (height + 2, width + 2), aggregate, released_numerics)
        tables = functional.pad(tables, (0, 0, 0, width + 4), value=plan.unseen)
        into_ring = _into_ring(
            projections.reshape(-1, views, 3, 4).double(), height, width, released_numerics
        )
        flat = points.reshape(len(tables), -1, 3).to(kind).mT.contiguous()
        volume = _Unprojection.apply(tables, into_ring.to(kind), flat, plan)
    return volume.reshape(*batch, *points.shape[-4:-1], channels).movedim(-1, -4)


class _Plan(NamedTuple):
    """Settings and sizes that are the same for every block."""

    # how samples of the views are combined
    aggregate: Aggregate
    # number of views
    views: int
    # rows and columns of a map with its ring
    size: tuple[int, int]
    # width of the border of the ring that is not sampled, in cells
    margin: float
    # value of a view that does not see the voxel
    unseen: float
    # whether all features are so small that exponentials need no scaling
    calm: bool


def _planned(
    tables: Tensor, views: int, size: tuple[int, int], aggregate: Aggregate, released_numerics: bool
) -> _Plan:
    margin = 0.0 if released_numerics else 0.5
    unseen = 0.0 if released_numerics or aggregate == "sum" else _NEVER
    # a GPU would have to be waited for
    calm = aggregate == "softmax" and tables.device.type == "cpu" and bool(tables.abs().amax() < _CALM)
    if calm and not released_numerics:
        unseen = -2 * _CALM
    return _Plan(aggregate, views, size, margin, unseen, calm)


class _Unprojection(torch.autograd.Function):
    """Voxels from tables of features; the backward pass samples again instead of keeping the samples."""

    @staticmethod
    def forward(ctx: Any, tables: Tensor, projections: Tensor, points: Tensor, plan: _Plan) -> Tensor:
        """Aggregated features of all voxels.

        Args:
            ctx: Keeps tensors for the backward pass.
            tables: Rows of features: batch rows channels.
            projections: Into cells of the map with its ring: batch views 3 4.
            points: Batch 3 voxels.
            plan: Settings and sizes.

        Returns:
            Batch voxels channels.
        """
        ctx.save_for_backward(tables, projections, points)
        ctx.plan = plan
        volume = tables.new_empty(len(points), points.shape[-1], tables.shape[-1])

        def fill(block: tuple[int, slice]) -> None:
            item, part = block
            corners = _corners(projections[item], points[item, :, part], plan)
            volume[item, part] = _joined(_sampled(tables[item], corners, plan), plan)

        # one thread where a backward pass follows: that one was measured to be slower after several
        threads = (
            torch.get_num_threads() if tables.device.type == "cpu" and not ctx.needs_input_grad[0] else 1
        )
        _for_each(fill, list(_blocks(tables, points, plan)), threads)
        return volume

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the tables.

        Args:
            ctx: What `forward` kept.
            upstream: Gradient of the voxels: batch voxels channels.
        """
        tables, projections, points = ctx.saved_tensors
        gradient = torch.zeros_like(tables)
        for item, part in _blocks(tables, points, ctx.plan):
            corners = _corners(projections[item], points[item, :, part], ctx.plan)
            of_samples = _gradient_of_samples(upstream[item, part], tables[item], corners, ctx.plan)
            _scatter(gradient[item], of_samples, corners, ctx.plan)
        return gradient, None, None, None


def _into_ring(projections: Tensor, height: int, width: int, released_numerics: bool) -> Tensor:
    """Projections into cells of the map with its ring; scaled as in the released code where that is repeated."""
    across, down, depth = projections.unbind(dim=-2)
    if released_numerics:
        across, down = across * ((width - 1) / width), down * ((height - 1) / height)
    return torch.stack([across + depth, down + depth, depth], dim=-2)


class _Corners(NamedTuple):
    """The four rows of the table around each sample, in the order of `_around`, and their bilinear weights."""

    # index into the table: views voxels 4, int32
    rows: Tensor
    # bilinear weights: views voxels 4
    shares: Tensor


def _around(plan: _Plan) -> tuple[int, int, int, int]:
    return 0, 1, plan.size[1], plan.size[1] + 1


def _corners(projections: Tensor, points: Tensor, plan: _Plan) -> _Corners:
    """Rows and bilinear weights of all samples; one that is not seen reads the rows after the last map."""
    height, width = plan.size
    # each views 3 1
    in_x, in_y, in_z, fixed = projections[..., None].unbind(dim=2)
    x, y, z = points
    image = torch.addcmul(fixed, in_x, x).addcmul_(in_y, y).addcmul_(in_z, z)
    depth = image[:, 2]
    places = image[:, :2].div_(depth.masked_fill_(depth <= 0, torch.nan)[:, None])
    middle = places.new_tensor([(width - 1) / 2, (height - 1) / 2])[:, None]
    inside = (places - middle).abs_() < middle - plan.margin
    hidden = ~(inside[:, 0] & inside[:, 1])
    places.masked_fill_(hidden[:, None], 0.0)
    cells = places.int()
    (u, v), (column, row) = places.sub_(cells).unbind(dim=1), cells.unbind(dim=1)
    first = torch.arange(plan.views, dtype=torch.int32, device=points.device) * (height * width)
    base = torch.add(column, row, alpha=width).add_(first[:, None])
    base.masked_fill_(hidden, plan.views * height * width)
    rows, shares = base.new_empty(*base.shape, 4), u.new_empty(*u.shape, 4)
    for corner, away in enumerate(_around(plan)):
        torch.add(base, away, out=rows[..., corner])
    both = u * v
    shares[..., 3] = both
    torch.sub(v, both, out=shares[..., 2])
    torch.sub(u, both, out=shares[..., 1])
    torch.sub(1 - u, v - both, out=shares[..., 0])
    return _Corners(rows, shares)


def _sampled(table: Tensor, corners: _Corners, plan: _Plan) -> Tensor:
    """Samples: views voxels channels; for a sum already added up, so one view."""
    rows, shares = corners
    if plan.aggregate == "sum":
        rows, shares = (each.transpose(0, 1).flatten(1)[None] for each in corners)
    flat = functional.embedding_bag(
        rows.flatten(0, 1), table, per_sample_weights=shares.flatten(0, 1), mode="sum"
    )
    return flat.view(*rows.shape[:2], -1)


def _joined(samples: Tensor, plan: _Plan) -> Tensor:
    """Samples aggregated over the views: voxels channels."""
    if plan.aggregate == "sum":
        return samples[0]
    if plan.aggregate == "max":
        highest = samples.amax(dim=0)
        return highest.masked_fill_(highest < 0.9 * _NEVER, 0.0)
    if not plan.calm:
        mean = samples.softmax(dim=0).mul_(samples).sum(dim=0)
        return mean.masked_fill_(mean < 0.9 * _NEVER, 0.0)
    total, growth = samples[0].exp(), torch.empty_like(samples[0])
    mean = total * samples[0]
    # half the time of exponentials and two sums over all views at once
    for sample in samples[1:]:
        torch.exp(sample, out=growth)
        mean.addcmul_(growth, sample)
        total.add_(growth)
    return mean.div_(total).mul_((total[:, :1] > _NOBODY).to(total))


def _gradient_of_samples(upstream: Tensor, table: Tensor, corners: _Corners, plan: _Plan) -> Tensor:
    """Gradient of the samples (views voxels channels) from that of the voxels."""
    if plan.aggregate == "sum":
        return upstream.expand(plan.views, -1, -1)
    samples = _sampled(table, corners, plan)
    if plan.aggregate == "max":
        equal = samples == samples.amax(dim=0)
        return equal * (upstream / equal.sum(dim=0))
    share = samples.softmax(dim=0)
    joined = (share * samples).sum(dim=0)
    return samples.sub_(joined).add_(1).mul_(share).mul_(upstream)


def _scatter(gradient: Tensor, of_samples: Tensor, corners: _Corners, plan: _Plan) -> None:
    """Add the samples' gradients to the rows of the table that they were interpolated from."""
    if gradient.is_cuda:
        for corner in range(4):
            share = corners.shares[..., corner, None]
            gradient.index_add_(0, corners.rows[..., corner].flatten(), (of_samples * share).flatten(0, 1))
        return
    # sorted by row, the sums are again sums of a few rows of a table: that of the gradients
    rows, order = corners.rows[..., 0].flatten().sort()
    rows, counts = rows.unique_consecutive(return_counts=True)
    starts = counts.cumsum(0) - counts
    table, shares = of_samples.reshape(-1, of_samples.shape[-1]), corners.shares.view(-1, 4)[order]
    for corner, away in enumerate(_around(plan)):
        weights = shares[:, corner].contiguous()
        found = functional.embedding_bag(order, table, starts, per_sample_weights=weights, mode="sum")
        gradient.index_add_(0, rows + away, found)


def _for_each(work: Callable[[Any], None], blocks: list[Any], threads: int) -> None:
    """Run blocks in parallel threads: a single block is too small for torch's own parallelism."""
    # threads do not inherit it, nor that no gradient is wanted
    inference = torch.is_inference_mode_enabled()

    def alone(block: Any) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(block)

    if len(blocks) == 1 or threads == 1:
        for block in blocks:
            alone(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(alone, block) for block in blocks]:
            done.result()


def _blocks(tables: Tensor, points: Tensor, plan: _Plan) -> Iterator[tuple[int, slice]]:
    """Items of the batch, and parts of their voxels."""
    numbers = _BLOCK.get(tables.device.type, _BLOCK["cuda"])
    size = max(32, numbers // (plan.views * tables.shape[-1]))
    for item in range(len(tables)):
        for start in range(0, points.shape[-1], size):
            yield item, slice(start, start + size)
