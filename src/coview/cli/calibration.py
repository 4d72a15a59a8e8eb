"""Commands that give a session its cameras: `coview calibrate people`, `board` and `file`."""

from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from coview.cli.arguments import (
    Frames,
    Metres,
    OptionalFile,
    OptionalFolder,
    SessionFolder,
    Stature,
    parse_stature,
)
from coview.cli.group import run_group
from coview.cli.recording import say_people
from coview.cli.say import note, say

if TYPE_CHECKING:
    from coview.capture.calibration.assess import Calibrated, CameraFit
    from coview.formats.calibration.clock import Clock

SizeMismatch = Literal["keep", "centre", "resize", "refuse"]


def calibrate(arguments: list[str]) -> None:
    """Cameras of a session: from its people, from a calibration board, or from a file; `calibrate people --help`."""
    run_group(
        "calibrate",
        {"people": people, "board": board, "file": file},
        "Give a session its cameras: from the people in view, from a calibration board, or from a file.",
        arguments,
    )


def people(
    session: SessionFolder,
    /,
    *,
    intrinsics: OptionalFile = None,
    stature: Stature = None,
    distance: Annotated[tuple[str, str, float] | None, arg(metavar="A B METRES")] = None,
    frames: Frames = None,
    min_confidence: float = 0.3,
    size_mismatch: SizeMismatch = "keep",
    fit_focal: Literal["auto", "fixed", "shared", "each"] = "auto",
    fit_clock: Literal["auto", "fixed", "offset", "drift"] = "auto",
    fit_distortion: Literal["auto", "fixed", "shared", "each"] = "auto",
    seed: int = 0,
    force: bool = False,
) -> None:
    """Find the cameras from the joints that they saw together: where they stand, and what else is not known of them.

    Args:
        session: Folder made by `coview import`.
        intrinsics: Calibration file of which the intrinsics are read; default: the one found at import, and where there
            is none they are found too.
        stature: Height of the person in metres; of several people, whose it is and metres (2:1.62). Sets the scale.
        distance: Two cameras or two joints and the metres between them; sets the scale instead.
        frames: First and one-past-last frame to calibrate on; the others are held out and reported.
        min_confidence: Leave out detections less confident than this, in [0, 1].
        size_mismatch: Where calibration and video differ in size by a crop: keep the principal point, move it by half
            the difference, rescale, or refuse.
        fit_focal: `auto` believes the focal lengths given unless the recording contradicts them, and finds one (or each
            camera's) where no file gives them; `fixed` believes; `shared`, `each` find it in any case.
        fit_clock: `auto` finds every camera's time offset, within 10 s, and in recordings beyond 20 s the drift of its
            clock; `fixed`: the cameras are synchronised; `offset`, `drift` find these in any case.
        fit_distortion: `auto` believes what is given, and where no file gives it finds one k1 for all cameras if the
            recording demands it; `fixed` leaves it as given or zero; `shared`, `each` find it in any case.
        seed: Of the robust search.
        force: Write cameras even if they do not fit what they saw; the result is marked.
    """
    from coview.capture.calibration.from_people import calibrate_from_people
    from coview.formats.session.session import Session

    say_calibrated(
        calibrate_from_people(
            Session.load(session),
            intrinsics=intrinsics,
            stature=parse_stature(stature),
            distance=distance,
            frames=frames,
            min_confidence=min_confidence,
            size_mismatch=size_mismatch,
            focal=fit_focal,
            clock=fit_clock,
            distortion=fit_distortion,
            seed=seed,
            force=force,
        )
    )


