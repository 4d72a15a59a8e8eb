"""Cameras from point tracks alone when more than the extrinsics is unknown: focal lengths, clocks, or both.

A camera that started late, or counts time differently, saw another instant in every frame. How late it is is found
roughly by when things move (`lateness`), then together with poses and focal lengths by bundle adjustment, its tracks
read between frames (`tracks`). What is given is believed until the recording contradicts it.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.adjustment import Adjusted, Clocks, adjust
from coview.geometry.lateness import LEAST, candidates, correlations, motion_signal
from coview.geometry.linearisation import Unknowns
from coview.geometry.self_calibration import SelfCalibrated, self_calibrate
from coview.geometry.tracks import Reading, read_at, velocities, without_jumps
from coview.geometry.triangulation import triangulate_robust
from coview.geometry.view_graph import NotDeterminedError

_FOCALS = (1.0, 0.8, 1.25)  # of the given one, to begin with; later ones where earlier ones fit badly
_ROUNDS = 4
_SURE = 3.5  # standard deviations beyond which what was given is not believed


@dataclass(frozen=True)
class FreelyCalibrated:
    """Cameras up to a similarity, and when each one took its pictures."""

    cameras: Cameras
    offset: Float[Tensor, "views"]  # seconds that a camera is later than the first one
    offset_sigma: Float[Tensor, "views"]
    focal_sigma: Float[Tensor, "views"]
    adjusted: Adjusted
    words: str


def calibrate_freely(
    lenses: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    *,
    names: tuple[str, ...],
    fps: float,
    threshold: float = 12.0,
    reach: float = 10.0,
    seed: int = 0,
) -> FreelyCalibrated:
    lenses, pixels, weights = lenses.to(torch.float64), pixels.double(), weights.double()
    weights = without_jumps(pixels, weights, 3 * threshold)
    speed, sure = velocities(pixels, weights)
    lag = rough_lags(pixels, speed, weights * sure, fps, reach)
    frames = torch.arange(len(pixels), dtype=torch.float64)

    def read(late: Tensor) -> Reading:
        return read_at(pixels, weights, speed, frames[:, None] - late * fps)

    best = None
    for factor in _FOCALS:
        start = _with_focal(lenses, torch.full((len(lenses),), factor, dtype=torch.float64))
        seen = read(lag)
        try:
            found = self_calibrate(
                start, seen.pixels, seen.weights, names=names, threshold=2 * threshold, seed=seed
            )
        except NotDeterminedError as reason:
            refused = reason
            continue
        now = _settled(found.cameras, lag, read, fps, threshold, Unknowns("each", "offset"), seed)
        if best is None or now[0].cost < best[0].cost:
            best = now
        break
    if best is None:
        raise refused
    free, late = best
    words, unknowns = [], Unknowns("each", "offset")
    # simpler explanations first: whatever was given, then one factor for all
    for simpler in (
        Unknowns("given", "given"),
        Unknowns("given", "offset"),
        Unknowns("shared", "given"),
        Unknowns("shared", "offset"),
        Unknowns("each", "given"),
    ):
        cameras = free.cameras
        if simpler.focal == "given":
            cameras = replace(cameras, intrinsics=lenses.intrinsics)
        if simpler.focal == "shared":
            common = (free.cameras.focal[:, 0] / lenses.focal[:, 0]).median()
            cameras = replace(cameras, intrinsics=_with_focal(lenses, common.expand(len(lenses))).intrinsics)
        begin = late if simpler.clock == "offset" else torch.zeros_like(late)
        other, other_late = _settled(cameras, begin, read, fps, threshold, simpler, seed)
        gain = 2 * (_mean_cost(other) - _mean_cost(free)) * free.residuals.isfinite().sum() / free.sigma**2
        words.append(f"{simpler.focal}/{simpler.clock} {gain:.0f}")
        if gain < 30:
            return _answer(other, other_late, fps, " ".join(words))
    return _answer(free, late, fps, " ".join(words))


def _mean_cost(adjusted: Adjusted) -> float:
    return adjusted.cost / float(adjusted.residuals.isfinite().sum())


def _answer(adjusted: Adjusted, late: Tensor, fps: float, words: str) -> FreelyCalibrated:
    return FreelyCalibrated(
        adjusted.cameras, late, adjusted.clock_sigma[:, 0], adjusted.focal_sigma, adjusted, words
    )


def _settled(cameras, late, read, fps, threshold, unknowns, seed):
    for limit in (2 * threshold, threshold, threshold)[:3]:
        seen = read(late)
        straight = cameras.undistort(torch.nan_to_num(seen.pixels))[0]
        found = triangulate_robust(
            straight, cameras.without_distortion().pixels_from_world, seen.weights, threshold=limit, seed=seed
        )
        points = found.points.flatten(0, 1)
        known = points.isfinite().all(dim=-1)
        trust = (seen.weights * found.inliers).transpose(0, 1).flatten(1)
        moment = (torch.arange(len(seen.pixels), dtype=torch.float64) - len(seen.pixels) / 2) / fps
        moment = moment[:, None].expand(found.points.shape[:2]).flatten()
        velocity = (seen.velocity * fps).transpose(0, 1).flatten(1, 2)
        clocks = (
            None
            if unknowns.clock == "given"
            else Clocks(velocity[:, known], moment[known], unknowns.clock == "drift")
        )
        adjusted = adjust(
            cameras,
            points[known],
            seen.pixels.transpose(0, 1).flatten(1, 2)[:, known],
            trust[:, known],
            huber=threshold / 3,
            fit_focal=unknowns.focal,
            clocks=clocks,
        )
        cameras = adjusted.cameras
        late = late + adjusted.clock[:, 0]
    return adjusted, late


def rough_lags(pixels, speed, weights, fps: float, reach: float) -> Float[Tensor, "views"]:
    """Seconds that each camera is later than the first, to a frame or so, along the surest pairs."""
    views, most = pixels.shape[1], min(round(reach * fps), len(pixels) - 1)
    signals = [motion_signal(pixels[:, v], speed[:, v], weights[:, v]) for v in range(views)]
    pairs = []
    for a in range(views):
        for b in range(a + 1, views):
            found = candidates(correlations(signals[b], signals[a], most, round(LEAST * fps)), most, fps)
            if found:
                pairs.append((found[0][1], a, b, found[0][0]))
    late, pairs = {0: 0.0}, sorted(pairs, reverse=True)
    while len(late) < views:
        edge = next(((a, b, lag) for _, a, b, lag in pairs if (a in late) != (b in late)), None)
        if edge is None:
            break
        a, b, lag = edge
        if a in late:
            late[b] = late[a] - lag / fps
        else:
            late[a] = late[b] + lag / fps
    return torch.tensor([late.get(v, 0.0) for v in range(views)], dtype=torch.float64)


def _with_focal(cameras: Cameras, factor: Tensor) -> Cameras:
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, :2, :2] *= factor[:, None, None]
    return replace(cameras, intrinsics=intrinsics)
