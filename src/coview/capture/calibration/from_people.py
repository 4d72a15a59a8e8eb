"""Stage: a session gets its cameras, from a file or from the people who move in front of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.body.metric_rig import upright_cameras
from coview.capture.association.stage import late_words, update_people
from coview.capture.calibration.initial_intrinsics import (
    CLOCK_CHOICES,
    DISTORTION_CHOICES,
    FOCAL_CHOICES,
    FitClock,
    FitDistortion,
    FitFocal,
    guessed_lenses,
)
from coview.capture.calibration.install import install_calibration
from coview.capture.calibration.metric_scale import stated_scale
from coview.capture.calibration.provenance import found_calibration
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration, calibration_for, read_calibration
from coview.formats.calibration.clock import SYNCHRONOUS, Clock
from coview.formats.calibration.fit_size import SizeMismatch
from coview.formats.calibration.units import Units
from coview.formats.session.people import People
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.self_calibrate import calibrate_freely
from coview.geometry.triangulation.inlier_threshold import automatic_threshold, check_settings
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated

POOR_DETECTION = 0.006  # of the image's diagonal: beyond it a detection is wrong rather than poor


@dataclass(frozen=True)
class CameraFit:
    """How well one camera agrees with the others."""

    name: str
    median_px: float  # reprojection residual of the detections that agree, over the frames calibrated on
    held_out_px: float  # the same over the other frames; NaN where there are none
    agreement: float  # share of this camera's detections that agree with the others, over all frames
    centre_sigma_m: float  # standard deviation of the centre, relative to the first camera; NaN if unknown
    focal_px: float  # mean of fx and fy
    focal_sigma_px: float  # NaN where the focal length was given
    clock: Clock  # against the first camera


@dataclass(frozen=True)
class Calibrated:
    """What the stage wrote and how good it is."""

    path: Path
    calibration: Calibration
    fits: tuple[CameraFit, ...]
    people: People | None = None  # where there are several: who is who by these cameras


def calibrate_from_file(
    session: Session,
    file: Path | None = None,
    *,
    size_mismatch: SizeMismatch = "keep",
    units: Units | None = None,
) -> Calibrated:
    """Cameras of a calibration file, matched to the session's cameras by name; also their clocks, with a note.

    Args:
        session: The session; its `calibration.toml` is written.
        file: A calibration in any format that `read_calibration` reads; default: the one found at import.
        size_mismatch: What to do where its images differ from the session's by a crop.
        units: Of its lengths, where the file does not say.

    Returns:
        The cameras, and how well they explain the session's 2D joints.

    Raises:
        InputError: Where the file is for other cameras or images, holds intrinsics alone, or is not a calibration.
    """
    calibration = _given(session, file, size_mismatch, units)
    if not calibration.has_extrinsics:
        raise InputError(
            f"{calibration.provenance['file']} holds lenses only, not where the cameras stand. "
            f"Place them with `coview calibrate people {session.path}`."
        )
    return _finish(session, replace(calibration, notes=calibration.notes + _clock_notes(calibration)), None)


def _clock_notes(calibration: Calibration) -> tuple[str, ...]:
    """Said aloud: a file of another take is the likeliest way to a silent wrong answer."""
    late = {name: clock for name, clock in calibration.clocks.items() if not clock.is_zero}
    if not late:
        return ()
    told = ", ".join(f"{name} {1000 * clock.time_offset:+.0f} ms" for name, clock in late.items())
    return (
        f"the file's clocks are taken over ({told}). They hold for the recording they were found on: of another take "
        f"by cameras that are not started together, remove [metadata.clocks] from the file.",
    )


def calibrate_from_people(
    session: Session,
    *,
    intrinsics: Path | None = None,
    stature: float | None = None,
    distance: tuple[str, str, float] | None = None,
    frames: tuple[int, int] | None = None,
    min_confidence: float = 0.3,
    threshold: float | None = None,
    size_mismatch: SizeMismatch = "keep",
    focal: FitFocal = "auto",
    clock: FitClock = "auto",
    distortion: FitDistortion = "auto",
    seed: int = 0,
) -> Calibrated:
    """Find the cameras of a session from the joints they saw together: where they stand, and what else is not known.

    Several people are told apart first, and all of them tell where the cameras stand; a `stature` is that of
    person 1, who is seen most.
    `focal`: "auto" believes the lenses of a calibration file unless the recording contradicts them, and where there is
    none guesses from the image size and finds one focal length for all cameras, or where they contradict that one
    for each; "fixed" believes, "shared" and "each" find it in any case. `clock`: "auto" finds how late every camera is,
    within 10 s, and keeps that where it is more than noise; "fixed": the cameras are synchronised.
    `distortion`: "auto" believes a file, and where there is none finds one k1 for all cameras if the recording demands
    it; "fixed" leaves it at zero; "shared", "each" find it.
    The world is metric (from `stature`, or from `distance`: two joints or two cameras and the
    metres between them), z up (from the body), its origin on the floor. Raises NotDeterminedError where
    the recording does not determine the cameras, with what to record instead."""
    check_settings(min_confidence, threshold)
    given, guessed = _lenses(session, intrinsics, size_mismatch, focal)
    people = update_people(session, None, on_time=clock == "fixed")
    count = 1 if people is None else people.count
    late = None if people is None else torch.tensor(people.time_offsets, dtype=torch.float64) / session.fps
    pixels, weights = _observations(session, min_confidence, {}, count)
    chosen = _chosen_frames(frames, len(pixels))
    _check_seen(weights, session, min_confidence)
    weights_used = torch.where(chosen[:, None, None], weights, 0.0)
    limit = threshold or POOR_DETECTION * float(given.cameras.size.norm(dim=-1).mean())
    try:
        found = calibrate_freely(
            given.cameras,
            pixels,
            weights_used,
            names=given.names,
            fps=session.fps,
            focal="unknown" if guessed and focal == "auto" else FOCAL_CHOICES[focal],
            clock=CLOCK_CHOICES[clock],
            distortion="auto" if guessed and distortion == "auto" else DISTORTION_CHOICES[distortion],
            threshold=limit,
            late=late,
            seed=seed,
        )
    except NotDeterminedError as reason:
        raise NotDeterminedError(f"{reason}{_told_apart(people, session.path)}") from reason
    settled = found.settled
    each = settled.points.unflatten(1, (count, -1))
    first = each[:, 0]  # the others are of other statures
    scale = stated_scale(settled.cameras, first, session.skeleton, given.names, stature, distance)
    cameras, upright = upright_cameras(settled.cameras, each.flatten(0, 1), scale, session.skeleton)
    calibration = found_calibration(given, cameras, found, scale, upright, frames)
    if count > 1:
        calibration.provenance["people"] = f"{count} people, matched across the cameras before calibrating"
    return _finish(session, calibration, chosen, min_confidence=min_confidence, threshold=limit)


# --- parts ---------------------------------------------------------------------------------------


def _observations(
    session: Session, min_confidence: float, clocks: Mapping[str, Clock], people: int = 1
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """Pixels and weights, the joints of one person after those of another; views read by `clocks`; weight 0 below
    `min_confidence`."""
    everybody = [session_tracks(session, clocks, person=person) for person in range(1, people + 1)]
    pixels, confidence = (torch.cat(parts, dim=2) for parts in zip(*everybody, strict=True))
    weights = torch.where(confidence >= min_confidence, confidence, 0.0)
    return pixels.double(), weights.double()


def _check_seen(
    weights: Float[Tensor, "frames views joints"], session: Session, min_confidence: float
) -> None:
    if weights.shape[1] < 2:
        raise InputError(
            f"session '{session.name}' has one camera; where cameras stand is found from what two or more of them see "
            f"at the same time. Import the recordings of the others too."
        )
    blind = [
        name
        for name, seen in zip(session.camera_names, (weights > 0).any(dim=2).any(dim=0), strict=True)
        if not seen
    ]
    if blind:
        raise InputError(
            f"camera {', '.join(blind)} has no detection with a confidence of {min_confidence} or more, so where it "
            f"stands cannot be found. Lower --min-confidence, look at its detections, or import without it."
        )


def _told_apart(people: People | None, session: Path) -> str:
    """What went before a failure, where several people were told apart."""
    if people is None:
        return ""
    late = late_words(people)
    taken = (
        f"cameras were taken to begin late by (frames) {late}" if late else "cameras were taken to be in step"
    )
    return (
        f" Before that, {people.count} people were told apart; {taken}. If that is wrong, say it: "
        f"`coview associate {session} --time-offset CAMERA FRAMES`, or --fit-clock fixed; who is who can be corrected "
        f"(docs/howto/several_people.md)."
    )


def _lenses(
    session: Session, file: Path | None, size_mismatch: SizeMismatch, focal: FitFocal
) -> tuple[Calibration, bool]:
    """The lenses of a file, or where there is none (and they may be found) a guess; and whether it is one."""
    if file is None and "calibration_source" not in session.provenance and focal != "fixed":
        return guessed_lenses(session), True
    return _given(session, file, size_mismatch, None, intrinsics_only=True), False


def _given(
    session: Session,
    file: Path | None,
    size_mismatch: SizeMismatch,
    units: Units | None,
    intrinsics_only: bool = False,
) -> Calibration:
    """The calibration file named, or the one found at import, for this session's cameras."""
    found = session.provenance.get("calibration_source")
    path = file or (Path(found) if found else None)
    if path is None:
        give = "--intrinsics FILE" if intrinsics_only else f"`coview calibrate file {session.path} FILE`"
        raise InputError(
            f"session '{session.name}' came with no calibration file, and none was named. Give one: {give}."
        )
    names = [camera.name for camera in session.cameras]
    sizes = [camera.size for camera in session.cameras]
    known = dict(zip(names, sizes, strict=True))
    read = read_calibration(path, units=units, sizes=known, intrinsics_only=intrinsics_only)
    return calibration_for(read, names, sizes, size_mismatch=size_mismatch)


