"""From a rough start to cameras, clocks and points that fit: triangulate, adjust, read the tracks anew, again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.bundle.bundle_adjustment import Adjusted, Clocks, adjust
from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import MIN_SHARED, NotDeterminedError
from coview.geometry.self_calibration.camera_clocks import Timing
from coview.geometry.self_calibration.track_interpolation import Reading, read_at
from coview.geometry.self_calibration.variance_inflation import variance_factor
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated

_ALIKE, _NEAR = (
    0.01,
    0.5,
)  # frames: a clock that still moves less has settled, or may be looked at more closely
_MORE_ROUNDS = 4  # with one threshold, at most
_AT_REST = 2  # iterations of an adjustment that had nothing left to do


@dataclass(frozen=True)
class Tracks:
    """What each camera saw, by its own clock: picture n was taken at n / fps."""

    pixels: Float[Tensor, "frames views joints 2"]
    weights: Float[Tensor, "frames views joints"]
    fps: float

    def read(self, timing: Timing, times: Float[Tensor, "times"]) -> Reading:
        """All cameras at the same instants; velocities in pixels per frame."""
        return read_at(self.pixels, self.weights, timing.own(times) * self.fps)


@dataclass(frozen=True)
class Settled:
    """Cameras up to a similarity, when they took their pictures, and what they saw."""

    cameras: Cameras
    timing: Timing
    times: Float[Tensor, "times"]  # seconds by the first camera's clock
    points: Float[Tensor, "times joints 3"]  # NaN where fewer than two views agree
    inliers: Bool[Tensor, "times views joints"]
    reading: Reading
    adjusted: Adjusted
    misfit: float  # pixels: root mean square over all that was seen, none counted beyond the threshold
    agreement: Float[Tensor, "views"]  # share of what each camera saw within the threshold


def settle(
    cameras: Cameras,
    timing: Timing,
    tracks: Tracks,
    times: Float[Tensor, "times"],
    unknowns: Unknowns,
    *,
    threshold: float,
    names: tuple[str, ...],
    narrowing: Sequence[float],
    bend: float | None = None,
    seed: int = 0,
) -> Settled:
    """Cameras, clocks and points with the least robust reprojection error, from a start that roughly fits.

    `narrowing`: what is an outlier in each round, times `threshold` (pixels); `bend`: where the loss becomes linear
    (pixels; a third of what is an outlier if not given). NotDeterminedError, naming the
    camera, where one shares too few points with the others."""
    timing = timing.around(float(times.mean()))
    adjusted = None
    widths, rounds = list(narrowing), 0
    while widths:
        factor = widths[0] * threshold
        reading = tracks.read(timing, times)
        found = triangulated(cameras, reading, factor, seed)
        held = reading.weights * found.inliers
        _check_held(held, names, factor, unknowns)
        moment = times - timing.middle
        adjusted = _adjusted(
            cameras, found.points, reading, held, moment, tracks.fps, unknowns, bend or factor / 3
        )
        cameras, timing = adjusted.cameras, timing.later(adjusted.clock)
        moved = float(adjusted.clock[:, 0].abs().max()) * tracks.fps
        last = len(widths) == 1
        at_rest = moved < _ALIKE and adjusted.iterations <= _AT_REST if last else moved < _NEAR
        rounds += 1
        if at_rest or rounds > _MORE_ROUNDS:
            widths, rounds = widths[1:], 0
    assert adjusted is not None
    reading = tracks.read(timing, times)
    found = triangulated(cameras, reading, threshold, seed)
    misfit, agreement = _judged(reading, found, threshold)
    adjusted = _honest(adjusted, cameras, found.points, reading, found.inliers)
    seen = reading.weights > 0
    return Settled(
        cameras, timing, times, found.points, found.inliers & seen, reading, adjusted, misfit, agreement
    )


def again(settled: Settled, fps: float, unknowns: Unknowns, *, threshold: float) -> Adjusted:
    """What other unknowns make of the very same observations, from where they were settled."""
    held = settled.reading.weights * settled.inliers
    moment = settled.times - settled.timing.middle
    adjusted = _adjusted(
        settled.cameras, settled.points, settled.reading, held, moment, fps, unknowns, threshold / 3
    )
    return _honest(adjusted, settled.cameras, settled.points, settled.reading, settled.inliers)


def _honest(
    adjusted: Adjusted,
    cameras: Cameras,
    points: Float[Tensor, "times joints 3"],
    reading: Reading,
    inliers: Bool[Tensor, "times views joints"],
) -> Adjusted:
    """With a covariance that knows that a detector repeats its errors."""
    misses = cameras.project(points[:, None]) - reading.pixels
    known = inliers & misses.isfinite().all(dim=-1)
    factor = variance_factor(torch.where(known[..., None], misses, 0.0), known)
    return replace(adjusted, covariance=factor * adjusted.covariance)


def detector_noise(found: Settled) -> float:
    """Standard deviation (pixels, per axis) of a usual detection, wrong ones included as what they are: few.

    From the median length of all misses (of a 2D normal 1.177 σ). Points take up three of their 2n coordinates; a
    detection that took no part in its point misses by all it errs."""
    misses = (found.cameras.project(found.points[:, None]) - found.reading.pixels).norm(dim=-1)
    known = (found.reading.weights > 0) & misses.isfinite()
    count = found.inliers.sum(dim=1, keepdim=True)
    left = torch.where(found.inliers, (1 - 1.5 / count.clamp(min=2)).sqrt(), 1.0)
    errors = (misses / left)[known]
    return float(errors.median()) / 1.177 if errors.numel() else 0.0


def triangulated(cameras: Cameras, reading: Reading, limit: float, seed: int = 0) -> Triangulated:
    """The points that views agree on to `limit` pixels."""
    return triangulate_robust(cameras, reading.pixels, reading.weights, threshold=limit, seed=seed)


def _adjusted(
    cameras: Cameras,
    points: Float[Tensor, "times joints 3"],
    reading: Reading,
    held: Float[Tensor, "times views joints"],
    moment: Float[Tensor, "times"],
    fps: float,
    unknowns: Unknowns,
    bend: float,
) -> Adjusted:
    """Bundle adjustment over the detections that agree; every joint of every instant is a point of its own."""
    known = points.isfinite().all(dim=-1).flatten()

    def kept(values: Tensor) -> Tensor:
        return values.transpose(0, 1).flatten(1, 2)[:, known]

    if (
        unknowns.clock != "given"
    ):  # what is not known to move would stand still whatever the clocks, and hold them
        held = torch.where((reading.velocity != 0).any(dim=-1), held, 0.0)
    clocks = None
    if unknowns.clock != "given":
        each = moment[:, None].expand(points.shape[:2]).flatten()[known]
        clocks = Clocks(kept(reading.velocity) * fps, each, unknowns.clock == "drift")
    return adjust(
        cameras,
        points.flatten(0, 1)[known],
        kept(reading.pixels),
        kept(held),
        huber=bend,
        fit_focal=unknowns.focal,
        fit_distortion=unknowns.distortion,
        clocks=clocks,
        iterations=30,
    )


def _check_held(
    held: Float[Tensor, "times views joints"], names: tuple[str, ...], limit: float, unknowns: Unknowns
) -> None:
    """Every camera must hold some points before an adjustment can move it."""
    count = ((held > 0) & ((held > 0).sum(dim=1, keepdim=True) >= 2)).sum(dim=(0, 2))
    if int(count.min()) < MIN_SHARED:
        name = names[int(count.argmin())]
        raise NotDeterminedError(misfit_words(name, f"{int(count.min())}", limit, unknowns))


def misfit_words(name: str, held: str, limit: float, unknowns: Unknowns) -> str:
    """What a camera that does not fit usually means."""
    late = (
        "its video is not synchronised"
        if unknowns.clock == "given"
        else "it is late by more than was searched"
    )
    return (
        f"camera '{name}' does not fit the others: {held} of its detections agree with them within {limit:.0f} px. "
        f"Usual causes: it follows another person, its left and right are swapped (a mirrored video), {late}, "
        f"or its lens is far from what was assumed."
    )


def _judged(reading: Reading, found: Triangulated, threshold: float) -> tuple[float, Tensor]:
    seen = reading.weights > 0
    fits = seen & found.inliers
    squared = torch.where(fits, found.residuals.square().clamp(max=threshold**2), threshold**2)
    agreement = fits.sum(dim=(0, 2)) / seen.sum(dim=(0, 2)).clamp(min=1)
    return float(squared[seen].mean().sqrt()), agreement.double()
