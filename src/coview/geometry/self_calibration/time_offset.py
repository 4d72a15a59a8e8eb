"""How late one camera is against another, to a frame or so, by when things move: no geometry is known yet.

Of several people nobody knows yet who is who: what every camera saw is then several tracks, and those pairs of
tracks that show one person are the ones that fit one epipolar geometry, at one lag.
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

LEAST = 1.5  # seconds that two recordings must share
_AT_MOST = 10  # candidates that are worth a closer look
_APART = 0.1  # seconds between two candidates
_NEARBY = (
    -6,
    -4,
    -2,
    -1,
    0,
    1,
    2,
    4,
    6,
)  # frames: a peak of the correlation is as wide as a movement is long
_COARSE, _LOOKED_AT = 3, 4  # frames between the lags tried where all are, and how many are looked at closely
_SURE = 0.35  # a lag that misses by less than this share of what others miss by is right
_TRIED = 4  # pairs that are tried at every lag, to tie one more camera
_SOME_FRAMES, _FEWEST, _REFITS = 60, 60, 5  # frames, points and reweightings of a fundamental matrix
_AT_ONCE = 32  # lags: memory
_PAIRINGS = 6  # of the tracks of two cameras: those that move most alike


@dataclass(frozen=True)
class Seen:
    """What one camera saw of one thing that moves."""

    pixels: Float[Tensor, "frames joints 2"]
    weights: Float[Tensor, "frames joints"]  # 0: not seen

    @property
    def span(self) -> tuple[int, int]:
        """The first frame with anything seen, and the one after the last."""
        frames = (self.weights > 0).any(dim=1).nonzero()[:, 0]
        return (int(frames[0]), int(frames[-1]) + 1) if len(frames) else (0, 0)

    @property
    def signal(self) -> Float[Tensor, "frames channels"]:
        """How it moves: `motion_signal`."""
        speed, known = velocities(self.pixels[:, None], self.weights[:, None])
        return motion_signal(self.pixels, speed[:, 0], self.weights * known[:, 0])


def motion_signal(
    pixels: Float[Tensor, "frames joints 2"],
    velocity: Float[Tensor, "frames joints 2"],
    weights: Float[Tensor, "frames joints"],
) -> Float[Tensor, "frames channels"]:
    """What cameras around a person see alike, in sizes of the person in the image; NaN where it is not seen.

    How high every joint is in the image against the others, which no turn about a vertical axis changes much, and
    how fast it moves (the root, so that one fast hand does not drown all else): two channels per joint."""
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
) -> Float[Tensor, "lags"]:
    """Mean over joints of the correlation of first[n + lag] with second[n], for lags -reach … reach; NaN where fewer
    than `least` frames are shared.

    A positive lag: what the second camera shows in frame n, the first shows in a later frame."""
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
    spread1 = (crossed(q1, m2) - sum1.square() / safe).clamp(min=1e-12)
    spread2 = (crossed(m1, q2) - sum2.square() / safe).clamp(min=1e-12)
    each = covariance / (spread1 * spread2).sqrt()
    enough = count >= least
    each = torch.where(enough & (each.abs() <= 1.01), each, torch.nan)
    # Fisher's z over its standard deviation, but for the number of independent frames: short overlaps agree by chance
    mean = each.clamp(-0.999, 0.999).atanh().nanmean(dim=1) * count.amax(dim=1).clamp(min=1).sqrt()
    lags = torch.arange(-reach, reach + 1)
    out = mean[lags % length]
    return torch.where(lags.abs() < frames, out, torch.nan)


def candidates(correlation: Float[Tensor, "lags"], reach: int, fps: float) -> list[tuple[int, float]]:
    """The lags (frames) at which the correlation peaks, the best first, and how high."""
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
class _Lag:
    """What a track of one camera and one of another say: the second's picture n + lag shows what the first's picture n
    shows."""

    doubt: float  # its miss over the median miss of other lags; inf: they share too little
    first: int
    second: int
    tracks: tuple[Seen, Seen]
    lag: int  # frames
    alike: float  # the height of the correlation's peak


def rough_offsets(
    tracks: Sequence[Sequence[Seen]],
    fps: float,
    reach: float,
    *,
    thorough: bool = False,
    believed: float = math.inf,
) -> Float[Tensor, "views"]:
    """Seconds that each camera is later than the first, to a frame or so; 0 for one that nothing ties.

    `tracks`: per view, what it saw: one track where there is one person. Steps repeat, so correlation proposes several
    lags of every pair; the one whose points best fit one fundamental matrix (no lens needs to be known) is believed
    where it fits far better than the others. Cameras that no such pair ties are tied by trying every lag of the
    likeliest pairs; if `thorough`, all are; a lag that misses by more than the share `believed` of what others miss by
    ties nothing. Quadratic in views, and in the tracks of each."""
    frames = next((len(seen.pixels) for view in tracks for seen in view), 1)
    most = min(round(reach * fps), frames - 1)
    signals = [[seen.signal for seen in view] for view in tracks]
    sure, pairs = 0.0 if thorough else _SURE, []
    for a, b in combinations(range(len(tracks)), 2):
        proposed = []
        for i, j in product(range(len(tracks[a])), range(len(tracks[b]))):
            correlation = correlations(signals[b][j], signals[a][i], most, round(LEAST * fps))
            found = candidates(correlation, most, fps)
            lags = torch.tensor([0, *(lag for lag, _ in found)])
            proposed.append((found[0][1] if found else -math.inf, (tracks[a][i], tracks[b][j]), lags))
        proposed.sort(key=lambda pairing: -pairing[0])
        for alike, both, lags in proposed[:_PAIRINGS]:
            pairs.append(_best_lag(a, b, both, lags, alike))
            if pairs[-1].doubt < _SURE:
                break
    late = _chained([pair for pair in pairs if pair.doubt < sure], fps)
    every = torch.arange(-most, most + 1, _COARSE)
    while len(late) < len(tracks):
        bridging = [pair for pair in pairs if (pair.first in late) != (pair.second in late)]
        bridging.sort(key=lambda pair: -pair.alike)
        tried = [_best_lag(p.first, p.second, p.tracks, every, p.alike) for p in bridging[:_TRIED]]
        best = min(tried, key=lambda pair: pair.doubt, default=None)
        if best is None or not math.isfinite(best.doubt) or best.doubt > believed:
            break
        pairs = [pair for pair in pairs if (pair.first, pair.second) != (best.first, best.second)] + [best]
        kept = [
            pair
            for pair in pairs
            if pair.doubt < sure or pair is best or (pair.first in late and pair.second in late)
        ]
        late = _chained(kept, fps)
    return torch.tensor([late.get(view, 0.0) for view in range(len(tracks))], dtype=torch.float64)


def _chained(pairs: list[_Lag], fps: float) -> dict[int, float]:
    """Seconds late of every camera that pairs tie to the first, the least doubtful pairs first."""
    late: dict[int, float] = {0: 0.0}
    pairs = sorted(pairs, key=lambda pair: pair.doubt)
    while edge := next((pair for pair in pairs if (pair.first in late) != (pair.second in late)), None):
        a, b, lag = edge.first, edge.second, edge.lag / fps
        late.update({b: late[a] - lag} if a in late else {a: late[b] + lag})
    return late


def _best_lag(a: int, b: int, tracks: tuple[Seen, Seen], lags: Int[Tensor, "lags"], alike: float) -> _Lag:
    """The lag that fits best, looked for among `lags` and then around the best few of them."""
    first, second = tracks
    misses = epipolar_misses(second, first, lags)
    known = misses[misses.isfinite()]
    if not len(known):
        return _Lag(math.inf, a, b, tracks, 0, alike)
    few = lags[misses.argsort()[:_LOOKED_AT]]
    best, least = 0, math.inf
    while True:
        near = (few[:, None] + torch.tensor(_NEARBY)).flatten().unique()
        closer = epipolar_misses(second, first, near)
        if not float(closer.min()) < least:
            return _Lag(least / float(known.median()), a, b, tracks, best, alike)
        best, least = int(near[closer.argmin()]), float(closer.min())
        few = torch.tensor([best])


def epipolar_misses(first: Seen, second: Seen, lags: Int[Tensor, "lags"]) -> Float[Tensor, "lags"]:
    """How badly the first `lag` pictures on fits the second: the median distance to the epipolar geometry that
    fits best, as a share of how far the points spread; inf where they share too little."""
    parts = [_misses(first, second, part) for part in lags.split(_AT_ONCE)]
    return torch.cat(parts)


def _misses(one: Seen, other: Seen, lags: Int[Tensor, "lags"]) -> Float[Tensor, "lags"]:
    (start, stop), (start2, stop2) = one.span, other.span
    begin, end = (start - lags).clamp(min=start2), (stop - lags).clamp(max=stop2)  # of the second's pictures
    share = torch.linspace(0, 1, _SOME_FRAMES, dtype=torch.float64)
    second = (begin[:, None] + share * (end - 1 - begin)[:, None]).round().long()
    second = second.clamp(0, len(other.pixels) - 1)
    first = (second + lags[:, None]).clamp(0, len(one.pixels) - 1)
    seen = ((one.weights[first] > 0) & (other.weights[second] > 0)).flatten(1)  # lags points
    a, b = (
        torch.nan_to_num(side.pixels[index]).flatten(1, 2).double()
        for side, index in ((one, first), (other, second))
    )
    enough = (seen.sum(dim=1) >= _FEWEST) & (end - begin >= _SOME_FRAMES)
    trust = seen.double()
    miss = torch.zeros_like(trust)
    for _ in range(_REFITS):
        miss = sampson_distance(eight_point(a, b, trust), a, b)
        middle = torch.where(seen, miss, torch.nan).nanmedian(dim=1, keepdim=True).values
        trust = seen / (1 + (miss / (2 * middle.clamp(min=1e-9))).square())
    size = sum(_spread(points, seen) for points in (a, b))
    median = torch.where(seen, miss, torch.nan).nanmedian(dim=1).values / size
    return torch.where(enough & median.isfinite(), median, torch.inf)


def _spread(
    points: Float[Tensor, "lags points 2"], seen: Bool[Tensor, "lags points"]
) -> Float[Tensor, "lags"]:
    values = torch.where(seen[..., None], points, torch.nan)
    away = (values - values.nanmedian(dim=1, keepdim=True).values).norm(dim=-1)
    return away.nanmedian(dim=1).values.clamp(min=1e-9)
