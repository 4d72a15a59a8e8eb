"""How late one camera is against another, to a frame or so, by when things move: no geometry is known yet."""

import torch
from jaxtyping import Float
from torch import Tensor

LEAST = 1.5  # seconds that two recordings must share
_AT_MOST = 6  # candidates that are worth a closer look
_APART = 0.1  # seconds between two candidates


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
