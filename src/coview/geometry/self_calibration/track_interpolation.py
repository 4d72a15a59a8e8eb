"""Interpolation of 2D tracks between frames, velocities, and rejection of single outliers in time."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# frames to either side to which the cubic is fitted that moves a joint between two frames
_NEAR = 4
# frames to either side whose difference gives the velocity, independent of the errors of the near ones; in this order
_FAR = ((5, 6), (7, 8))
# share of a detection's variance that moving it to another time may add
_ADDED_VARIANCE = 0.25
# ridge of the cubic's terms: with gaps the fit becomes a line rather than meaningless
_RIDGE = (0.0, 1e-6, 0.02, 0.02)
# frames to either side with which a detection is compared
_JUMP_REACH = 3
# multiple of the usual distance from the neighbours
_UNUSUAL = 4.0


@dataclass(frozen=True)
class Reading:
    """Tracks at common times."""

    # NaN: not detected
    pixels: Float[Tensor, "times views joints 2"]
    # pixels per frame; 0: unknown
    velocity: Float[Tensor, "times views joints 2"]
    # 0: not detected
    weights: Float[Tensor, "times views joints"]


def read_at(
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    places: Float[Tensor, "times views"],
) -> Reading:
    """Interpolate each camera's tracks at given fractional frames; nothing outside its recording.

    The nearest frame is moved by the difference that a cubic through up to four neighbours on either side makes between
    the two times, so that the error of an answer is that of one frame, and errors of different frames are independent.
    Not detected where the nearest frame has no detection, or too few neighbours to move it. The velocity comes from
    frames five and six (or seven and eight) away: its error is independent of the interpolation's, and so does not bias
    an estimate of the time offset. Memory: 17 frames per time.

    Args:
        pixels: 2D tracks.
        weights: 0: not detected.
        places: fractional frame numbers of each camera's own recording.

    Returns:
        Pixels, velocities and weights at these places.
    """
    nearest = places.round()
    share = places - nearest
    inside = (nearest >= 0) & (nearest <= len(pixels) - 1)
    index = nearest.clamp(0, len(pixels) - 1).long()
    moved, valid = _moved(pixels, weights, index, share)
    weight = _picked(weights, index)
    seen = valid & inside[..., None] & (weight > 0)
    velocity = _far_velocity(pixels, weights, index)
    return Reading(
        torch.where(seen[..., None], moved, torch.nan),
        torch.where(seen[..., None], velocity, 0.0),
        torch.where(seen, weight, 0.0),
    )


def _moved(
    pixels: Tensor, weights: Tensor, index: Int[Tensor, "times views"], share: Tensor
) -> tuple[Tensor, Tensor]:
    """The nearest frames moved by `share` frames, and whether their neighbours determine the move."""
    here = torch.nan_to_num(_picked(pixels, index))
    matrix = here.new_zeros(*here.shape[:-1], 4, 4) + torch.diag(torch.tensor(_RIDGE).to(here))
    right = here.new_zeros(*here.shape[:-1], 4, 2)
    for step in [s for s in range(-_NEAR, _NEAR + 1) if s]:
        there, seen = _beside(pixels, weights, index, step)
        row = torch.tensor([(step / _NEAR) ** power for power in range(4)]).to(here)
        matrix += seen[..., None, None] * torch.outer(row, row)
        right += (seen[..., None] * (there - here))[..., None, :] * row[:, None]
    matrix[..., 0, 0] += 1e-9
    ahead = (share / _NEAR)[..., None]
    # the constant term is no motion
    move = torch.stack([torch.zeros_like(ahead), ahead, ahead**2, ahead**3], dim=-1)
    move = move.expand(*here.shape[:-1], 4)
    solved = torch.linalg.solve(matrix, torch.cat([right, move[..., None]], dim=-1))
    variance = (move * solved[..., 2]).sum(dim=-1)
    return here + (move[..., None] * solved[..., :2]).sum(dim=-2), variance <= _ADDED_VARIANCE


def _far_velocity(pixels: Tensor, weights: Tensor, index: Int[Tensor, "times views"]) -> Tensor:
    """Pixels per frame from one side to the other; 0 where a side was not seen."""
    before, then, earlier = _side(pixels, weights, index, -1)
    after, when, later = _side(pixels, weights, index, 1)
    valid = earlier & later
    span = torch.where(valid, when - then, 1.0)
    return torch.where(valid[..., None], (after - before) / span[..., None], 0.0)


def _side(pixels: Tensor, weights: Tensor, index: Tensor, sign: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean pixel, mean step and whether seen, of the nearer far pictures or where none is seen the farther."""
    mean = torch.zeros_like(_picked(pixels, index))
    when = torch.zeros_like(mean[..., 0])
    valid = torch.zeros_like(when, dtype=torch.bool)
    for steps in _FAR:
        there, seen = zip(*[_beside(pixels, weights, index, sign * step) for step in steps], strict=True)
        count = torch.stack(seen).sum(dim=0)
        total = sum(mask[..., None] * values for mask, values in zip(seen, there, strict=True))
        moment = sum(sign * step * mask for mask, step in zip(seen, steps, strict=True))
        fresh = (count > 0) & ~valid
        mean = torch.where(fresh[..., None], total / count.clamp(min=1)[..., None], mean)
        when = torch.where(fresh, moment / count.clamp(min=1), when)
        valid = valid | fresh
    return mean, when, valid


