"""From a recording folder of other programs to a session: all or nothing, and safe to repeat."""

import datetime
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from coview import __version__
from coview.capture.importing.checks import (
    camera_rates,
    check_calibration_fits,
    check_seen,
    check_several,
    other_rates,
    rate,
    said_skeleton,
    warnings,
)
from coview.capture.importing.common_times import at_common_times, film_times
from coview.capture.importing.find_recording import Recording, find_recording, source_fingerprint
from coview.capture.importing.transaction import COPIED, installing, undo_killed
from coview.errors import OccupiedError
from coview.formats.calibration.calibration import Calibration, calibration_for, read_calibration
from coview.formats.calibration.units import AmbiguousUnitsError
from coview.formats.io.camera_names import listed, match_names
from coview.formats.io.video import VideoInfo, probe
from coview.formats.keypoints.detections import Detections, stack_views, write_detections
from coview.formats.keypoints.guess_skeleton import body_part, which_skeleton
from coview.formats.keypoints.normalised import Normalised, in_pixels
from coview.formats.keypoints.view_joints import ViewJoints, align_frames
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.session import FILE, Session, SessionCamera

# relative difference between a given frame rate and that of a video that plays at the speed of life
_OWN_SPEED = 0.05


@dataclass(frozen=True)
class ImportOptions:
    """What the user may set; part of what decides whether an import is repeated or new."""

    # name of the skeleton of the 2D joints
    skeleton: str | None = None
    # frames per second
    fps: float | None = None
    # file with the cameras
    calibration: Path | None = None
    # instead of referring to them
    copy_videos: bool = False
    # numbers of frames
    allow_unequal: bool = False
    # what x and y of the 2D joints are, where they are no pixels
    normalised: Normalised | None = None
    # width and height in pixels, where no video says it
    image_size: tuple[int, int] | None = None


@one_at_a_time
def import_session(
    src: Path,
    session: Path,
    *,
    skeleton: str | None = None,
    fps: float | None = None,
    calibration: Path | None = None,
    copy_videos: bool = False,
    overwrite: bool = False,
    allow_unequal: bool = False,
    normalised: Normalised | None = None,
    image_size: tuple[int, int] | None = None,
) -> Session:
    """Make a session folder from a recording.

    The calibration found or given is checked and remembered, not installed: `coview calibrate` does that. Repeating an
    import of an unchanged recording returns the session as it is. A failed import leaves no half session.

    Args:
        src: Folder of the recording: Pose2Sim's, OpenPose's or a plain one (see `find_recording.EXPECTED`).
        session: The session folder to make.
        skeleton: Name of the skeleton of the 2D joints; default: as the files say, or by the number of joints.
        fps: Frames per second; default: as the videos or the files say.
        calibration: File with the cameras, or their intrinsics alone; default: one that is found beside the recording.
        copy_videos: Copy the videos into the session instead of referring to them.
        overwrite: Replace what is there; it is moved to a sub-folder `replaced-<time>`, not deleted; trained models
            stay, and that is noted.
        allow_unequal: Accept cameras with different numbers of frames; the longer ones are cut.
        normalised: What x and y of the 2D joints are, where they are no pixels: "unit", 0 to 1 across the image, or
            "signed", −1 to 1.
        image_size: Width and height of the images in pixels, for cameras without a video.

    Returns:
        The session.

    Raises:
        InputError: Naming what is wrong with the recording.
        MissingFileError: Where there is no such folder.
        OccupiedError: Where `session` holds another import and `overwrite` is not set.
    """
    src, session = Path(src), Path(session)
    options = ImportOptions(skeleton, fps, calibration, copy_videos, allow_unequal, normalised, image_size)
    undo_killed(session)
    found = find_recording(src)
    fingerprint = source_fingerprint(found, repr(options))
    if (session / FILE).is_file() and not overwrite:
        return _unchanged(Session.load(session), fingerprint, src)
    made, detections = _build(found, options, session)
    made = made.with_provenance(source_fingerprint=fingerprint, **_models_of_before(made))
    with installing(session, overwrite) as folder:
        write_detections(folder / made.detections_dir.name, made.camera_names, detections)
        if copy_videos:
            _copy_videos(made, found, folder)
        made.save(folder)
    return Session.load(session)


