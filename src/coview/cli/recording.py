"""Commands on a recording: import it, say who is who, calibrate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from coview.cli.say import note, say

if TYPE_CHECKING:
    from coview.formats.calibration.clock import Clock
    from coview.formats.session.people import People

SizeMismatch = Literal["keep", "centre", "resize", "refuse"]


def import_(
    source: Path,
    session: Path,
    /,
    *,
    skeleton: str | None = None,
    fps: float | None = None,
    calibration: Path | None = None,
    copy_videos: bool = False,
    allow_unequal: bool = False,
    overwrite: bool = False,
) -> None:
    """Make a session from videos, 2D keypoint files and a calibration.

    Args:
        source: A Pose2Sim or OpenPose folder, or a folder of videos with one 2D JSON per camera.
        session: Folder to make.
        skeleton: Joint order of the 2D files where it cannot be told from them (e.g. body_25b).
        fps: Frames per second where no video tells it.
        calibration: File with the cameras, or their lenses alone; one beside the source is found by itself.
        copy_videos: Copy the videos into the session instead of referring to them.
        allow_unequal: Cut all cameras to the shortest one.
        overwrite: Replace a session that is there; the old content is kept beside it.
    """
    from coview.capture.importing.import_session import import_session

    made = import_session(
        source,
        session,
        skeleton=skeleton,
        fps=fps,
        calibration=calibration,
        copy_videos=copy_videos,
        allow_unequal=allow_unequal,
        overwrite=overwrite,
    )
    for camera in made.cameras:
        size = "unknown size" if camera.size is None else f"{camera.size[0]}×{camera.size[1]}"
        say(f"{camera.name:12s} {camera.frames} frames, {size}, {'video' if camera.video else 'no video'}")
    note(_import_notes(made.provenance))
    say(f"2D joints       {made.provenance['joints']}")
    say(
        f"calibration     {made.provenance.get('calibration_source', 'none found: --from people finds lenses too')}"
    )
    say(f"session         {made.path}   ({made.skeleton.name}, {made.fps:g} fps)")


def _import_notes(provenance: dict[str, str]) -> list[str]:
    """What import found worth a warning, out of everything it wrote down."""
    found = [text for topic, text in provenance.items() if topic.startswith("warning")]
    found += [
        provenance.get("calibration_skipped", ""),
        *provenance.get("calibration_notes", "").split(" | "),
    ]
    return found + [
        provenance[topic] for topic in ("fps", "skeleton") if "GUESS" in provenance.get(topic, "")
    ]


def calibrate(
    session: Path,
    /,
    *,
    source: Annotated[Literal["people", "board", "file"], tyro.conf.arg(name="from")],
    file: Path | None = None,
    stature: float | None = None,
    distance: tuple[str, str, float] | None = None,
    frames: tuple[int, int] | None = None,
    trust: float = 0.3,
    size_mismatch: SizeMismatch = "keep",
    units: Literal["m", "cm", "mm"] | None = None,
    fit_focal: Literal["auto", "no", "shared", "each"] = "auto",
    fit_clock: Literal["auto", "no", "offset", "drift"] = "auto",
    fit_distortion: Literal["auto", "no", "shared", "each"] = "auto",
    seed: int = 0,
    board: str | None = None,
    videos: Path | None = None,
    lenses: Path | None = None,
    origin_frame: int | None = None,
    board_frames: int = 200,
) -> None:
    """Give a session its cameras.

    Args:
        session: Folder made by `coview import`.
        source: `file` takes cameras that are calibrated; `people` finds where cameras stand, and their
            focal lengths and clocks where those are not known, from the joints they saw together; `board`
            finds lenses and places from a calibration board.
        file: The calibration (for `people` and `board`: only its lenses are read). Default: the one found at
            import; for `board` none, its lenses are found.
        stature: Height of the person in metres; sets the scale of `people`.
        distance: Two cameras or two joints and the metres between them; sets the scale instead.
        frames: First and one-past-last frame to calibrate on; the others are held out and reported.
        trust: Leave out detections less confident than this, in [0, 1].
        size_mismatch: What to do where calibration and video differ in size by a crop: keep the principal
            point, move it by half the difference, rescale, or refuse.
        units: Of the translations in the file, where it does not say.
        fit_focal: Of `people`: `auto` believes the lenses given unless the recording contradicts them, and finds
            one focal length (or each camera's) where no file gives them; `no` believes; `shared`, `each` find it.
        fit_clock: Of `people`: `auto` finds how late every camera is, within 10 s, and in recordings beyond 20 s how
            its clock drifts; `no`: the cameras are synchronised; `offset`, `drift` find these in any case.
        fit_distortion: Of `people`: `auto` believes the lenses given, and where no file gives them finds one k1 for all
            cameras if the recording demands it; `no` leaves it at zero; `shared`, `each` find it in any case.
        seed: Of the robust search.
        board: charuco:COLUMNSxROWS:SQUARE:MARKER:DICTIONARY (charuco:7x5:0.04:0.03:DICT_4X4_50),
            checkerboard:COLUMNSxROWS:SQUARE, or a TOML file. Columns and rows count squares, lengths are metres.
        videos: Of `board`: folder of what all cameras filmed of it at once (<camera>.mp4, or pictures in
            <camera>/), or a Caliscope or Pose2Sim project. Default: the session's videos.
        lenses: Of `board`: folder of more videos or pictures of each camera by itself; alone, only lenses are found.
        origin_frame: Of `board`: frame in which the board lies on the floor, which becomes z = 0.
        board_frames: Of `board`: frames per camera that are looked at.
    """
    from coview.capture.calibration import from_people as stage

    if source == "board":
        from coview.capture.board.calibrate import calibrate_from_board

        if board is None:
            raise ValueError("--from board needs --board, e.g. --board charuco:7x5:0.04:0.03:DICT_4X4_50.")
        done = calibrate_from_board(
            session,
            board,
            videos=videos,
            lenses=lenses,
            intrinsics=file,
            origin_frame=origin_frame,
            looked=board_frames,
            size_mismatch=size_mismatch,
        )
    elif source == "file":
        done = stage.calibrate_from_file(session, file, size_mismatch=size_mismatch, units=units)
    else:
        done = stage.calibrate_from_people(
            session,
            intrinsics=file,
            stature=stature,
            distance=distance,
            frames=frames,
            trust=trust,
            size_mismatch=size_mismatch,
            focal=fit_focal,
            clock=fit_clock,
            distortion=fit_distortion,
            seed=seed,
        )
    note(done.calibration.notes)
    for fit in done.fits:
        parts = [f"{fit.median_px:.1f} px median residual of the {fit.agreement:.0%} that agree"]
        parts += (
            [f"{fit.held_out_px:.1f} px on held-out frames"] if fit.held_out_px == fit.held_out_px else []
        )
        parts += [f"centre ± {1000 * fit.centre_sigma_m:.0f} mm"] if fit.centre_sigma_m > 0 else []
        parts += [f"focal {fit.focal_px:.0f} ± {fit.focal_sigma_px:.0f} px"] if fit.focal_sigma_px > 0 else []
        parts += [_lateness(fit.clock)] if not fit.clock.is_zero else []
        say(f"{fit.name:15s} {', '.join(parts)}")
    lens = [key for key in done.calibration.provenance if key.startswith("lens_")]
    for key in (*lens, "board", "distances", "scale", "gravity", "focal", "clock"):
        if key in done.calibration.provenance:
            say(f"{key:15s} {done.calibration.provenance[key]}")
    if done.people is not None:
        _say_people(done.people)
    say(f"calibration     {done.path}")


def _lateness(clock: "Clock") -> str:
    """In words, with how sure it is."""
    words = f"{1000 * clock.offset:+.1f} ± {1000 * clock.offset_sigma:.1f} ms late"
    return (
        words
        if clock.drift == 0
        else f"{words}, drift {1e6 * clock.drift:+.0f} ± {1e6 * clock.drift_sigma:.0f} ppm"
    )


def associate(session: Path, /, *, late: tuple[tuple[str, float], ...] = ()) -> None:
    """Tell several people apart, in all cameras and over time. `calibrate` and `reconstruct` do it by themselves.

    For a look at who is who, after writing corrections into people.toml, or to say how late cameras began where that
    is not found.

    Args:
        session: Folder with 2D joints of several people; its calibration is used where there is one.
        late: Without a calibration: cameras and the frames by which they began late, e.g. `--late cam02 12`.
    """
    from coview.capture.association import stage

    people = stage.associate(session, lags=dict(late) or None)
    if people is None:
        say("people          one at a time: nobody to tell apart, every stage follows the one there is")
        return
    for row in stage.presences(people):
        seen = ", ".join(f"{name} {share:.0%}" for name, share in zip(people.cameras, row.seen, strict=True))
        say(
            f"person {row.person:<8d} frames {row.first} to {row.last}; {row.together:.0%} seen by two or more ({seen})"
        )
    _say_people(people)
    say(f"tracks          {session / 'people.csv'}   (corrections: people.toml, see docs/people.md)")


def _say_people(people: "People") -> None:
    from coview.capture.association.stage import said

    say(f"people          {said(people)}")