def _chosen_frames(frames: tuple[int, int] | None, count: int) -> Bool[Tensor, "frames"]:
    first, last = frames or (0, count)
    if not 0 <= first < last <= count:
        raise InputError(
            f"frames {first} to {last} are not in the recording, which has frames 0 to {count} "
            f"(the last one is exclusive)."
        )
    chosen = torch.zeros(count, dtype=torch.bool)
    chosen[first:last] = True
    return chosen


def _finish(
    session: Session,
    calibration: Calibration,
    chosen: Bool[Tensor, "frames"] | None,
    *,
    min_confidence: float = 0.3,
    threshold: float | None = None,
) -> Calibrated:
    """Write the cameras, and say how well they explain what they saw."""
    people = update_people(session, calibration)  # these cameras tell them apart better than anything before
    found = _triangulated(
        session, calibration, min_confidence, threshold, 1 if people is None else people.count
    )
    fits = tuple(_fit(calibration, found, view, chosen) for view in range(len(calibration.names)))
    noted = install_calibration(session, calibration)
    return Calibrated(session.calibration_path, noted, fits, people)


def _triangulated(
    session: Session, calibration: Calibration, min_confidence: float, threshold: float | None, people: int
) -> Triangulated:
    """Every joint from the views that agree, with the calibration that is to be judged."""
    pixels, weights = _observations(session, min_confidence, calibration.clocks, people)
    cameras = calibration.cameras.to(torch.float64)
    limit = threshold or automatic_threshold(cameras, pixels, weights)
    return triangulate_robust(cameras, pixels, weights, threshold=limit)


def _fit(
    calibration: Calibration, found: Triangulated, view: int, chosen: Bool[Tensor, "frames"] | None
) -> CameraFit:
    residuals, inside = found.residuals[:, view], found.inliers[:, view]
    used = torch.ones(len(residuals), dtype=torch.bool) if chosen is None else chosen
    seen = residuals.isfinite()
    name = calibration.names[view]
    return CameraFit(
        name,
        _median(residuals[used][inside[used]]),
        _median(residuals[~used][inside[~used]]),
        float((inside & seen).sum() / seen.sum().clamp(min=1)),
        calibration.sigma[name][0] if name in calibration.sigma else float("nan"),
        float(calibration.cameras.focal[view].mean()),
        calibration.focal_sigma.get(name, float("nan")),
        calibration.clocks.get(name, SYNCHRONOUS),
    )


def _median(values: Tensor) -> float:
    return float(values.median()) if values.numel() else float("nan")
