"""Cameras from point tracks alone when more than the extrinsics is unknown: focal lengths, clocks, or both.

A camera that started late, or counts time differently, saw another instant in every frame. How late it is is found
roughly by when things move (`lateness`), then together with poses and focal lengths by bundle adjustment, its tracks
read between frames (`settling`). Several starts, because a wrong focal length has its own basin; then the
simplest explanation that the data do not contradict.
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
from coview.geometry.self_calibration.iterative_refinement import Settled, Tracks, detector_noise, settle
from coview.geometry.self_calibration.model_selection import (
    ClockChoice,
    DistortionChoice,
    FocalChoice,
    choose,
    seems_late,
)
from coview.geometry.self_calibration.observability import (
    check_agreement,
    check_determined,
    check_motion,
    check_settled,
)
from coview.geometry.self_calibration.time_offset import Seen, rough_offsets
from coview.geometry.self_calibration.track_interpolation import without_jumps

# Starts, later ones where earlier ones fit badly: factor of the focal length, then times the threshold for the relative
# poses and for the adjustment to begin with. Three cameras with a lens that is wrong by a tenth need the wide ones.
_STARTS = [(factor, wide, 4.0) for factor in (1.0, 0.77, 1.3, 0.6, 1.7) for wide in (2.0, 4.0)]
_STARTS += [(factor, 2.0, 16.0) for factor in (1.0, 0.7, 1.45)]
_POSES_MISS = 0.02  # radians: no adjustment begins with a limit below what these are in pixels
_START_TIMES = 40  # for the relative poses
_CORRELATED = 16384  # frames from the middle that are correlated: memory
_SAME_SIZE = 0.05  # relative: images that differ by less are taken for those of equal cameras
_GOOD, _BEYOND_DOUBT = 0.6, 0.8  # share of every camera's detections that agree with the others
_ON_TIME = 1.5  # frames: what the adjustment finds by itself
_WRONG = 4.0  # times the detector's noise: a detection that misses by more is wrong
# times that: what is left out of the last adjustment. A hard limit that poor detections reach keeps those that agree
# with the cameras of the moment, which then stay where they are; the loss alone (linear from 4/3 sigma) does not
_FAR = 2.0


@dataclass(frozen=True)
class FreelyCalibrated:
    """Cameras up to a similarity, and what was found besides where they stand."""

    settled: Settled
    unknowns: Unknowns
    words: tuple[str, ...]  # why these unknowns
    seems_late: Float[Tensor, "views"] | None = (
        None  # frames, where that contradicts what was said of the clocks
    )

    @property
    def clock_sigma(self) -> Float[Tensor, "views 2"]:
        """Standard deviations of `Timing.from_own`: offset where the camera's own clock begins (s), and drift.

        offset = a - b · middle to first order in the drift, a and b as they were adjusted."""
        adjusted, middle = self.settled.adjusted, self.settled.timing.middle
        offset, drift = adjusted.unknowns.place("offset"), adjusted.unknowns.place("drift")
        variance = adjusted.covariance_of("offset").diagonal()
        if offset is not None and drift is not None:
            both = adjusted.covariance[:, offset, :, drift].diagonal()
            variance = variance - 2 * middle * both + middle**2 * adjusted.covariance_of("drift").diagonal()
        return torch.stack([variance.clamp(min=0).sqrt(), adjusted.clock_sigma[:, 1]], dim=-1)


def calibrate_freely(
    lenses: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    *,
    names: tuple[str, ...],
    fps: float | None,
    focal: FocalChoice = "auto",
    clock: ClockChoice = "auto",
    distortion: DistortionChoice = "given",
    threshold: float = 12.0,
    late: Float[Tensor, "views"] | None = None,
    reach: float = 10.0,
    instants: int = 300,
    seed: int = 0,
) -> FreelyCalibrated:
    """Cameras up to a similarity from points that they saw, with focal lengths and clocks where those are unknown.

    `lenses` gives intrinsics and distortion (its extrinsics are ignored; focal lengths are a start where `focal` is not
    "given"); `pixels` are raw, `weights` 0 where a point was not seen; picture n of every camera was taken at n / `fps`
    seconds of its own clock, which may be up to `reach` seconds late against the first. `late` says by how many, to a
    few frames, where that is known: of several people, whose joints lie side by side, motion does not tell it.
    `threshold` (pixels) separates a poor detection from a wrong one, unless the detector usually errs by more than a
    quarter of it. At most `instants` are adjusted, spread evenly, whatever the length. Without `fps` (None) the
    pictures are instants in no order, as those of many takes are: clocks must be given, and nothing is made of what
    came before or after. Principal points stay as given, and where
    `distortion` says nothing else, so does k1. Raises NotDeterminedError, naming cameras and reason, where the
    recording does not determine what is asked; ValueError where clocks are asked for without `fps`.
    Sources: [Nister04], [Hartley13], [Triggs00]."""
    lenses, pixels, weights = lenses.to(torch.float64), pixels.double(), weights.double()
    _check_asked(names, fps, clock)
    tracks = _tracks(pixels, weights, fps, threshold)
    first = Unknowns(
        _first_focal(lenses, focal),
        "given" if clock == "given" else "offset",
        "given" if distortion == "auto" else distortion,
    )

    def started(count: int) -> Settled:
        timings = _rough_timings(tracks, clock, late, reach)
        return _best_start(lenses, tracks, count, timings, first, focal, names, threshold, seed)

    try:
        start = started(_START_TIMES)
    except NotDeterminedError:
        if fps is not None or instants <= _START_TIMES:
            raise
        start = started(instants)  # each of many takes may show other cameras
    threshold = _by_noise(threshold, start)
    times = common_times(start.timing, tracks.weights, tracks.fps, instants)

    def settled(begin: Settled, unknowns: Unknowns) -> Settled:
        cameras, timing = begin.cameras, begin.timing
        if unknowns.focal == "given":
            cameras = replace(cameras, intrinsics=lenses.intrinsics)
        elif unknowns.focal == "shared":  # the start may have given each its own
            factor = (cameras.focal / lenses.focal).log().mean().exp()
            cameras = replace(cameras, intrinsics=_with_focal(lenses, float(factor)).intrinsics)
        if unknowns.clock == "given" and clock == "auto":
            timing = Timing.together(len(lenses))
        return settle(
            cameras, timing, tracks, times, unknowns,
            threshold=threshold, names=names, narrowing=(_FAR,), bend=threshold / 3, seed=seed,
        )  # fmt: skip

    found = settled(start, first)
    check_agreement(found, names, threshold, first)
    check_motion(found, names, first)
    choice = choose(found, lenses, tracks.fps, first, focal, clock, distortion, threshold)
    if choice.unknowns != first:
        found = settled(found, choice.unknowns)
        check_agreement(found, names, threshold, choice.unknowns)
    check_settled(found, tracks.fps)
    check_determined(found, names, choice.unknowns)
    late = seems_late(found, fps, choice.unknowns, threshold) if fps and clock == "given" else None
    return FreelyCalibrated(found, choice.unknowns, choice.words, late)


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


def _tracks(pixels: Tensor, weights: Tensor, fps: float | None, threshold: float) -> Tracks:
    """Without `fps` the instants count as seconds, and no detection is judged by those beside it."""
    if fps is None:
        return Tracks(pixels, weights, 1.0)
    return Tracks(pixels, without_jumps(pixels, weights, 3 * threshold), fps)


def _by_noise(threshold: float, start: Settled) -> float:
    """Wide enough for what this detector usually errs by.

    A limit amid the noise keeps of every point the views that happen to agree with the focal length and the clocks
    of the moment, which holds these where they are and shows errors as small as itself. A start that does not
    fit tells nothing of the noise."""
    if float(start.agreement.min()) < _GOOD:
        return threshold
    return max(threshold, _WRONG * detector_noise(start))


def _first_focal(lenses: Cameras, focal: FocalChoice) -> Focal:
    if focal in ("given", "each", "shared"):
        return focal
    alike = ((lenses.size / lenses.size[0]).log().abs() < _SAME_SIZE).all()  # a crop leaves the lens
    return "shared" if bool(alike) else "each"


def _rough_timings(
    tracks: Tracks, clock: ClockChoice, known: Float[Tensor, "views"] | None, reach: float
) -> Iterator[Timing]:
    """How late cameras may be, the likeliest first; what takes long only when it is asked for."""
    together = Timing.together(tracks.pixels.shape[1])
    if clock == "given" or known is not None:
        yield together if known is None else replace(together, offset=known.double())
        return
    begin = max(0, (len(tracks.pixels) - _CORRELATED) // 2)
    middle = slice(begin, begin + _CORRELATED)
    seen = [
        [Seen(tracks.pixels[middle, view], tracks.weights[middle, view])]
        for view in range(len(together.offset))
    ]
    tried: list[Timing] = []
    for thorough in (False, True):
        late = rough_offsets(seen, tracks.fps, reach, thorough=thorough)
        late = late if float(late.abs().max()) * tracks.fps > _ON_TIME else torch.zeros_like(late)
        if all(float((late - other.offset).abs().max()) * tracks.fps > _ON_TIME for other in tried):
            tried.append(replace(together, offset=late))
            yield tried[-1]
    if all(bool(other.offset.any()) for other in tried):
        yield together


# --- starts ----------------------------------------------------------------------------------------


def _best_start(
    lenses: Cameras,
    tracks: Tracks,
    count: int,
    timings: Iterable[Timing],
    unknowns: Unknowns,
    focal: FocalChoice,
    names: tuple[str, ...],
    threshold: float,
    seed: int,
) -> Settled:
    """The start that leaves the least unexplained."""
    best, refused = None, None
    for timing in timings:
        for factor, wide, limit in _STARTS:
            if focal == "given" and factor != 1.0:
                continue
            try:
                lens = _with_focal(lenses, factor)
                limits = wide * threshold, limit * threshold
                found = _from_start(
                    lens, timing, tracks, count, unknowns, focal, names, limits, threshold, seed
                )
            except NotDeterminedError as reason:
                refused = refused or reason
                continue
            if best is None or found.misfit < best.misfit:
                best = found
            if float(best.agreement.min()) >= _BEYOND_DOUBT:
                return best
            if float(found.agreement.min()) >= _GOOD:
                break  # the lens is about right; another timing may still be better
    if best is None:
        assert refused is not None
        raise refused
    return best


def _from_start(
    lenses: Cameras,
    timing: Timing,
    tracks: Tracks,
    count: int,
    unknowns: Unknowns,
    focal: FocalChoice,
    names: tuple[str, ...],
    limits: tuple[float, float],
    threshold: float,
    seed: int,
) -> Settled:
    times = common_times(timing, tracks.weights, tracks.fps, count)
    reading = tracks.read(timing, times)
    flat = lenses.normalise(torch.nan_to_num(reading.pixels))
    limit = limits[0] / float(lenses.focal.mean())
    pairs = relate_pairs(flat, reading.weights, limit, names=names, seed=seed)
    placed = replace(lenses, cam_from_world=place_cameras(pairs, flat, reading.weights, names))
    narrowing = _narrowing(lenses, limits[1], threshold)
    found = settle(
        placed, timing, tracks, times, unknowns,
        threshold=threshold, names=names, narrowing=narrowing, seed=seed,
    )  # fmt: skip
    if focal in ("auto", "unknown") and float(found.agreement.min()) < _GOOD:
        each = replace(unknowns, focal="each")
        other = settle(
            found.cameras, found.timing, tracks, times, each,
            threshold=threshold, names=names, narrowing=narrowing, seed=seed,
        )  # fmt: skip
        found = other if other.misfit < found.misfit else found
    return found


def _narrowing(lenses: Cameras, begin: float, threshold: float) -> tuple[float, ...]:
    """What is an outlier in each round, times the threshold: at first nothing that a start's poses may miss by."""
    width = max(begin, _POSES_MISS * float(lenses.focal.mean())) / threshold
    return (*(width / 2**turn for turn in range(math.ceil(math.log2(width)))), 1.0)


def _with_focal(cameras: Cameras, factor: float) -> Cameras:
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, :2, :2] *= factor
    return replace(cameras, intrinsics=intrinsics)
