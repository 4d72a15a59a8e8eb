"""The judgement of a session's cameras by all of its 2D joints, for the stages that write or use them."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.capture.judgement.judgement import Judgement, judge_cameras
from coview.formats.calibration.calibration import Calibration
from coview.formats.calibration.clock import Clock
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import session_tracks

# keys of a judgement, and of what else should be read, in the provenance of what was made with these cameras
JUDGEMENT, REMARKS = "judgement", "remarks"


def observations(
    session: Session, min_confidence: float, clocks: Mapping[str, Clock], people: int = 1
) -> tuple[Float[Tensor, "frames views joints 2"], Float[Tensor, "frames views joints"]]:
    """Everybody's 2D joints, with all views at the same times.

    Args:
        session: The session.
        min_confidence: Weight 0 below this.
        clocks: Of the cameras.
        people: Number of people; the joints of one come after those of another.

    Returns:
        Pixels and weights, float64.
    """
    everybody = [session_tracks(session, clocks, person=person) for person in range(1, people + 1)]
    pixels, confidence = (torch.cat(parts, dim=2) for parts in zip(*everybody, strict=True))
    weights = torch.where(confidence >= min_confidence, confidence, 0.0)
    return pixels.double(), weights.double()


def judge_session(
    session: Session, calibration: Calibration, *, min_confidence: float = 0.3, people: int = 1
) -> Judgement | None:
    """Judge cameras by everything that they saw in a session.

    Args:
        session: The session; people were told apart by these cameras.
        calibration: Its cameras, in the session's order.
        min_confidence: Detections below it are left out.
        people: Number of people.

    Returns:
        The judgement; None for a session of one camera or without a frame, where nothing can be compared.
    """
    if len(calibration.names) < 2 or session.frames == 0:
        return None
    pixels, weights = observations(session, min_confidence, calibration.clocks, people)
    return judge_cameras(
        calibration.cameras, pixels, weights, session.skeleton, calibration.names, people=people
    )


def judged(calibration: Calibration, judgement: Judgement | None) -> Calibration:
    """Write a judgement into a calibration: its words as provenance, its notes as notes.

    Args:
        calibration: The cameras.
        judgement: Of them; None: there is none.

    Returns:
        The calibration that knows it.
    """
    if judgement is None:
        return calibration
    provenance = {**calibration.provenance, JUDGEMENT: marked(judgement)}
    return replace(calibration, provenance=provenance, notes=calibration.notes + judgement.notes)


def told(judgement: Judgement) -> dict[str, str]:
    """A judgement as provenance of what was made with the cameras.

    Args:
        judgement: The judgement.

    Returns:
        Its words, and its notes where there are any.
    """
    remarks = {REMARKS: "; ".join(judgement.notes)} if judgement.notes else {}
    return {JUDGEMENT: marked(judgement), **remarks}


def remarks_of(provenance: Mapping[str, str]) -> list[str]:
    """What should be read before something is used that was made with judged cameras.

    Args:
        provenance: Of 3D joints.

    Returns:
        Sentences; none where the cameras are good and nothing was noted.
    """
    judgement = provenance.get(JUDGEMENT, "good")
    said = [] if judgement == "good" else [f"the cameras were judged {judgement}."]
    return said + [f"{provenance[key]}." for key in (REMARKS,) if key in provenance]


def marked(judgement: Judgement) -> str:
    """The words of a judgement for provenance; what was written in spite of a refusal says so.

    Args:
        judgement: The judgement.

    Returns:
        One line.
    """
    return f"{judgement.words}{' (written because of --force)' if judgement.verdict == 'refused' else ''}"