def _unchanged(session: Session, fingerprint: str, src: Path) -> Session:
    """The session that is there, if it came from the same recording with the same options."""
    if session.provenance.get("source_fingerprint") == fingerprint:
        return session
    raise OccupiedError(
        f"{session.path} already holds a session, imported from "
        f"{session.provenance.get('source', 'elsewhere')}; {src}, or the options, differ from that import. "
        f"Choose another session folder, or pass --overwrite: what is there is then moved to a sub-folder "
        f"`replaced-<time>`, not deleted."
    )


def _models_of_before(session: Session) -> dict[str, str]:
    """Models are the user's work, perhaps of hours, and serve for other recordings: they stay, with a note."""
    kept = sorted(path.name for path in session.models_dir.glob("*") if path.is_dir())
    if not kept or not (session.path / FILE).is_file():
        return {}
    return {
        "warning_models": f"{listed(kept)} in {session.models_dir}: trained on the recording that was replaced, and "
        f"kept. Train again with --overwrite for models of this one."
    }


# --- putting it together -------------------------------------------------------------------------


def _build(found: Recording, options: ImportOptions, path: Path) -> tuple[Session, Detections]:
    videos = _match_videos(found)
    infos = {camera: probe(video) for camera, video in videos.items()}
    views = _read_views(found, options, infos)
    check_several(views, str(found.folder))
    fps, fps_note = rate(options.fps, views, infos)
    frames = _on_common_frames(views, videos, infos, fps, options)
    said = None if options.skeleton else said_skeleton(views)
    points = body_part(stack_views(frames.points), options.skeleton or said)
    skeleton, skeleton_note = which_skeleton(points, options.skeleton, said)
    detections = Detections.make(points)
    sizes = {camera: infos[camera].size if camera in infos else view.size for camera, view in views.items()}
    check_seen(detections, sizes)
    calibration, calibration_notes = _calibration(found, options, sizes, detections)
    with_calibration = sizes if calibration is None else _with_sizes_of(calibration, sizes)
    cameras = tuple(
        SessionCamera(
            name,
            with_calibration[name],
            _video_place(videos.get(name), path, options),
            detections.joints.shape[1],
            frames.first_pictures[name],
            name in frames.moved,
        )
        for name in views
    )
    provenance = {
        "source": str(found.folder),
        "joints": _joints_note(found),
        "skeleton": f"{skeleton.name}, {skeleton_note}",
        "fps": fps_note,
        **frames.notes,
        "videos": _videos_note(found, videos, options),
        **warnings(views, infos, frames.moved),
        **_sizes_note(sizes, with_calibration),
        **calibration_notes,
        "software": f"coview {__version__}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    made = Session(path, _session_name(path), fps, skeleton, cameras, provenance, frames.first)
    return made, detections


@dataclass(frozen=True)
class _CommonFrames:
    """2D joints of all cameras at the instants of the session."""

    # per camera
    points: list[Float[Tensor, "_ _ joints 3"]]
    # number of the first frame in the recording, from 0
    first: int
    # per camera: picture of its video that the first frame shows
    first_pictures: dict[str, int]
    # cameras whose joints were moved to the common instants
    moved: tuple[str, ...]
    # for the session's provenance
    notes: dict[str, str]


def _on_common_frames(
    views: dict[str, ViewJoints],
    videos: dict[str, Path],
    infos: dict[str, VideoInfo],
    fps: float,
    options: ImportOptions,
) -> _CommonFrames:
    lengths = {name: info.frames for name, info in infos.items()}
    aligned = align_frames(views, options.allow_unequal, lengths)
    rates, _ = camera_rates(views, infos)
    # a rate that the user gives goes for all cameras, but does not make uneven pictures even; one that is far from a
    # video's own means that it plays slower than it was filmed
    used = {
        name: own
        for name, own in rates.items()
        if options.fps is None or (name in infos and infos[name].uneven and abs(own / fps - 1) < _OWN_SPEED)
    }
    end = aligned.first + len(aligned.points[0])
    times = film_times(infos, videos, used, fps, end)
    notes = {"frames": aligned.said, **other_rates(rates, fps, times, options.fps is not None)}
    notes |= {f"warning_frames_{number}": text for number, text in enumerate(aligned.warnings, 1)}
    points = at_common_times(aligned, list(views), times)
    return _CommonFrames(points, aligned.first, aligned.first_pictures, tuple(times), notes)


def _session_name(path: Path) -> str:
    return Path(path).resolve().name or "session"


def _read_views(
    found: Recording, options: ImportOptions, infos: dict[str, VideoInfo]
) -> dict[str, ViewJoints]:
    """2D joints of every camera, in pixels."""
    sizes = {camera: info.size for camera, info in infos.items()}
    return {
        camera: in_pixels(source.read(), camera, sizes.get(camera, options.image_size), options.normalised)
        for camera, source in found.joints.items()
    }


# --- videos --------------------------------------------------------------------------------


def _match_videos(found: Recording) -> dict[str, Path]:
    matched = match_names(list(found.joints), list(found.videos))
    return {camera: found.videos[matched[camera]] for camera in found.joints if camera in matched}


def _video_place(video: Path | None, session: Path, options: ImportOptions) -> Path | None:
    if video is None or not options.copy_videos or _inside(video, session):
        return video
    return session / "videos" / video.name


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _copy_videos(session: Session, found: Recording, folder: Path) -> None:
    for video in _match_videos(found).values():
        if not _inside(video, session.path):
            (folder / "videos").mkdir(exist_ok=True)
            shutil.copyfile(video, folder / "videos" / video.name)


# --- provenance ----------------------------------------------------------------------------------


def _joints_note(found: Recording) -> str:
    place = "the folder itself" if found.joints_from == "." else found.joints_from
    unused = f"; not used: {', '.join(found.joints_unused)}" if found.joints_unused else ""
    return place + unused


def _videos_note(found: Recording, videos: dict[str, Path], options: ImportOptions) -> str:
    used = {path.stem for path in videos.values()}
    without = [camera for camera in found.joints if camera not in videos]
    spare = [stem for stem in found.videos if stem not in used]
    parts = ["none" if not videos else COPIED if options.copy_videos else "referred to where they are"]
    if videos and without:
        parts.append(f"no video for {listed(without)}")
    if spare:
        parts.append(f"videos without 2D joints, left out: {listed(spare)}")
    return "; ".join(parts)


# width and height in pixels, by camera
Sizes = dict[str, tuple[int, int] | None]


def _sizes_note(recorded: Sizes, with_calibration: Sizes) -> dict[str, str]:
    """Provenance of image sizes that only the calibration gives."""
    found = [name for name, size in with_calibration.items() if size and recorded[name] is None]
    return {"image_sizes": f"of {listed(found)} from the calibration"} if found else {}


def _calibration(
    found: Recording, options: ImportOptions, sizes: Sizes, detections: Detections
) -> tuple[Calibration | None, dict[str, str]]:
    """A calibration of these cameras, and where it is; one that was given by name must fit."""
    if options.calibration is not None:
        fitted = _fitted(options.calibration, sizes, detections)
        return fitted, _calibration_note(options.calibration, fitted.notes, [])
    skipped = []
    for path in found.calibrations:
        try:
            fitted = _fitted(path, sizes, detections)
        except ValueError as error:
            skipped.append(str(error))
            continue
        return fitted, _calibration_note(path, fitted.notes, skipped)
    return None, {"calibration_skipped": " | ".join(skipped)} if skipped else {}


def _fitted(path: Path, sizes: Sizes, detections: Detections) -> Calibration:
    """The calibration for the recording's cameras; ValueError where it is of others, or of other images."""
    fitted = calibration_for(_read_whatever_unit(path, sizes), tuple(sizes), tuple(sizes.values()))
    check_calibration_fits(detections, _with_sizes_of(fitted, sizes), str(path))
    return fitted


def _with_sizes_of(calibration: Calibration, sizes: Sizes) -> Sizes:
    """Image sizes as recorded, else as the calibration, whose cameras are in the same order, has them."""
    stated = calibration.cameras.size.tolist()
    return {
        name: size or (round(width), round(height))
        for (name, size), (width, height) in zip(sizes.items(), stated, strict=True)
    }


def _read_whatever_unit(path: Path, sizes: Sizes) -> Calibration:
    """An import checks names, sizes and intrinsics; the unit of length is asked for when it is used."""
    try:
        return read_calibration(path, sizes=sizes)
    except AmbiguousUnitsError as error:
        read = read_calibration(path, units="m", sizes=sizes)
        return replace(read, notes=(f"{error} (when calibrating; the import does not need it)",))


def _calibration_note(path: Path, notes: tuple[str, ...], skipped: list[str]) -> dict[str, str]:
    entries = {"calibration_source": str(path.resolve())}
    if notes:
        entries["calibration_notes"] = " | ".join(notes)
    return entries | ({"calibration_skipped": " | ".join(skipped)} if skipped else {})