def _beside(pixels: Tensor, weights: Tensor, index: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """What is seen `step` pictures on: pixels without NaN, and 1 where seen."""
    other = index + step
    there = (other >= 0) & (other < len(pixels))
    other = other.clamp(0, len(pixels) - 1)
    values = _picked(pixels, other)
    seen = (_picked(weights, other) > 0) & there[..., None] & values.isfinite().all(dim=-1)
    return torch.nan_to_num(values), seen.to(pixels)


def velocities(
    pixels: Float[Tensor, "frames views joints 2"], weights: Float[Tensor, "frames views joints"]
) -> tuple[Float[Tensor, "frames views joints 2"], Bool[Tensor, "frames views joints"]]:
    """Velocity at every frame, by the least-squares line through up to three frames on either side.

    Args:
        pixels: 2D tracks.
        weights: 0: not detected.

    Returns:
        Pixels per frame, 0 where unknown; and where it is known.
    """
    seen = (weights > 0) & pixels.isfinite().all(dim=-1)
    values = torch.where(seen[..., None], torch.nan_to_num(pixels), 0.0)
    count, moment, square = (torch.zeros_like(weights) for _ in range(3))
    total, product = torch.zeros_like(values), torch.zeros_like(values)
    frames = len(pixels)
    for step in [s for s in range(-_JUMP_REACH, _JUMP_REACH + 1) if s and abs(s) < frames]:
        here = slice(max(0, -step), frames - max(0, step))
        there = slice(max(0, step), frames - max(0, -step))
        there_seen = seen[there].to(weights)
        count[here] += there_seen
        moment[here] += step * there_seen
        square[here] += step * step * there_seen
        total[here] += values[there]
        product[here] += step * values[there]
    extent = square - moment.square() / count.clamp(min=1)
    valid = (count >= 2) & (extent > 1e-6)
    slope = (product - (moment / count.clamp(min=1))[..., None] * total) / extent.clamp(min=1e-6)[..., None]
    return torch.where(valid[..., None], slope, 0.0), valid


def without_jumps(
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    limit: float,
) -> Float[Tensor, "frames views joints"]:
    """Weights with single outliers in time set to 0.

    A detection is an outlier if it is further than `limit` from the median of the up to six frames around, and several
    times further than is usual in its view (at low frame rates everything moves far). A detection without neighbours is
    kept.

    Args:
        pixels: 2D tracks.
        weights: 0: not detected.
        limit: pixels.
    """
    out = torch.empty_like(weights)
    for view in range(pixels.shape[1]):  # a view at a time: the neighbours are six copies
        seen = (weights[:, view] > 0) & pixels[:, view].isfinite().all(dim=-1)
        values = torch.where(seen[..., None], pixels[:, view], torch.nan)
        gap = values.new_full((_JUMP_REACH, *values.shape[1:]), torch.nan)
        padded = torch.cat([gap, values, gap])
        steps = [s for s in range(2 * _JUMP_REACH + 1) if s != _JUMP_REACH]
        middle = torch.stack([padded[s : s + len(pixels)] for s in steps]).nanmedian(dim=0).values
        away = (values - middle).norm(dim=-1)
        usual = float(away.nanmedian().nan_to_num())
        out[:, view] = torch.where(away > max(limit, _UNUSUAL * usual), 0.0, weights[:, view])
    return out


def _picked(values: Tensor, index: Int[Tensor, "times views"]) -> Tensor:
    """Of every view, the frames that `index` names."""
    return values[index, torch.arange(values.shape[1])]
