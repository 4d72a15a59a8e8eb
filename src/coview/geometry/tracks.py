"""2D tracks read between frames: where a joint was in an image at a time when nobody took a picture."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_REACH = 3  # frames to either side that tell how fast a pixel moves
_NEAR = 0.02  # of a frame: so near to a picture, the picture is the answer


@dataclass(frozen=True)
class Reading:
    """Tracks at common times."""

    pixels: Float[Tensor, "times views joints 2"]  # NaN where not seen
    velocity: Float[Tensor, "times views joints 2"]  # pixels per frame; 0 where not known
    weights: Float[Tensor, "times views joints"]  # 0 where not seen


def read_at(
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    velocity: Float[Tensor, "frames views joints 2"],
    places: Float[Tensor, "times views"],
) -> Reading:
    """Each camera's tracks at `places`, counted in its own frames; not seen outside its recording.

    Cubic through values and velocities of the two pictures around (Hermite), so that the noise of the answer is at
    most that of a picture; both must have seen the joint, unless one is within 2 % of a frame."""
    frames = len(pixels)
    seen = (weights > 0) & pixels.isfinite().all(dim=-1)
    before = places.floor().clamp(0, max(0, frames - 2))
    share = places - before
    inside = (places > -_NEAR) & (places < frames - 1 + _NEAR)
    index = before.long()
    first, second = (
        [_picked(each, index + step) for each in (torch.nan_to_num(pixels), velocity, weights, seen)]
        for step in (0, min(1, frames - 1))
    )
    t = share[..., None, None].to(pixels)
    square, cube = t * t, t * t * t
    value = (
        (2 * cube - 3 * square + 1) * first[0]
        + (cube - 2 * square + t) * first[1]
        + (3 * square - 2 * cube) * second[0]
        + (cube - square) * second[1]
    )
    speed = (1 - t) * first[1] + t * second[1]
    only_first, only_second = share < _NEAR, share > 1 - _NEAR
    known = (first[3] | only_second[..., None]) & (second[3] | only_first[..., None]) & inside[..., None]
    value = torch.where(only_first[..., None, None], first[0], value)
    value = torch.where(only_second[..., None, None], second[0], value)
    trust = torch.where(
        only_first[..., None],
        first[2],
        torch.where(only_second[..., None], second[2], torch.minimum(first[2], second[2])),
    )
    return Reading(
        torch.where(known[..., None], value, torch.nan),
        torch.where(known[..., None], speed, 0.0),
        torch.where(known, trust, 0.0),
    )


def velocities(
    pixels: Float[Tensor, "frames views joints 2"], weights: Float[Tensor, "frames views joints"]
) -> tuple[Float[Tensor, "frames views joints 2"], Bool[Tensor, "frames views joints"]]:
    """Pixels per frame, and where they are known: a line through the pictures up to three frames away.

    The picture itself has no say in it, so that its error and that of its velocity have nothing in common."""
    seen = (weights > 0) & pixels.isfinite().all(dim=-1)
    values = torch.where(seen[..., None], torch.nan_to_num(pixels), 0.0)
    count, moment, square = (torch.zeros_like(weights) for _ in range(3))
    total, product = torch.zeros_like(values), torch.zeros_like(values)
    frames = len(pixels)
    for step in range(-_REACH, _REACH + 1):
        if step == 0 or abs(step) >= frames:
            continue
        here = slice(max(0, -step), frames - max(0, step))
        there = slice(max(0, step), frames - max(0, -step))
        there_seen = seen[there].to(weights)
        count[here] += there_seen
        moment[here] += step * there_seen
        square[here] += step * step * there_seen
        total[here] += values[there]
        product[here] += step * values[there]
    spread = square - moment.square() / count.clamp(min=1)
    known = (count >= 2) & (spread > 1e-6)
    slope = (product - (moment / count.clamp(min=1))[..., None] * total) / spread.clamp(min=1e-6)[..., None]
    return torch.where(known[..., None], slope, 0.0), known


def without_jumps(
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    limit: float,
) -> Float[Tensor, "frames views joints"]:
    """Weights with those detections at 0 that are further than `limit` pixels from the median of their neighbours.

    A joint that comes and goes is judged by the up to six pictures around; with fewer than two, not at all."""
    seen = (weights > 0) & pixels.isfinite().all(dim=-1)
    values = torch.where(seen[..., None], pixels, torch.nan)
    frames, around = len(pixels), []
    padded = torch.nn.functional.pad(values.movedim(0, -1), (_REACH, _REACH), value=torch.nan).movedim(-1, 0)
    for step in range(2 * _REACH + 1):
        if step != _REACH:
            around.append(padded[step : step + frames])
    middle = torch.stack(around).nanmedian(dim=0).values
    far = (values - middle).norm(dim=-1) > limit
    return torch.where(far, 0.0, weights)


def _picked(values: Tensor, index: Tensor) -> Tensor:
    """Of every view, the frames that `index` ("times views") names."""
    return torch.stack([values[index[:, view], view] for view in range(values.shape[1])], dim=1)
