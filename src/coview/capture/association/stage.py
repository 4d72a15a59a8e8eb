"""Stage: who is who in a session with several people, written to `people.npz` for the stages after it."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from coview.capture.association.association import (
    Association,
    associate_calibrated,
    associate_tracked,
    tracked_detections,
)
from coview.capture.association.fundamental_from_people import SHARED_FRAMES
from coview.capture.association.people_table import write_table
from coview.capture.association.time_offset import associate_in_time
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration
from coview.formats.calibration.clock import SYNCHRONOUS
from coview.formats.io.camera_names import listed
from coview.formats.keypoints.detections import Detections
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.people import People, edited, read_people, write_people
from coview.formats.session.session import Session, StaleError

# confidence below which a joint does not say where a person is
MIN_CONFIDENCE = 0.3
# share of a camera's frames with two people or more, from which on people are told apart
SEVERAL = 0.02


def several_people(detections: Detections, min_confidence: float = MIN_CONFIDENCE) -> bool:
    """Whether more than one person is in view of some camera in more than `SEVERAL` of its frames.

    Args:
        detections: 2D detections of all cameras.
        min_confidence: Joints below this confidence do not count; a person has three joints or more.

    Returns:
        False also where the files hold one person per frame.
    """
    if detections.joints.shape[2] < 2:
        return False
    there = (detections.confidence >= min_confidence).sum(dim=-1) >= 3
    return bool(((there.sum(dim=-1) >= 2).float().mean(dim=-1) > SEVERAL).any())


@one_at_a_time
def associate(
    session: Session, *, time_offsets: dict[str, float] | None = None, seed: int = 0
) -> People | None:
    """Match the people of a session across cameras and time, with its calibration where it has one.

    Numbers stay as they were as far as the same people are found again.

    Args:
        session: The session; `people.npz`, `people.csv` and its provenance are written.
        time_offsets: Camera: frames by which it started later. Where neither they nor a calibration say so, they are
            estimated from when people move.
        seed: Seed of the search for the geometry of two cameras.

    Returns:
        Who is who after the edits of `people.toml`; None, and nothing is written, where no camera sees several people:
        then every later stage follows the one there is.

    Raises:
        InputError: Where nobody is seen by two cameras, and for edits that cannot be meant.
    """
    calibration = placed(session)
    _check_offsets(time_offsets or {}, session, calibration)
    return _told_apart(session, calibration, time_offsets, seed)


def kept_people(session: Session, calibration: Calibration | None, *, on_time: bool = False) -> People | None:
    """Read who is who by these cameras, as `update_people` wrote it; nothing is written.

    Args:
        session: The session.
        calibration: The cameras by which people were told apart; None: by no calibration.
        on_time: Without a calibration: whether cameras were taken to begin at the same time.

    Returns:
        Who is who after the edits of `people.toml`; None where nobody told people apart, which is right where one
        person is followed.

    Raises:
        StaleError: Where people were told apart by other 2D joints or other cameras.
        InputError: For edits that cannot be meant.
    """
    people = session.people()
    if people is not None and people.made.get("basis") != _basis(calibration, {} if on_time else None):
        raise StaleError(
            f"{session.people_path} was made with other cameras than these. Run `coview associate {session.path}`."
        )
    return people


def update_people(
    session: Session, calibration: Calibration | None, *, on_time: bool = False, seed: int = 0
) -> People | None:
    """Match people by these cameras: the current result on disk (`kept_people`), else a new one, written.

    Args:
        session: The session; `people.npz`, `people.csv` and the provenance are written where anything has changed.
        calibration: Its cameras; None: by no calibration.
        on_time: Without a calibration: whether cameras are taken to have started at the same time.
        seed: Seed of the search for the geometry of two cameras.

    Returns:
        Who is who after the edits of `people.toml`; None where there is one person to follow.

    Raises:
        InputError: As `associate` does.
    """
    try:
        people = kept_people(session, calibration, on_time=on_time)
    except StaleError:
        people = None
    if people is not None:
        return people
    return _told_apart(session, calibration, {} if on_time else None, seed)


def placed(session: Session) -> Calibration | None:
    """The session's calibration where it holds extrinsics, else None.

    Args:
        session: The session.

    Returns:
        The calibration of the session's cameras, in their order; None without extrinsics or without a calibration.
    """
    if not session.calibration_path.is_file():
        return None
    calibration = session.calibration().select(session.camera_names)
    return calibration if calibration.has_extrinsics else None


def _told_apart(
    session: Session, calibration: Calibration | None, time_offsets: dict[str, float] | None, seed: int
) -> People | None:
    detections = session.detections()
    if not several_people(detections):
        # asked first: a folder that cannot be written to refuses to remove even what is not there
        if session.people_path.exists():
            session.people_path.unlink()
        return None
    found, offsets = _found(session, detections, calibration, time_offsets, seed)
    if not found.count and calibration is None and session.frames < SHARED_FRAMES:
        raise InputError(
            f"session '{session.name}': several people are in view in {session.frames} frames. Without a calibration "
            f"they are matched by {SHARED_FRAMES} frames or more of the same people; with one, a single frame is "
            f"enough: `coview calibrate file {session.path} FILE`."
        )
    if not found.count:
        raise InputError(
            f"session '{session.name}': several people are in view, but nobody could be recognised in two cameras. The "
            f"cameras may not be in step, or the calibration is of another recording. Say how much later they started "
            f"(`coview associate {session.path} --time-offset CAMERA FRAMES`), or calibrate with another file."
        )
    ids = _numbered_as_before(found.ids, _before(session))
    made = {
        "joints2d": session.detections_fingerprint,
        "basis": _basis(calibration, time_offsets),
        "matched_by": "their cameras" if calibration else "motion and epipolar fit, without a calibration",
    }
    told_apart = People(session.camera_names, ids, found.tracks, found.switches, tuple(offsets), made)
    people = edited(told_apart, session.edits_path) if session.edits_path.is_file() else told_apart
    write_table(people, detections, session.tracks_path)
    Session.load(session.path).with_provenance(people=describe_people(people)).save()
    # last: later stages take it for the sign that all of this was done
    write_people(told_apart, session.people_path)
    return people


def describe_people(people: People) -> str:
    """Summarise an association in one line.

    Args:
        people: Who is who.

    Returns:
        How many people, how they were matched, time offsets, how often a track changed person, how many edits.
    """
    switches = ", ".join(
        f"{name} {count}" for name, count in zip(people.cameras, people.switches, strict=True)
    )
    count = f"{people.count} {'person' if people.count == 1 else 'people'}"
    offsets = describe_time_offsets(people)
    offsets = f"; started later by frames: {offsets}" if offsets else ""
    edits = f"; {people.edits} edits of people.toml" if people.edits else ""
    return (
        f"{count}, by {people.made['matched_by']}{offsets}; tracks given to another person: {switches}{edits}"
    )


def describe_time_offsets(people: People) -> str:
    """List the cameras that were taken to start later or earlier than the first.

    Args:
        people: Who is who.

    Returns:
        "name +frames, ..."; empty where all are synchronised.
    """
    return ", ".join(
        f"{name} {frames:+.0f}"
        for name, frames in zip(people.cameras, people.time_offsets, strict=True)
        if round(frames)
    )


@dataclass(frozen=True)
class Presence:
    """When one person was seen, and in what share of the frames."""

    # number, from 1
    person: int
    # first frame
    first: int
    # last frame
    last: int
    # per camera, share of its frames
    seen: tuple[float, ...]
    # share of frames in which two cameras or more see the person
    shared: float


def presences(people: People) -> tuple[Presence, ...]:
    """Measure how much of every person was seen.

    Args:
        people: Who is who.

    Returns:
        One row per person who was seen, in order.
    """
    rows = []
    for person in range(1, people.count + 1):
        seen = (people.ids == person).any(dim=-1)
        ever = seen.any(dim=0).nonzero()[:, 0]
        if len(ever):
            shares = tuple(seen.float().mean(dim=1).tolist())
            both = float((seen.sum(dim=0) >= 2).float().mean())
            rows.append(Presence(person, int(ever[0]), int(ever[-1]), shares, both))
    return tuple(rows)


# --- inside --------------------------------------------------------------------------------------


def _check_offsets(time_offsets: dict[str, float], session: Session, calibration: Calibration | None) -> None:
    unknown = [name for name in time_offsets if name not in session.camera_names]
    if unknown:
        raise InputError(
            f"--time-offset: no camera {listed(unknown)} in session '{session.name}'. Its "
            f"cameras: {listed(session.camera_names)}."
        )
    if time_offsets and calibration is not None:
        raise InputError(
            f"--time-offset is for sessions without a calibration; here the clocks of {session.calibration_path} "
            f"count. Leave --time-offset out, or take the calibration away first."
        )


def _basis(calibration: Calibration | None, time_offsets: dict[str, float] | None) -> str:
    """What people are told apart by; time offsets that a user gave count like those that are estimated."""
    if calibration is None:
        return "none, on time" if time_offsets == {} else "none"
    return calibration.fingerprint


def _clock_offsets(session: Session, calibration: Calibration) -> list[float]:
    """Time offset of each camera by its clock, frames."""
    # seconds: a drifting clock is right there, and near it
    middle = session.frames / session.fps / 2
    clocks = [calibration.clocks.get(name, SYNCHRONOUS) for name in session.camera_names]
    return [(clock.time_offset + clock.drift * middle) * session.fps for clock in clocks]


def _found(
    session: Session,
    detections: Detections,
    calibration: Calibration | None,
    time_offsets: dict[str, float] | None,
    seed: int,
) -> tuple[Association, list[float]]:
    """Who is who, and the time offset of each camera, frames: by its clock, as given, or (None) estimated."""
    joints, confidence = detections.joints, detections.confidence
    if calibration is not None:
        offsets = _clock_offsets(session, calibration)
        found = associate_calibrated(
            joints,
            calibration.cameras,
            confidence,
            time_offsets=offsets,
            min_confidence=MIN_CONFIDENCE,
            bones=session.skeleton.bone_indices,
        )
        return found, offsets
    own = tracked_detections(joints, confidence, min_confidence=MIN_CONFIDENCE)
    if time_offsets is None:
        found, started = associate_in_time(own, session.fps, seed=seed)
        return found, started.tolist()
    offsets = [time_offsets.get(name, 0.0) for name in session.camera_names]
    return associate_tracked(own, offsets, seed=seed), offsets


def _before(session: Session) -> People | None:
    """Who was who until now, without edits, where the 2D joints are the same and the file is whole."""
    if not session.people_path.is_file():
        return None
    try:
        people = read_people(session.people_path, edits=False)
    except ValueError:
        return None
    return people if people.made.get("joints2d") == session.detections_fingerprint else None


def _numbered_as_before(
    ids: Int[Tensor, "views frames people"], before: People | None
) -> Int[Tensor, "views frames people"]:
    """The same people under the numbers they had; new ones get the next that are free."""
    if before is None or before.ids.shape != ids.shape:
        return ids
    both = (ids > 0) & (before.ids > 0)
    size = max(int(ids.max()), before.count)
    votes = torch.zeros(size, size)
    votes.index_put_((ids[both] - 1, before.ids[both] - 1), torch.ones(()), accumulate=True)
    rows, columns = linear_sum_assignment(votes.numpy(), maximize=True)
    renamed = dict(zip(rows.tolist(), columns.tolist(), strict=True))
    kept = sorted(renamed[person] for person in range(int(ids.max())))
    # no gaps, where people have vanished
    rank = {number: place for place, number in enumerate(kept)}
    new = torch.full_like(ids, -1)
    for person in range(int(ids.max())):
        new[ids == person + 1] = rank[renamed[person]] + 1
    return new
