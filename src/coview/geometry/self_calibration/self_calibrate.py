"""Cameras from point tracks alone when more than the extrinsics is unknown: focal lengths, clocks, or both.

A camera that started at another time, or whose clock runs differently, saw another instant in every frame. Its time
offset is found roughly by correlating motion (`time_offset`), then refined together with poses and focal lengths by
bundle adjustment, with tracks interpolated between frames (`iterative_refinement`). Several starts, because a wrong
focal length is a local minimum of its own; then the simplest model that the data do not reject (`model_selection`).
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.geometry.bundle.residuals import Focal, Unknowns
from coview.geometry.epipolar.view_graph import NotDeterminedError, place_cameras, relate_pairs
from coview.geometry.self_calibration.camera_clocks import Timing, common_times
from coview.geometry.self_calibration.iterative_refinement import (
    RefinedRig,
    Tracks,
    detector_noise,
    refine_rig,
)
from coview.geometry.self_calibration.model_selection import (
    ClockChoice,
    DistortionChoice,
    FocalChoice,
    apparent_offsets,
    choose,
)
from coview.geometry.self_calibration.observability import (
    check_agreement,
    check_converged,
    check_determined,
    check_motion,
)
from coview.geometry.self_calibration.time_offset import Track2D, rough_time_offsets
from coview.geometry.self_calibration.track_interpolation import without_jumps

# Starts, tried in order until one fits: factor of the focal length, then multiples of the threshold for the relative
# poses and for the first adjustment. Three cameras whose focal length is wrong by a tenth need the wide ones.
_STARTS = [(factor, wide, 4.0) for factor in (1.0, 0.77, 1.3, 0.6, 1.7) for wide in (2.0, 4.0)]
_STARTS += [(factor, 2.0, 16.0) for factor in (1.0, 0.7, 1.45)]
# radians: error of the initial poses; the first adjustment's outlier threshold is not below what this is in pixels
_POSE_ERROR = 0.02
# instants for the relative poses
_START_TIMES = 40
# frames from the middle that are correlated, for memory
_CORRELATED = 16384
# relative: images whose sizes differ by less are taken for those of equal cameras
_SAME_SIZE = 0.05
# share of every camera's detections that agree with the others: an acceptable start, and one that ends the search
_GOOD, _CERTAIN = 0.6, 0.8
# frames: time offsets up to this are found by the adjustment without a start
_ON_TIME = 1.5
# times the detector's noise: a detection with a larger residual is an outlier
_WRONG = 4.0
# times that: threshold of the last adjustment. A hard threshold that poor detections reach selects those that agree
# with the current cameras, which then do not move; the robust loss alone (linear from 4/3 sigma) does not
_FAR = 2.0


@dataclass(frozen=True)
class SelfCalibrated:
    """Self-calibrated cameras, and which of their parameters were estimated."""

    # cameras up to a similarity, clocks, points and covariance
    refined: RefinedRig
    # what was estimated besides poses and points
    unknowns: Unknowns
    # the tests that chose these unknowns, in words
    words: tuple[str, ...]
    # frames by which the data contradict clocks that were given as synchronised; None: they do not
    apparent_offsets: Float[Tensor, "views"] | None = None

    @property
    def clock_sigma(self) -> Float[Tensor, "views 2"]:
        """Standard deviations of `Timing.from_own`: time offset at the start of the camera's clock (s), and drift.

        time offset = a - b · middle to first order in the drift, a and b as they were adjusted."""
        adjusted, middle = self.refined.adjusted, self.refined.timing.middle
        time_offset, drift = adjusted.unknowns.place("offset"), adjusted.unknowns.place("drift")
        variance = adjusted.covariance_of("offset").diagonal()
        if time_offset is not None and drift is not None:
            both = adjusted.covariance[:, time_offset, :, drift].diagonal()
            variance = variance - 2 * middle * both + middle**2 * adjusted.covariance_of("drift").diagonal()
        return torch.stack([variance.clamp(min=0).sqrt(), adjusted.clock_sigma[:, 1]], dim=-1)


def self_calibrate(
    intrinsics: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    *,
    names: tuple[str, ...],
    fps: float | None,
    focal: FocalChoice = "auto",
    clock: ClockChoice = "auto",
    distortion: DistortionChoice = "given",
    threshold: float = 12.0,
    time_offset: Float[Tensor, "views"] | None = None,
    reach: float = 10.0,
    instants: int = 300,
    people: int = 1,
    seed: int = 0,
) -> SelfCalibrated:
    """Self-calibration from point tracks: poses up to a similarity, focal lengths and clocks where those are unknown.

    Principal points stay as given, and k1 does unless `distortion` says otherwise. Sources: [Nister04] for the
    essential matrices, [Hartley13] for the averaging of rotations, [Triggs00] for the bundle adjustment.

    Args:
        intrinsics: intrinsics and distortion of each view; extrinsics are ignored, and focal lengths are a start where
            `focal` is not "given".
        pixels: raw 2D tracks; frame n of every camera was taken at n / `fps` seconds of its own clock.
        weights: 0 where a point was not detected.
        names: of the views, for messages.
        fps: frames per second; None: the frames are instants in no order, as those of many takes are, and clocks must
            be given.
        focal: which focal lengths are estimated; see `FocalChoice`.
        clock: whether time offsets and drifts are estimated; see `ClockChoice`.
        distortion: whether k1 is estimated; see `DistortionChoice`.
        threshold: pixels between a poor detection and an outlier; raised where the detector's noise is more than a
            quarter of it.
        time_offset: frames by which each view began after the first, to within a few frames, where that is known:
            correlation does not tell it from the joints of several people side by side.
        reach: seconds by which a view may have begun later or earlier than the first.
        instants: at most so many are adjusted, evenly spaced.
        people: the joints of so many people follow each other, an equal number of each; errors of one person's joints
            may be correlated.
        seed: of the robust searches.

    Returns:
        Cameras whose world is the first camera and whose longest baseline from it is 1.

    Raises:
        NotDeterminedError: the recording does not determine what is asked; names the camera and the reason.
        ValueError: clocks are asked for without `fps`.
    """
    intrinsics, pixels, weights = intrinsics.to(torch.float64), pixels.double(), weights.double()
    _check_asked(names, fps, clock)
    tracks = _tracks(pixels, weights, fps, threshold, people)
    first = Unknowns(
        _first_focal(intrinsics, focal),
        "given" if clock == "given" else "offset",
        "given" if distortion == "auto" else distortion,
    )

    def started(count: int) -> RefinedRig:
        timings = _rough_timings(tracks, clock, time_offset, reach)
        return _best_start(intrinsics, tracks, count, timings, first, focal, names, threshold, seed)

    try:
        start = started(_START_TIMES)
    except NotDeterminedError:
        if fps is not None or instants <= _START_TIMES:
            raise
        start = started(instants)  # each of many takes may show other cameras
    threshold = _by_noise(threshold, start)
    times = common_times(start.timing, tracks.weights, tracks.fps, instants)

    def refined(start_at: RefinedRig, unknowns: Unknowns) -> RefinedRig:
        on_time = unknowns.clock == "given" and clock == "auto"
        timing = Timing.synchronised(len(intrinsics)) if on_time else start_at.timing
        return refine_rig(
            _allowed(start_at.cameras, intrinsics, unknowns.focal), timing, tracks, times, unknowns,
            threshold=threshold, names=names, threshold_schedule=(_FAR,), huber_delta=threshold / 3, seed=seed,
        )  # fmt: skip

    found = refined(start, first)
    check_agreement(found, names, threshold, first)
    check_motion(found, names, first)
    choice = choose(found, intrinsics, tracks, first, focal, clock, distortion, threshold)
    if choice.unknowns != first:
        found = refined(found, choice.unknowns)
        check_agreement(found, names, threshold, choice.unknowns)
    check_converged(found, tracks.fps)
    check_determined(found, names, choice.unknowns)
    apparent = (
        apparent_offsets(found, tracks, choice.unknowns, threshold) if fps and clock == "given" else None
    )
    return SelfCalibrated(found, choice.unknowns, choice.words, apparent)


def _allowed(cameras: Cameras, intrinsics: Cameras, focal: Focal) -> Cameras:
    """The cameras with focal lengths that the choice allows: a start may have given each camera its own."""
    if focal == "given":
        return replace(cameras, intrinsics=intrinsics.intrinsics)
    if focal == "shared":
        factor = (cameras.focal / intrinsics.focal).log().mean().exp()
        return replace(cameras, intrinsics=_with_focal(intrinsics, float(factor)).intrinsics)
    return cameras


def _check_asked(names: tuple[str, ...], fps: float | None, clock: ClockChoice) -> None:
    if len(names) < 2:
        raise NotDeterminedError(
            f"calibration from people needs at least 2 cameras, got {len(names)} ({', '.join(names)}). Add a second "
            f"view of the same instants."
        )
    if fps is None and clock != "given":
        raise InputError(
            f"calibrate_freely: clock='{clock}' needs to know how fast pictures follow each other, and fps is None. "
            f"Give fps, or say clock='given' for instants that all cameras took together."
        )


def _tracks(pixels: Tensor, weights: Tensor, fps: float | None, threshold: float, people: int) -> Tracks:
    """Without `fps` the instants count as seconds, and detections are not compared with those before and after."""
    if fps is None:
        return Tracks(pixels, weights, 1.0, people)
    return Tracks(pixels, without_jumps(pixels, weights, 3 * threshold), fps, people)


def _by_noise(threshold: float, start: RefinedRig) -> float:
    """The outlier threshold, raised to a multiple of the detector's noise.

    A threshold within the noise selects, of every point, the views that happen to agree with the current focal lengths
    and clocks: these then stay where they are, with residuals that look small. The noise of a start that does not fit
    is meaningless."""
    if float(start.agreement.min()) < _GOOD:
        return threshold
    return max(threshold, _WRONG * detector_noise(start))


def _first_focal(intrinsics: Cameras, focal: FocalChoice) -> Focal:
    if focal in ("given", "each", "shared"):
        return focal
    alike = ((intrinsics.size / intrinsics.size[0]).log().abs() < _SAME_SIZE).all()  # a crop leaves the lens
    return "shared" if bool(alike) else "each"


def _rough_timings(
    tracks: Tracks, clock: ClockChoice, valid: Float[Tensor, "views"] | None, reach: float
) -> Iterator[Timing]:
    """Candidate time offsets, the likeliest first; the slow search runs only when it is asked for."""
    synchronised = Timing.synchronised(tracks.pixels.shape[1])
    if clock == "given" or valid is not None:
        yield synchronised if valid is None else replace(synchronised, time_offset=valid.double())
        return
    start_at = max(0, (len(tracks.pixels) - _CORRELATED) // 2)
    middle = slice(start_at, start_at + _CORRELATED)
    seen = [
        [Track2D(tracks.pixels[middle, view], tracks.weights[middle, view])]
        for view in range(len(synchronised.time_offset))
    ]
    tried: list[Timing] = []
    for thorough in (False, True):
        time_offset = rough_time_offsets(seen, tracks.fps, reach, thorough=thorough)
        time_offset = (
            time_offset
            if float(time_offset.abs().max()) * tracks.fps > _ON_TIME
            else torch.zeros_like(time_offset)
        )
        if all(
            float((time_offset - other.time_offset).abs().max()) * tracks.fps > _ON_TIME for other in tried
        ):
            tried.append(replace(synchronised, time_offset=time_offset))
            yield tried[-1]
    if all(bool(other.time_offset.any()) for other in tried):
        yield synchronised


# --- starts ----------------------------------------------------------------------------------------


def _best_start(
    intrinsics: Cameras,
    tracks: Tracks,
    count: int,
    timings: Iterable[Timing],
    unknowns: Unknowns,
    focal: FocalChoice,
    names: tuple[str, ...],
    threshold: float,
    seed: int,
) -> RefinedRig:
    """The start with the smallest robust reprojection error."""
    best, refused = None, None
    for timing in timings:
        for factor, wide, limit in _STARTS:
            if focal == "given" and factor != 1.0:
                continue
            try:
                lens = _with_focal(intrinsics, factor)
                limits = wide * threshold, limit * threshold
                found = _from_start(
                    lens, timing, tracks, count, unknowns, focal, names, limits, threshold, seed
                )
            except NotDeterminedError as reason:
                refused = refused or reason
                continue
            if best is None or found.rms_error < best.rms_error:
                best = found
            if float(best.agreement.min()) >= _CERTAIN:
                return best
            if float(found.agreement.min()) >= _GOOD:
                break  # the lens is about right; another timing may still be better
    if best is None:
        assert refused is not None
        raise refused
    return best


def _from_start(
    intrinsics: Cameras,
    timing: Timing,
    tracks: Tracks,
    count: int,
    unknowns: Unknowns,
    focal: FocalChoice,
    names: tuple[str, ...],
    limits: tuple[float, float],
    threshold: float,
    seed: int,
) -> RefinedRig:
    times = common_times(timing, tracks.weights, tracks.fps, count)
    reading = tracks.read(timing, times)
    flat = intrinsics.normalise(torch.nan_to_num(reading.pixels))
    limit = limits[0] / float(intrinsics.focal.mean())
    pairs = relate_pairs(flat, reading.weights, limit, names=names, seed=seed)
    placed = replace(intrinsics, cam_from_world=place_cameras(pairs, flat, reading.weights, names))
    threshold_schedule = _threshold_schedule(intrinsics, limits[1], threshold)
    found = refine_rig(
        placed, timing, tracks, times, unknowns,
        threshold=threshold, names=names, threshold_schedule=threshold_schedule, clustered=False, seed=seed,
    )  # fmt: skip
    if focal in ("auto", "unknown") and float(found.agreement.min()) < _GOOD:
        each = replace(unknowns, focal="each")
        other = refine_rig(
            found.cameras, found.timing, tracks, times, each,
            threshold=threshold, names=names, threshold_schedule=threshold_schedule, clustered=False, seed=seed,
        )  # fmt: skip
        found = other if other.rms_error < found.rms_error else found
    return found


def _threshold_schedule(intrinsics: Cameras, start_at: float, threshold: float) -> tuple[float, ...]:
    """Outlier thresholds of the rounds as multiples of `threshold`: the first covers the error of the initial poses."""
    width = max(start_at, _POSE_ERROR * float(intrinsics.focal.mean())) / threshold
    return (*(width / 2**halving for halving in range(math.ceil(math.log2(width)))), 1.0)


def _with_focal(cameras: Cameras, factor: float) -> Cameras:
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, :2, :2] *= factor
    return replace(cameras, intrinsics=intrinsics)
