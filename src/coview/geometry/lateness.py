"""How late one camera is against another, to a frame or so, by when things move: no geometry is known yet."""

import math
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.epipolar import eight_point, sampson_distance
from coview.geometry.tracks import velocities

LEAST = 1.5  # seconds that two recordings must share
_AT_MOST = 10  # candidates that are worth a closer look
_APART = 0.1  # seconds between two candidates
_NEARBY = (-6, -4, -2, -1, 1, 2, 4, 6)  # frames: a peak of the correlation is as wide as a movement is long
_SOME_FRAMES, _FEWEST, _REFITS = 60, 60, 6  # frames, points and reweightings of a fundamental matrix


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


def rough_offsets(
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    fps: float,
    reach: float,
) -> Float[Tensor, "views"]:
    """Seconds that each camera is later than the first, to a frame or so; 0 for one that nothing ties.

    Steps repeat, so correlation proposes several lags of every pair; the one whose points best fit one fundamental
    matrix (no lens needs to be known) is believed, and the cameras are chained along the pairs that fit best."""
    views, most = pixels.shape[1], min(round(reach * fps), len(pixels) - 1)
    speed, sure = velocities(pixels, weights)
    signals = [motion_signal(pixels[:, v], speed[:, v], weights[:, v] * sure[:, v]) for v in range(views)]
    pairs = []
    for a, b in combinations(range(views), 2):
        found = candidates(correlations(signals[b], signals[a], most, round(LEAST * fps)), most, fps)
        lags = [0, *(lag for lag, _ in found)]
        both = pixels[:, [b, a]], weights[:, [b, a]]
        best = min((epipolar_miss(*both, frames), frames) for frames in lags)
        near = [(epipolar_miss(*both, best[1] + step), best[1] + step) for step in _NEARBY]
        miss, frames = min([best, *near])
        if math.isfinite(miss):
            pairs.append((miss, a, b, frames / fps))
    late: dict[int, float] = {0: 0.0}
    pairs.sort()
    while edge := next((pair for pair in pairs if (pair[1] in late) != (pair[2] in late)), None):
        _, a, b, lag = edge
        # what a's picture n shows, b's shows `lag` later: b began to record earlier
        late.update({b: late[a] - lag} if a in late else {a: late[b] + lag})
    return torch.tensor([late.get(view, 0.0) for view in range(views)], dtype=torch.float64)


def epipolar_miss(
    pixels: Float[Tensor, "frames 2 joints 2"], weights: Float[Tensor, "frames 2 joints"], lag: int
) -> float:
    """How badly the first view `lag` pictures on fits the second: the median distance to the epipolar geometry that
    fits best, as a share of how far the points spread; inf where they share too little."""
    frames = len(pixels)
    first = torch.arange(max(0, lag), min(frames, frames + lag))
    second = torch.arange(max(0, -lag), min(frames, frames - lag))
    some = torch.linspace(0, max(0, len(first) - 1), min(len(first), _SOME_FRAMES)).long()
    both = (weights[first[some], 0] > 0) & (weights[second[some], 1] > 0)
    if int(both.sum()) < _FEWEST:
        return math.inf
    a, b = (pixels[index[some], view][both].double() for view, index in ((0, first), (1, second)))
    size = (a - a.median(dim=0).values).norm(dim=-1).median() + (b - b.median(dim=0).values).norm(
        dim=-1
    ).median()
    trust = torch.ones(len(a), dtype=torch.float64)
    for _ in range(_REFITS):
        miss = sampson_distance(eight_point(a, b, trust), a, b)
        trust = 1 / (1 + (miss / (2 * miss.median().clamp(min=1e-9))).square())
    return float(miss.median() / size.clamp(min=1e-9))
