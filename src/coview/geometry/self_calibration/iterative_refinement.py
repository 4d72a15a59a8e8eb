"""Iterative refinement of a rig: triangulation, bundle adjustment, interpolation of the tracks, in alternation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.bundle.bundle_adjustment import Adjusted, Clocks, adjust
from coview.geometry.bundle.cluster_covariance import Clusters
from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import MIN_SHARED, NotDeterminedError
from coview.geometry.self_calibration.camera_clocks import Timing
from coview.geometry.self_calibration.error_clusters import error_clusters
from coview.geometry.self_calibration.track_interpolation import Reading, read_at
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated

# frames: a clock whose last correction was smaller has converged (last threshold), or goes on to the next threshold
_CONVERGED, _NEAR = 0.01, 0.5
# rounds with one threshold, at most
_MORE_ROUNDS = 4
# iterations of an adjustment that had nothing left to correct
_AT_REST = 2


@dataclass(frozen=True)
class Tracks:
    """2D tracks of every camera by its own clock: frame n was taken at n / fps seconds."""

    # raw pixels
    pixels: Float[Tensor, "frames views joints 2"]
    # 0: not detected
    weights: Float[Tensor, "frames views joints"]
    # frames per second, of all cameras
    fps: float
    # the joints of so many people follow each other
    people: int = 1

    def read(self, timing: Timing, times: Float[Tensor, "times"]) -> Reading:
        """Interpolate all tracks at common instants.

        Args:
            timing: the cameras' clocks.
            times: seconds by the first camera's clock.

        Returns:
            Pixels and weights at these times; velocities in pixels per frame.
        """
        return read_at(self.pixels, self.weights, timing.own(times) * self.fps)


@dataclass(frozen=True)
class RefinedRig:
    """Cameras up to a similarity, their clocks, the points, and the quality of the fit."""

    cameras: Cameras
    timing: Timing
    # instants that were adjusted, seconds by the first camera's clock
    times: Float[Tensor, "times"]
    # in the frame and unit of the cameras; NaN where fewer than two views agree
    points: Float[Tensor, "times joints 3"]
    inliers: Bool[Tensor, "times views joints"]
    # the tracks at `times`
    reading: Reading
    # the last bundle adjustment, with its covariance
    adjusted: Adjusted
    # pixels: root mean square residual of all detections, each at most the threshold
    rms_error: float
    # share of each camera's detections within the threshold
    agreement: Float[Tensor, "views"]


def refine_rig(
    cameras: Cameras,
    timing: Timing,
    tracks: Tracks,
    times: Float[Tensor, "times"],
    unknowns: Unknowns,
    *,
    threshold: float,
    names: tuple[str, ...],
    threshold_schedule: Sequence[float],
    huber_delta: float | None = None,
    clustered: bool = True,
    seed: int = 0,
) -> RefinedRig:
    """Cameras, clocks and points of least robust reprojection error, from a start that roughly fits. [Triggs00]

    Args:
        cameras: the start; its gauge is kept.
        timing: the start of the clocks.
        tracks: 2D tracks of every camera.
        times: instants to adjust, seconds by the first camera's clock.
        unknowns: what is estimated besides poses and points.
        threshold: outlier threshold of the last round, pixels.
        names: of the cameras, for messages.
        threshold_schedule: outlier thresholds of the rounds, as multiples of `threshold`.
        huber_delta: residual in pixels at which the loss becomes linear; None: a third of the round's threshold.
        clustered: whether the covariance allows for errors that a detector repeats (`error_clusters`); without, it is
            too small, and sooner computed.
        seed: of the robust triangulation.

    Raises:
        NotDeterminedError: a camera, which is named, shares too few points with the others.
    """
    timing = timing.around(float(times.mean()))
    adjusted = None
    widths, rounds = list(threshold_schedule), 0
    while widths:
        factor = widths[0] * threshold
        reading = tracks.read(timing, times)
        found = triangulated(cameras, reading, factor, seed)
        used = reading.weights * found.inliers
        if unknowns.clock != "given":
            # as `_adjusted` does
            used = torch.where((reading.velocity != 0).any(dim=-1), used, 0.0)
        _check_used(used, names, factor, unknowns)
        moment = times - timing.middle
        adjusted = _adjusted(
            cameras, found.points, reading, used, moment, tracks.fps, unknowns, huber_delta or factor / 3,
            _clusters(cameras, found.points, reading, used, tracks.people) if clustered else None,
        )  # fmt: skip
        cameras, timing = adjusted.cameras, timing.later(adjusted.clock)
        moved = float(adjusted.clock[:, 0].abs().max()) * tracks.fps
        last = len(widths) == 1
        at_rest = moved < _CONVERGED and adjusted.iterations <= _AT_REST if last else moved < _NEAR
        rounds += 1
        if at_rest or rounds > _MORE_ROUNDS:
            widths, rounds = widths[1:], 0
    assert adjusted is not None
    reading = tracks.read(timing, times)
    found = triangulated(cameras, reading, threshold, seed)
    rms_error, agreement = _judged(reading, found, threshold)
    seen = reading.weights > 0
    return RefinedRig(
        cameras, timing, times, found.points, found.inliers & seen, reading, adjusted, rms_error, agreement
    )


def readjust(
    refined: RefinedRig, fps: float, unknowns: Unknowns, *, threshold: float, people: int = 1
) -> Adjusted:
    """Bundle adjustment of the same observations with other unknowns, starting from the refined rig.

    Args:
        refined: where to start.
        fps: frames per second of the tracks.
        unknowns: what is estimated besides poses and points.
        threshold: outlier threshold in pixels; the loss becomes linear at a third of it.
        people: the joints of so many people follow each other.
    """
    used = refined.reading.weights * refined.inliers
    moment = refined.times - refined.timing.middle
    return _adjusted(
        refined.cameras, refined.points, refined.reading, used, moment, fps, unknowns, threshold / 3,
        _clusters(refined.cameras, refined.points, refined.reading, used, people),
    )  # fmt: skip


def _clusters(
    cameras: Cameras,
    points: Float[Tensor, "times joints 3"],
    reading: Reading,
    used: Float[Tensor, "times views joints"],
    people: int,
) -> Clusters:
    residuals = cameras.project(points[:, None]) - reading.pixels
    valid = (used > 0) & residuals.isfinite().all(dim=-1)
    return error_clusters(torch.where(valid[..., None], residuals, 0.0), valid, people)


def detector_noise(found: RefinedRig) -> float:
    """Robust standard deviation of the detections, in pixels per axis.

    From the median norm of all residuals (1.177 σ of a 2D normal distribution), corrected for the three degrees of
    freedom that each point takes from its 2n coordinates; outliers count with their whole residual. 0 without any.

    Args:
        found: a rig that fits most detections; otherwise the answer is meaningless.
    """
    residuals = (found.cameras.project(found.points[:, None]) - found.reading.pixels).norm(dim=-1)
    valid = (found.reading.weights > 0) & residuals.isfinite()
    count = found.inliers.sum(dim=1, keepdim=True)
    left = torch.where(found.inliers, (1 - 1.5 / count.clamp(min=2)).sqrt(), 1.0)
    errors = (residuals / left)[valid]
    return float(errors.median()) / 1.177 if errors.numel() else 0.0


def triangulated(cameras: Cameras, reading: Reading, limit: float, seed: int = 0) -> Triangulated:
    """Robust triangulation of every joint at every time.

    Args:
        cameras: calibrated cameras.
        reading: tracks at common times.
        limit: inlier threshold in pixels.
        seed: of the random samples.
    """
    return triangulate_robust(cameras, reading.pixels, reading.weights, threshold=limit, seed=seed)


def _adjusted(
    cameras: Cameras,
    points: Float[Tensor, "times joints 3"],
    reading: Reading,
    used: Float[Tensor, "times views joints"],
    moment: Float[Tensor, "times"],
    fps: float,
    unknowns: Unknowns,
    huber_delta: float,
    clusters: Clusters | None,
) -> Adjusted:
    """Bundle adjustment over the inliers; every joint of every instant is a point of its own."""
    valid = points.isfinite().all(dim=-1).flatten()

    def kept(values: Tensor) -> Tensor:
        return values.transpose(0, 1).flatten(1, 2)[:, valid]

    clocks = None
    if unknowns.clock != "given":
        # a detection of unknown velocity does not change with the clocks, and would keep them where they are
        used = torch.where((reading.velocity != 0).any(dim=-1), used, 0.0)
        each = moment[:, None].expand(points.shape[:2]).flatten()[valid]
        clocks = Clocks(kept(reading.velocity) * fps, each, unknowns.clock == "drift")
    return adjust(
        cameras,
        points.flatten(0, 1)[valid],
        kept(reading.pixels),
        kept(used),
        huber=huber_delta,
        fit_focal=unknowns.focal,
        fit_distortion=unknowns.distortion,
        clocks=clocks,
        iterations=30,
        clusters=None if clusters is None else clusters.of(valid),
    )


def _check_used(
    used: Float[Tensor, "times views joints"], names: tuple[str, ...], limit: float, unknowns: Unknowns
) -> None:
    """Every camera must share some points with others before an adjustment can move it."""
    count = ((used > 0) & ((used > 0).sum(dim=1, keepdim=True) >= 2)).sum(dim=(0, 2))
    if int(count.min()) < MIN_SHARED:
        name = names[int(count.argmin())]
        raise NotDeterminedError(disagreement_message(name, f"{int(count.min())}", limit, unknowns))
    seen = ((used > 0) & ((used > 0).sum(dim=1, keepdim=True) >= 2)).transpose(0, 1).flatten(1).double()
    reached = torch.linalg.matrix_power((seen @ seen.mT > 0).double(), len(names))[0] > 0
    if not bool(reached.all()):
        # cameras that agree in two groups, each on its own
        name = names[int(reached.int().argmin())]
        raise NotDeterminedError(disagreement_message(name, "none", limit, unknowns))


def disagreement_message(name: str, used: str, limit: float, unknowns: Unknowns) -> str:
    """The message for a camera that disagrees with the others, with the usual causes.

    Args:
        name: of the camera.
        used: how many of its detections agree, in words.
        limit: pixels within which they agree.
        unknowns: what was estimated.
    """
    clock = (
        "its video is not synchronised"
        if unknowns.clock == "given"
        else "its time offset is larger than what was searched"
    )
    return (
        f"camera '{name}' does not fit the others: {used} of its detections agree with them within {limit:.0f} px. "
        f"Usual causes: it follows another person, its left and right are swapped (a mirrored video), {clock}, "
        f"or its lens is far from what was assumed."
    )


def _judged(reading: Reading, found: Triangulated, threshold: float) -> tuple[float, Tensor]:
    seen = reading.weights > 0
    fits = seen & found.inliers
    squared = torch.where(fits, found.residuals.square().clamp(max=threshold**2), threshold**2)
    agreement = fits.sum(dim=(0, 2)) / seen.sum(dim=(0, 2)).clamp(min=1)
    return float(squared[seen].mean().sqrt()), agreement.double()
