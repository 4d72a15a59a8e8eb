"""Stage: a session gets its cameras, from a file or from the people who move in front of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.body.metric_rig import upright_cameras
from coview.body.people_sizes import implied_statures
from coview.body.stature_scale import Scale, scale_from_stature
from coview.capture.association.stage import describe_time_offsets, update_people
from coview.capture.calibration.assess import Calibrated, finish, triangulated
from coview.capture.calibration.axis_readings import reading_that_fits
from coview.capture.calibration.blame import with_the_right_camera
from coview.capture.calibration.initial_intrinsics import (
    CLOCK_CHOICES,
    DISTORTION_CHOICES,
    FOCAL_CHOICES,
    FitClock,
    FitDistortion,
    FitFocal,
    guessed_intrinsics,
)
from coview.capture.calibration.metric_scale import stated_scale
from coview.capture.calibration.provenance import found_calibration
from coview.capture.judgement.of_session import observations
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration, calibration_for, read_calibration
from coview.formats.calibration.fit_size import SizeMismatch
from coview.formats.calibration.units import Units
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.people import People
from coview.formats.session.session import Session
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.self_calibrate import SelfCalibrated, self_calibrate
from coview.geometry.triangulation.inlier_threshold import check_settings
from coview.threads import one_thread

# which direction of a calibration file is up
Up = Literal["file", "people"]
# of the image's diagonal: beyond it a detection is wrong rather than poor
POOR_DETECTION = 0.006


@one_at_a_time
@one_thread()
def calibrate_from_file(
    session: Session,
    file: Path | None = None,
    *,
    size_mismatch: SizeMismatch = "keep",
    units: Units | None = None,
    stature: float | None = None,
    up: Up = "file",
    force: bool = False,
) -> Calibrated:
    """Take the cameras of a calibration file, matched to the session's cameras by name; also their clocks, with a note.

    Args:
        session: The session; its `calibration.toml` is written.
        file: A calibration in any format that `read_calibration` reads; default: the one found at import.
        size_mismatch: What to do where its images differ from the session's by a crop.
        units: Unit of its lengths, where the file does not say.
        stature: Metres; the stature of person 1, by which the world is rescaled. Default: the file's scale.
        up: "file": the file's world has z up; "people": it is turned so that the people stand.
        force: Whether to write cameras that do not fit what they saw; the result is marked.

    Returns:
        The cameras, and how well they explain the session's 2D joints.

    Raises:
        RefusedError: Where the cameras do not fit what they saw, with the cause where it can be told.
        InputError: Where the file is for other cameras or images, holds intrinsics alone, or is not a calibration.
    """
    calibration = _given(session, file, size_mismatch, units)
    if not calibration.has_extrinsics:
        raise InputError(
            f"{calibration.provenance['file']} holds intrinsics only, not where the cameras stand. "
            f"Place them with `coview calibrate people {session.path}`."
        )
    calibration = reading_that_fits(session, calibration)
    calibration = replace(calibration, notes=calibration.notes + _clock_notes(calibration))
    if stature is not None or up == "people":
        calibration = _by_the_people(session, calibration, stature, up)
    return finish(session, calibration, None, force=force)


def _by_the_people(session: Session, calibration: Calibration, stature: float | None, up: Up) -> Calibration:
    """The cameras in a world that is rescaled to person 1's stature, and turned so that the people stand."""
    people = update_people(session, calibration)
    count = 1 if people is None else people.count
    points = triangulated(session, calibration, 0.3, None, count).points
    provenance, scale = dict(calibration.provenance), Scale(1.0, 0.0, "of the file")
    if stature is not None:
        scale = scale_from_stature(points.chunk(count, dim=1)[0], session.skeleton, stature)
        provenance["scale"] = scale.words
        calibration = replace(calibration, scale_sigma=scale.relative_sigma)
    if up == "people":
        everybody = torch.cat(points.chunk(count, dim=1))
        cameras, upright = upright_cameras(calibration.cameras, everybody, scale, session.skeleton)
        provenance["gravity"] = upright.words
    else:
        cameras = calibration.cameras.moved(
            torch.eye(3, 4, dtype=torch.float64), scale=1 / scale.metres_per_unit
        )
    return replace(calibration, cameras=cameras, provenance=provenance)


def _clock_notes(calibration: Calibration) -> tuple[str, ...]:
    """A note on the clocks of a file, since those of another recording are the likeliest silent mistake."""
    nonzero = {name: clock for name, clock in calibration.clocks.items() if not clock.is_zero}
    if not nonzero:
        return ()
    told = ", ".join(f"{name} {1000 * clock.time_offset:+.0f} ms" for name, clock in nonzero.items())
    return (
        f"the file's clocks are taken over ({told}). They hold for the recording they were found on: of another take "
        f"by cameras that are not started together, remove [metadata.clocks] from the file.",
    )