def board(
    session: SessionFolder,
    /,
    *,
    board: Annotated[str, arg(metavar="BOARD")],
    videos: OptionalFolder = None,
    intrinsics: OptionalFile = None,
    intrinsics_videos: OptionalFolder = None,
    origin_frame: int | None = None,
    board_frames: int = 200,
    size_mismatch: SizeMismatch = "keep",
) -> None:
    """Find intrinsics and places of the cameras from a calibration board that they filmed.

    Boards and videos: docs/howto/calibrate_from_a_board.md.

    Args:
        session: Folder made by `coview import`; with --videos or --intrinsics-videos it need not be one yet.
        board: charuco:COLUMNSxROWS:SQUARE:MARKER:DICTIONARY (charuco:7x5:0.04:0.03:DICT_4X4_50),
            checkerboard:COLUMNSxROWS:SQUARE, or a TOML file. Columns and rows count squares, lengths are metres.
        videos: Folder of what all cameras filmed of it at once (<camera>.mp4, or pictures in <camera>/), or a Caliscope
            or Pose2Sim project. Default: the session's videos.
        intrinsics: Calibration file whose intrinsics are kept; default: none, they are found.
        intrinsics_videos: Folder of more videos or pictures of each camera by itself; without --videos only the
            intrinsics are found.
        origin_frame: Frame in which the board lies on the floor, which becomes z = 0.
        board_frames: Frames per camera that are looked at.
        size_mismatch: Where --intrinsics and the videos differ in size by a crop: keep the principal point, move it by
            half the difference, rescale, or refuse.
    """
    from coview.capture.board.calibrate import calibrate_from_board
    from coview.formats.session.session import FILE, Session

    say_calibrated(
        calibrate_from_board(
            Session.load(session) if (session / FILE).is_file() else session,
            board,
            videos=videos,
            intrinsics=intrinsics,
            intrinsics_videos=intrinsics_videos,
            origin_frame=origin_frame,
            board_frames=board_frames,
            size_mismatch=size_mismatch,
        )
    )


def file(
    session: SessionFolder,
    calibration: OptionalFile = None,
    /,
    *,
    size_mismatch: SizeMismatch = "keep",
    units: Literal["m", "cm", "mm"] | None = None,
    stature: Metres = None,
    up: Literal["file", "people"] = "file",
    force: bool = False,
) -> None:
    """Take the cameras from a calibration file, in any of twelve formats; docs/howto/calibration_files.md.

    Args:
        session: Folder made by `coview import`.
        calibration: The calibration; default: the one found at import.
        size_mismatch: Where calibration and video differ in size by a crop: keep the principal point, move it by half
            the difference, rescale, or refuse.
        units: Of the lengths in the file, where it does not say.
        stature: Height of the person in metres (of person 1); rescales the file's world.
        up: `file`: its world has z up; `people`: turn it so that the people stand.
        force: Write cameras even if they do not fit what they saw; the result is marked.
    """
    from coview.capture.calibration.from_people import calibrate_from_file
    from coview.formats.session.session import Session

    say_calibrated(
        calibrate_from_file(
            Session.load(session),
            calibration,
            size_mismatch=size_mismatch,
            units=units,
            stature=stature,
            up=up,
            force=force,
        )
    )


# --- what was found --------------------------------------------------------------------------------


def say_calibrated(done: "Calibrated") -> None:
    """Print the cameras, one line each, then scale, vertical and what else was estimated.

    Args:
        done: What a calibration returned.
    """
    note(done.calibration.notes)
    for fit in done.fits:
        say(f"{fit.name:15s} {', '.join(_fit_words(fit))}")
    provenance = done.calibration.provenance
    lens = [key for key in provenance if key.startswith("lens_")]
    for key in (*lens, "board", "distances", "scale", "statures", "gravity", "focal", "clock"):
        if key in provenance:
            say(f"{key:15s} {provenance[key]}")
    if done.people is not None:
        say_people(done.people)
    if "judgement" in provenance:
        say(f"judgement       {provenance['judgement']}")
    say(f"calibration     {done.path}")


def _fit_words(fit: "CameraFit") -> list[str]:
    words = [f"{fit.median_px:.1f} px median residual of the {fit.agreement:.0%} that agree"]
    words += [f"{fit.held_out_px:.1f} px on held-out frames"] if fit.held_out_px == fit.held_out_px else []
    words += [f"centre ± {1000 * fit.centre_sigma_m:.0f} mm"] if fit.centre_sigma_m > 0 else []
    words += [f"focal {fit.focal_px:.0f} ± {fit.focal_sigma_px:.0f} px"] if fit.focal_sigma_px > 0 else []
    words += [_clock_words(fit.clock)] if not fit.clock.is_zero else []
    return words


def _clock_words(clock: "Clock") -> str:
    words = f"time offset {1000 * clock.time_offset:+.1f} ± {1000 * clock.time_offset_sigma:.1f} ms"
    if clock.drift == 0:
        return words
    return f"{words}, drift {1e6 * clock.drift:+.0f} ± {1e6 * clock.drift_sigma:.0f} ppm"
