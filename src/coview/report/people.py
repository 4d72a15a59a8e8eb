"""The report's part about several people: who was seen where, how often tracks changed owner, how each is placed."""

import math
from dataclasses import dataclass

from coview.capture.association.stage import Presence, presences
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.people import EDITS, People
from coview.formats.session.session import Session, StaleError
from coview.report.html import render_html
from coview.report.measures import quantiles
from coview.report.verdict import Line

OFTEN = 0.01  # changes of owner per detection of a camera, beyond which its tracks deserve a look


def told_apart(session: Session) -> People | None:
    """The people of a session.

    Args:
        session: The session.

    Returns:
        Identities and tracks; None where there is one person, or where the 2D joints have changed since.
    """
    try:
        return session.people()
    except StaleError:
        return None


def people_lines(people: People | None) -> list[Line]:
    """Findings about identities: how often tracks of single cameras changed their person.

    Args:
        people: The people, or None.

    Returns:
        One line; none where there is one person.
    """
    if people is None:
        return []
    switches = sum(people.switches)
    words = (
        f"{people.count} people are told apart; tracks of single cameras were cut and given to another person "
        f"{switches} {'time' if switches == 1 else 'times'}."
    )
    if people.edits:
        words += f" {people.edits} corrections of {EDITS} are applied."
    return [Line("fair" if _often(people) else "note", words)]


def people_section(session: Session, people: People | None) -> str:
    """The report's part on several people: a row per person, and changes of identity per camera.

    Args:
        session: The session.
        people: Its people, or None.

    Returns:
        HTML; empty where there is one person.
    """
    if people is None:
        return ""
    return render_html(
        "people",
        cameras=list(people.cameras),
        people=[_shown(presence, _placed(session, presence.person)) for presence in presences(people)],
        switches=list(zip(people.cameras, people.switches, strict=True)),
        odd=_often(people),
        edits=EDITS,
    )


@dataclass(frozen=True)
class _Shown:
    """A row of the table."""

    presence: Presence
    # share of the joints that have a 3D position; NaN: not reconstructed
    placed: float
    # pixels, median reprojection error of the inliers; NaN: not known
    residual: float


def _shown(presence: Presence, poses: Poses3D | None) -> _Shown:
    placed, residual = math.nan, math.nan
    if poses is not None:
        placed = float(poses.points.isfinite().all(dim=-1).float().mean())
    if poses is not None and poses.residuals is not None and poses.inliers is not None:
        residual = quantiles(poses.residuals[poses.inliers]).median
    return _Shown(presence, placed, residual)


def _placed(session: Session, person: int) -> Poses3D | None:
    try:
        return session.poses3d(person)
    except (FileNotFoundError, StaleError):
        return None


def further_people(session: Session, frames: int) -> list[Poses3D]:
    """The 3D joints of everybody but person 1, as far as they were reconstructed.

    Args:
        session: The session.
        frames: Number of frames that they must have.

    Returns:
        One per person.
    """
    people = told_apart(session)
    found = [_placed(session, person) for person in range(2, (people.count if people else 1) + 1)]
    return [poses for poses in found if poses is not None and len(poses.points) == frames]


def _often(people: People) -> list[str]:
    """Cameras whose tracks change owner often."""
    detections = (people.ids > 0).flatten(1).sum(dim=1).tolist()
    every = zip(people.cameras, people.switches, detections, strict=True)
    return [name for name, count, seen in every if count > OFTEN * max(seen, 1)]