@one_at_a_time
@one_thread()
def calibrate_from_people(
    session: Session,
    *,
    intrinsics: Path | None = None,
    stature: float | tuple[int, float] | None = None,
    distance: tuple[str, str, float] | None = None,
    frames: tuple[int, int] | None = None,
    min_confidence: float = 0.3,
    threshold: float | None = None,
    size_mismatch: SizeMismatch = "keep",
    focal: FitFocal = "auto",
    clock: FitClock = "auto",
    distortion: FitDistortion = "auto",
    seed: int = 0,
    force: bool = False,
) -> Calibrated:
    """Calibrate the cameras of a session from the joints that they saw of people who move in front of them.

    Several people are told apart first, and the joints of all of them are used. The world is metric, z up (from the
    body), its origin on the floor.

    Args:
        session: The session; its `calibration.toml` is written.
        intrinsics: File with the intrinsics; where its cameras stand is not read. Default: the file found at import, or
            a guess from the image sizes.
        stature: Metres, the stature of the one person; of several, the number of a person (1 is seen most) and metres.
            A number alone is refused where they differ in size.
        distance: Two joints or two cameras, and the metres between them; excludes `stature`. Without either an adult's
            stature is assumed.
        frames: First frame and the one after the last that are used; default: all.
        min_confidence: Detections below this confidence are left out.
        threshold: Pixels beyond which a detection is wrong rather than poor; default: 0.6 % of the image's diagonal.
        size_mismatch: What to do where the images of `intrinsics` differ from the session's by a crop.
        focal: "auto" keeps given focal lengths unless the recording contradicts them, and without any estimates one for
            all cameras, or where they contradict that one for each; "fixed" keeps them; "shared" and "each" estimate
            them.
        clock: "auto" estimates the time offset of every camera, up to 10 s, and keeps it where it is significant;
            "fixed": the cameras are synchronised; "offset" and "drift" estimate it in any case, the latter with the
            rate.
        distortion: "auto" keeps a given distortion, and without any estimates one k1 for all cameras if the recording
            demands it; "fixed" keeps it or leaves it at zero; "shared" and "each" estimate k1.
        seed: Seed of the robust searches.
        force: Whether to write cameras that do not fit what they saw; the result is marked.

    Returns:
        The cameras, how well they agree, and who is who where there are several people.

    Raises:
        NotDeterminedError: Where the recording does not determine the cameras, with what to record instead.
        RefusedError: Where the cameras found are not possible: mirrored bodies, limbs that change their length.
        InputError: For settings out of range, fewer than two cameras, or a camera without detections.
    """
    check_settings(min_confidence, threshold)
    given, guessed = _initial_intrinsics(session, intrinsics, size_mismatch, focal)
    people = update_people(session, None, on_time=clock == "fixed")
    count = 1 if people is None else people.count
    time_offsets = (
        None if people is None else torch.tensor(people.time_offsets, dtype=torch.float64) / session.fps
    )
    pixels, weights = observations(session, min_confidence, {}, count)
    chosen = _chosen_frames(frames, len(pixels))
    _check_seen(weights, session, min_confidence)
    weights_used = torch.where(chosen[:, None, None], weights, 0.0)
    limit = threshold or POOR_DETECTION * float(given.cameras.size.norm(dim=-1).mean())
    asked = _unknowns(guessed, focal, clock, distortion)

    def solve(views: list[int]) -> SelfCalibrated:
        return self_calibrate(
            given.cameras[torch.tensor(views)],
            pixels[:, views],
            weights_used[:, views],
            names=tuple(given.names[view] for view in views),
            fps=session.fps,
            threshold=limit,
            time_offset=None if time_offsets is None else time_offsets[views] - time_offsets[views[0]],
            people=count,
            seed=seed,
            **asked,
        )

    try:
        found = solve(list(range(len(given.names))))
    except NotDeterminedError as failure:
        reason = with_the_right_camera(failure, given.names, lambda views: solve(views).refined.adjusted.rms)
        raise NotDeterminedError(f"{reason}{_told_apart(people, session.path)}") from failure
    refined = found.refined
    each = refined.points.unflatten(1, (count, -1))
    scale = stated_scale(refined.cameras, each, session.skeleton, given.names, stature, distance)
    cameras, upright = upright_cameras(refined.cameras, each.flatten(0, 1), scale, session.skeleton)
    calibration = found_calibration(given, cameras, found, scale, upright, frames)
    calibration.provenance["statures"] = implied_statures(each.unbind(1), session.skeleton, scale)
    if count > 1:
        calibration.provenance["people"] = f"{count} people, matched across the cameras before calibrating"
    return finish(session, calibration, chosen, min_confidence=min_confidence, threshold=limit, force=force)


# --- parts ---------------------------------------------------------------------------------------


def _unknowns(guessed: bool, focal: FitFocal, clock: FitClock, distortion: FitDistortion) -> dict[str, Any]:
    """What is to be estimated, in the words of `self_calibrate`."""
    return {
        "focal": "unknown" if guessed and focal == "auto" else FOCAL_CHOICES[focal],
        "clock": CLOCK_CHOICES[clock],
        "distortion": "auto" if guessed and distortion == "auto" else DISTORTION_CHOICES[distortion],
    }


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
    time_offsets = describe_time_offsets(people)
    taken = (
        f"cameras were taken to start later by (frames) {time_offsets}"
        if time_offsets
        else "cameras were taken to be in step"
    )
    return (
        f" Before that, {people.count} people were told apart; {taken}. If that is wrong, say it: "
        f"`coview associate {session} --time-offset CAMERA FRAMES`, or --fit-clock fixed; who is who can be corrected "
        f"(docs/howto/several_people.md)."
    )


def _initial_intrinsics(
    session: Session, file: Path | None, size_mismatch: SizeMismatch, focal: FitFocal
) -> tuple[Calibration, bool]:
    """The intrinsics of a file, or where there is none (and they may be found) a guess; and whether it is one."""
    if file is None and "calibration_source" not in session.provenance and focal != "fixed":
        return guessed_intrinsics(session), True
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
    sizes_by_camera = dict(zip(names, sizes, strict=True))
    read = read_calibration(path, units=units, sizes=sizes_by_camera, intrinsics_only=intrinsics_only)
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
