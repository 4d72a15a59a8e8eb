"""Rough time offsets between cameras, to about a frame, from motion alone: no geometry is known yet.

Of several people it is not known yet who is who: each camera then has several tracks, and those pairs of tracks that
show one person are the ones that fit one epipolar geometry at one shift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.geometry.epipolar.relative_pose import eight_point, sampson_distance
from coview.geometry.self_calibration.track_interpolation import velocities

# seconds that two recordings must share
LEAST = 1.5
# peaks of the correlation that are tested against epipolar geometry
_AT_MOST = 10
# seconds between two peaks
_APART = 0.1
# frames: a peak of the correlation is as wide as a movement is long
_NEARBY = (-6, -4, -2, -1, 0, 1, 2, 4, 6)
# frames between shifts in an exhaustive search, and how many of them are refined
_COARSE, _LOOKED_AT = 3, 4
# a shift whose epipolar error is below this share of the median over other shifts is accepted
_SURE = 0.35
# pairs of tracks searched exhaustively, to tie one more camera
_TRIED = 4
# frames, least number of points, and reweightings of a fundamental matrix
_SOME_FRAMES, _FEWEST, _REFITS = 60, 60, 5
# shifts evaluated at a time, for memory
_AT_ONCE = 32
# pairs of tracks of two cameras that are tested: those with the highest correlation
_PAIRINGS = 6


@dataclass(frozen=True)
class Track2D:
    """2D track of one moving object in one camera."""

    # pixels
    pixels: Float[Tensor, "frames joints 2"]
    # 0: not detected
    weights: Float[Tensor, "frames joints"]

    @property
    def span(self) -> tuple[int, int]:
        """The first frame with a detection, and the one after the last."""
        frames = (self.weights > 0).any(dim=1).nonzero()[:, 0]
        return (int(frames[0]), int(frames[-1]) + 1) if len(frames) else (0, 0)

    @property
    def signal(self) -> Float[Tensor, "frames channels"]:
        """Its `motion_signal`."""
        speed, valid = velocities(self.pixels[:, None], self.weights[:, None])
        return motion_signal(self.pixels, speed[:, 0], self.weights * valid[:, 0])


def motion_signal(
    pixels: Float[Tensor, "frames joints 2"],
    velocity: Float[Tensor, "frames joints 2"],
    weights: Float[Tensor, "frames joints"],
) -> Float[Tensor, "frames channels"]:
    """Signals of a moving person that cameras on all sides see alike; NaN where unknown.

    Two channels per joint: its height in the image relative to the other joints, which a rotation about a vertical axis
    hardly changes, and the root of its speed (so that one fast hand does not dominate). Unit: sizes of the person in
    the image.

    Args:
        pixels: of the joints.
        velocity: pixels per frame.
        weights: 0: not detected.
    """
    seen = weights > 0
    values = torch.where(seen[..., None], pixels, torch.nan)
    middle = values.nanmedian(dim=1, keepdim=True).values
    size = (values - middle).square().sum(dim=-1).nanmedian(dim=1).values.sqrt()
    whole = seen.double().mean(dim=1) > 0.5  # a few joints say nothing of the person's middle
    height = (values - middle)[..., 1] / size[:, None].clamp(min=1e-9)
    height = torch.where(whole[:, None], height, torch.nan)
    speed = (velocity.norm(dim=-1) / size.nanmedian().clamp(min=1e-9)).sqrt()
    return torch.cat([height, torch.where(seen, speed, torch.nan)], dim=-1)


def correlations(
    first: Float[Tensor, "frames channels"], second: Float[Tensor, "frames channels"], reach: int, least: int
) -> Float[Tensor, "shifts"]:
    """Correlation of first[n + shift] with second[n] for shifts from -reach to reach.

    The mean over channels of Fisher's z over its standard deviation: short overlaps agree by chance.

    Args:
        first: signals of one camera; NaN: unknown.
        second: signals of the other.
        reach: largest shift in frames.
        least: frames that must be shared.

    Returns:
        One value per shift; NaN where fewer than `least` frames are shared. At a positive shift the first camera shows
        in a later frame what the second shows in frame n.
    """
    frames = len(first)
    length = 2 * frames

    def spectrum(values: Tensor) -> Tensor:
        return torch.fft.rfft(values, n=length, dim=0)

    sides = []
    for signal in (first, second):
        there = signal.isfinite()
        level = torch.where(there, signal, torch.nan).nanmean(dim=0, keepdim=True)
        values = torch.where(there, signal - level, 0.0)
        sides.append([spectrum(there.to(values)), spectrum(values), spectrum(values * values)])
    (m1, x1, q1), (m2, x2, q2) = sides

    def crossed(a: Tensor, b: Tensor) -> Tensor:
        return torch.fft.irfft(a * b.conj(), n=length, dim=0)

    count = crossed(m1, m2)
    safe = count.clamp(min=1.0)
    sum1, sum2 = crossed(x1, m2), crossed(m1, x2)
    covariance = crossed(x1, x2) - sum1 * sum2 / safe
    variance1 = (crossed(q1, m2) - sum1.square() / safe).clamp(min=1e-12)
    variance2 = (crossed(m1, q2) - sum2.square() / safe).clamp(min=1e-12)
    each = covariance / (variance1 * variance2).sqrt()
    enough = count >= least
    each = torch.where(enough & (each.abs() <= 1.01), each, torch.nan)
    # Fisher's z over its standard deviation, but for the number of independent frames: short overlaps agree by chance
    mean = each.clamp(-0.999, 0.999).atanh().nanmean(dim=1) * count.amax(dim=1).clamp(min=1).sqrt()
    shifts = torch.arange(-reach, reach + 1)
    out = mean[shifts % length]
    return torch.where(shifts.abs() < frames, out, torch.nan)


def candidates(correlation: Float[Tensor, "shifts"], reach: int, fps: float) -> list[tuple[int, float]]:
    """Peaks of the correlation.

    Args:
        correlation: one value per shift, as `correlations` returns.
        reach: largest shift in frames.
        fps: frames per second.

    Returns:
        Shifts in frames and heights of the peaks, the highest first.
    """
    left = torch.nan_to_num(correlation, nan=-2.0).clone()
    found = []
    width = max(1, round(_APART * fps))
    for _ in range(_AT_MOST):
        place = int(left.argmax())
        if left[place] <= -1.5:
            break
        found.append((place - reach, float(left[place])))
        left[max(0, place - width) : place + width + 1] = -2.0
    return found


@dataclass(frozen=True)
class _Shift:
    """The best shift of a pair of tracks: frame n + shift of the second shows what frame n of the first shows."""

    # epipolar error at the shift over the median error at other shifts; inf: they share too little
    ambiguity: float
    # the two views
    first: int
    second: int
    tracks: tuple[Track2D, Track2D]
    # frames
    shift: int
    # height of the correlation's peak
    alike: float


def rough_time_offsets(
    tracks: Sequence[Sequence[Track2D]],
    fps: float,
    reach: float,
    *,
    thorough: bool = False,
    believed: float = math.inf,
) -> Float[Tensor, "views"]:
    """Time offset of every camera after the first, to about a frame.

    Steps repeat, so correlation proposes several shifts for every pair; the one whose points best fit one fundamental
    matrix (no intrinsics needed) is accepted where it fits far better than the others. Cameras that no such pair ties
    are tied by an exhaustive search over the shifts of the likeliest pairs. Quadratic in views, and in the tracks of
    each.

    Args:
        tracks: per view, its tracks: one where there is one person.
        fps: frames per second.
        reach: largest offset in seconds.
        thorough: whether all pairs are searched exhaustively.
        believed: the largest ambiguity (error over the median error of other shifts) with which an exhaustive search
            ties a camera.

    Returns:
        Seconds; 0 for a camera that nothing ties to the first.
    """
    frames = next((len(seen.pixels) for view in tracks for seen in view), 1)
    most = min(round(reach * fps), frames - 1)
    signals = [[seen.signal for seen in view] for view in tracks]
    sure, pairs = 0.0 if thorough else _SURE, []
    for a, b in combinations(range(len(tracks)), 2):
        proposed = []
        for i, j in product(range(len(tracks[a])), range(len(tracks[b]))):
            correlation = correlations(signals[b][j], signals[a][i], most, round(LEAST * fps))
            found = candidates(correlation, most, fps)
            shifts = torch.tensor([0, *(shift for shift, _ in found)])
            proposed.append((found[0][1] if found else -math.inf, (tracks[a][i], tracks[b][j]), shifts))
        proposed.sort(key=lambda pairing: -pairing[0])
        for alike, both, shifts in proposed[:_PAIRINGS]:
            pairs.append(_best_shift(a, b, both, shifts, alike))
            if pairs[-1].ambiguity < _SURE:
                break
    time_offset = _chained([pair for pair in pairs if pair.ambiguity < sure], fps)
    every = torch.arange(-most, most + 1, _COARSE)
    while len(time_offset) < len(tracks):
        bridging = [pair for pair in pairs if (pair.first in time_offset) != (pair.second in time_offset)]
        bridging.sort(key=lambda pair: -pair.alike)
        tried = [_best_shift(p.first, p.second, p.tracks, every, p.alike) for p in bridging[:_TRIED]]
        best = min(tried, key=lambda pair: pair.ambiguity, default=None)
        if best is None or not math.isfinite(best.ambiguity) or best.ambiguity > believed:
            break
        pairs = [pair for pair in pairs if (pair.first, pair.second) != (best.first, best.second)] + [best]
        kept = [
            pair
            for pair in pairs
            if pair.ambiguity < sure
            or pair is best
            or (pair.first in time_offset and pair.second in time_offset)
        ]
        time_offset = _chained(kept, fps)
    return torch.tensor([time_offset.get(view, 0.0) for view in range(len(tracks))], dtype=torch.float64)


def _chained(pairs: list[_Shift], fps: float) -> dict[int, float]:
    """Time offset (s) of every camera that pairs tie to the first, the least ambiguous pairs first."""
    time_offset: dict[int, float] = {0: 0.0}
    pairs = sorted(pairs, key=lambda pair: pair.ambiguity)
    while edge := next(
        (pair for pair in pairs if (pair.first in time_offset) != (pair.second in time_offset)), None
    ):
        a, b, shift = edge.first, edge.second, edge.shift / fps
        time_offset.update({b: time_offset[a] - shift} if a in time_offset else {a: time_offset[b] + shift})
    return time_offset


def _best_shift(
    a: int, b: int, tracks: tuple[Track2D, Track2D], shifts: Int[Tensor, "shifts"], alike: float
) -> _Shift:
    """The shift of least epipolar error, searched among `shifts` and then around the best few of them."""
    first, second = tracks
    residuals = epipolar_errors(second, first, shifts)
    valid = residuals[residuals.isfinite()]
    if not len(valid):
        return _Shift(math.inf, a, b, tracks, 0, alike)
    few = shifts[residuals.argsort()[:_LOOKED_AT]]
    best, least = 0, math.inf
    while True:
        near = (few[:, None] + torch.tensor(_NEARBY)).flatten().unique()
        closer = epipolar_errors(second, first, near)
        if not float(closer.min()) < least:
            return _Shift(least / float(valid.median()), a, b, tracks, best, alike)
        best, least = int(near[closer.argmin()]), float(closer.min())
        few = torch.tensor([best])


def epipolar_errors(
    first: Track2D, second: Track2D, shifts: Int[Tensor, "shifts"]
) -> Float[Tensor, "shifts"]:
    """Epipolar error of two tracks at every shift.

    Args:
        first: one track.
        second: the other, in another view.
        shifts: frames by which the first is ahead.

    Returns:
        The median Sampson distance to the fundamental matrix that fits best, as a share of the extent of the points;
        inf where they share too little.
    """
    parts = [_errors(first, second, part) for part in shifts.split(_AT_ONCE)]
    return torch.cat(parts)


def _errors(one: Track2D, other: Track2D, shifts: Int[Tensor, "shifts"]) -> Float[Tensor, "shifts"]:
    (start, stop), (start2, stop2) = one.span, other.span
    start_at, end = (
        (start - shifts).clamp(min=start2),
        (stop - shifts).clamp(max=stop2),
    )
    share = torch.linspace(0, 1, _SOME_FRAMES, dtype=torch.float64)
    second = (start_at[:, None] + share * (end - 1 - start_at)[:, None]).round().long()
    second = second.clamp(0, len(other.pixels) - 1)
    first = (second + shifts[:, None]).clamp(0, len(one.pixels) - 1)
    seen = ((one.weights[first] > 0) & (other.weights[second] > 0)).flatten(1)
    a, b = (
        torch.nan_to_num(side.pixels[index]).flatten(1, 2).double()
        for side, index in ((one, first), (other, second))
    )
    enough = (seen.sum(dim=1) >= _FEWEST) & (end - start_at >= _SOME_FRAMES)
    weight = seen.double()
    miss = torch.zeros_like(weight)
    for _ in range(_REFITS):
        miss = sampson_distance(eight_point(a, b, weight), a, b)
        middle = torch.where(seen, miss, torch.nan).nanmedian(dim=1, keepdim=True).values
        weight = seen / (1 + (miss / (2 * middle.clamp(min=1e-9))).square())
    size = sum(_spread(points, seen) for points in (a, b))
    median = torch.where(seen, miss, torch.nan).nanmedian(dim=1).values / size
    return torch.where(enough & median.isfinite(), median, torch.inf)


def _spread(
    points: Float[Tensor, "shifts points 2"], seen: Bool[Tensor, "shifts points"]
) -> Float[Tensor, "shifts"]:
    values = torch.where(seen[..., None], points, torch.nan)
    away = (values - values.nanmedian(dim=1, keepdim=True).values).norm(dim=-1)
    return away.nanmedian(dim=1).values.clamp(min=1e-9)
