"""Commands on a recording: import it, tell its people apart."""

from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import arg

from coview.cli.arguments import OptionalFile, Recording, SessionFolder, Size
from coview.cli.say import note, say

if TYPE_CHECKING:
    from coview.formats.session.people import People


def import_(
    source: Recording,
    session: SessionFolder,
    /,
    *,
    skeleton: str | None = None,
    fps: float | None = None,
    calibration: OptionalFile = None,
    copy_videos: bool = False,
    allow_unequal: bool = False,
    overwrite: bool = False,
    normalised: Literal["unit", "signed"] | None = None,
    image_size: Size = None,
) -> None:
    """Make a session from videos, 2D keypoint files and a calibration.

    Args:
        source: A Pose2Sim or OpenPose folder, or a folder of videos with one 2D JSON per camera.
        session: Folder to make.
        skeleton: Joint order of the 2D files where it cannot be told from them (e.g. body_25b).
        fps: Frames per second where no video tells it.
        calibration: File with the cameras, or their intrinsics alone; one beside the source is found by itself.
        copy_videos: Copy the videos into the session instead of referring to them.
        allow_unequal: Cut all cameras to the shortest one.
        overwrite: Replace a session that is there; the old content is kept beside it.
        normalised: 2D joints are no pixels but 0 to 1 across the image (unit) or -1 to 1 (signed).
        image_size: Width and height of all cameras' images in pixels, where no video says it.
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
        normalised=normalised,
        image_size=image_size,
    )
    for camera in made.cameras:
        size = "unknown size" if camera.size is None else f"{camera.size[0]}×{camera.size[1]}"
        say(f"{camera.name:12s} {camera.frames} frames, {size}, {'video' if camera.video else 'no video'}")
    note(_import_notes(made.provenance))
    say(f"skeleton        {made.provenance['skeleton']}")
    say(f"2D joints       {made.provenance['joints']}")
    found = made.provenance.get("calibration_source", "none found: `calibrate people` finds intrinsics too")
    say(f"calibration     {found}")
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


def associate(
    session: SessionFolder,
    /,
    *,
    time_offset: Annotated[tuple[tuple[str, float], ...], arg(metavar="[CAMERA FRAMES]...")] = (),
) -> None:
    """Tell several people apart, in all cameras and over time. `calibrate` and `reconstruct` do it by themselves.

    For a look at who is who, after writing corrections into people.toml, or to state time offsets of cameras where they
    are not found.

    Args:
        session: Folder with 2D joints of several people; its calibration is used where there is one.
        time_offset: Without a calibration: cameras and the frames by which each started after the others, e.g.
            `--time-offset cam02 12`.
    """
    from coview.capture.association import stage
    from coview.formats.session.session import Session

    found = Session.load(session)
    people = stage.associate(found, time_offsets=dict(time_offset) or None)
    if people is None:
        say("people          one at a time: nobody to tell apart, every stage follows the one there is")
        return
    for row in stage.presences(people):
        seen = ", ".join(f"{name} {share:.0%}" for name, share in zip(people.cameras, row.seen, strict=True))
        say(
            f"person {row.person:<8d} frames {row.first} to {row.last}; {row.shared:.0%} seen by two or more ({seen})"
        )
    say_people(people)
    say(f"tracks          {found.tracks_path}   (corrections: people.toml, see docs/howto/several_people.md)")


def say_people(people: "People") -> None:
    """Print how many people there are, and how they were told apart.

    Args:
        people: The people of a session.
    """
    from coview.capture.association.stage import describe_people

    say(f"people          {describe_people(people)}")
