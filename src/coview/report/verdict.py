"""What the numbers mean, in plain words: the first lines of the report."""

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from coview.capture.judgement.of_session import remarks_of
from coview.report.evidence import Reprojection, SessionEvidence
from coview.report.measures import agreements, bones, millimetres_per_pixel, quantiles

Tone = Literal["good", "fair", "poor", "note"]

# Where good ends and fair ends. Ours: what separates takes that were sound from takes that were not.
KNOWN = (0.90, 0.60)  # share of joints with a position; more is better
PIXELS = (0.004, 0.010)  # median reprojection error as a share of the image diagonal
STRETCH = (0.03, 0.08)  # standard deviation of a bone's length as a share of it
LIMB = 0.17  # metres; a shorter bone's relative spread says little but that it is short
UNEVEN = 0.08  # difference of left and right, share; within bodies it is 1-3 %
ODD_CAMERA = 2.0  # a camera whose error is this much larger than that of the middle camera is named

_OF_CAMERA = re.compile(r"camera ('[^']+'): ")  # how a remark about one camera begins


@dataclass(frozen=True)
class Line:
    """One verdict."""

    tone: Tone
    words: str


@dataclass(frozen=True)
class Headline:
    """One number for the top of the page."""

    value: str
    meaning: str


def judge(evidence: SessionEvidence) -> tuple[list[Headline], list[Line]]:
    """Headline numbers and findings about a session.

    Args:
        evidence: Content of the session.

    Returns:
        Headlines, and findings from the most to the least important.
    """
    found = [
        *_cameras(evidence),
        *_coverage(evidence),
        *_reprojection(evidence),
        *_bones(evidence),
        *_scale(evidence),
        *_notes(evidence),
    ]
    headlines = [part for part in found if isinstance(part, Headline)]
    lines = [part for part in found if isinstance(part, Line)]
    return headlines, lines + [Line("note", sentence) for sentence in evidence.missing]


def _cameras(evidence: SessionEvidence) -> Iterator[Headline | Line]:
    """What the stages thought of the cameras, where it is not simply good."""
    made = evidence.poses or evidence.calibration
    for sentence in remarks_of({} if made is None else made.provenance):
        yield Line("poor", sentence[0].upper() + sentence[1:])


def _coverage(evidence: SessionEvidence) -> Iterator[Headline | Line]:
    if evidence.poses is None:
        yield Line("poor", "There are no 3D joints yet, so this page can only show what was recorded.")
        return
    share = float(evidence.poses.points.isfinite().all(dim=-1).float().mean())
    yield Headline(f"{share:.0%}", "of the joints have a 3D position")
    words = f"{share:.0%} of the joints have a 3D position, over {evidence.frames} frames."
    yield Line(_tone(share, KNOWN, more_is_better=True), words)


def _reprojection(evidence: SessionEvidence) -> Iterator[Headline | Line]:
    compared = evidence.comparison
    if compared is None or evidence.poses is None or evidence.cameras is None:
        return
    errors = quantiles(compared.errors[compared.used])
    if not errors.count:
        yield Line("poor", "No detection agrees with a 3D joint, so the reconstruction rests on nothing.")
        return
    worth = float(millimetres_per_pixel(evidence.poses.points, evidence.cameras).nanmedian())
    diagonal = float(evidence.cameras.size.norm(dim=-1).nanmedian())
    yield Headline(
        f"{errors.median:.1f} px",
        f"from detection to 3D joint (median), about {errors.median * worth:.0f} mm",
    )
    yield Line(
        _tone(errors.median / diagonal, PIXELS) if diagonal > 0 else "note",
        f"Seen through the cameras, the 3D joints lie {errors.median:.1f} px from the detections they rest "
        f"on (median; 95% are within {errors.high:.1f} px). At the person, a pixel is {worth:.1f} mm.",
    )
    yield from _odd_cameras(compared, evidence.session.camera_names)


def _odd_cameras(compared: Reprojection, names: tuple[str, ...]) -> Iterator[Line]:
    rows = agreements(compared.errors, compared.used, compared.seen, names, axis=1)
    judged = [row for row in rows if row.pixels.count]
    usual = statistics.median(row.pixels.median for row in judged)
    for row in rows:
        if not row.pixels.count:
            yield Line(
                "poor", f"{row.name} contributes nothing: none of its detections agrees with the others."
            )
        elif len(judged) > 2 and row.pixels.median > ODD_CAMERA * usual:
            yield Line(
                "fair",
                f"{row.name} agrees worse than the others ({row.pixels.median:.1f} px against {usual:.1f}): "
                "its calibration, or its synchronisation, deserves a look.",
            )


def _bones(evidence: SessionEvidence) -> Iterator[Headline | Line]:
    if evidence.poses is None:
        return
    every = bones(evidence.poses.points, evidence.skeleton)
    judged = [bone for bone in every if bone.mean > LIMB and bone.relative_std == bone.relative_std]
    if not judged:
        return
    usual = statistics.median(bone.relative_std for bone in judged)
    worst = max(judged, key=lambda bone: bone.relative_std)
    yield Headline(f"{usual:.1%}", "spread of a bone's length (a real bone has none)")
    refined = "refined" in evidence.poses.provenance
    yield Line(
        "note" if refined else _tone(usual, STRETCH),
        f"Bones longer than {100 * LIMB:.0f} cm keep their length to {usual:.1%} (median; worst "
        f"{worst.name.replace('_', ' ')}: {worst.relative_std:.1%}). "
        + (
            "Refining holds them together, so this is no test; what they were before is said under “What was assumed”."
            if refined
            else "Nothing forces them to, so this is a test."
        ),
    )
    uneven = [bone for bone in judged if "left" in bone.name and abs(bone.asymmetry) > UNEVEN]
    if uneven:
        named = ", ".join(f"{bone.name.replace('_', ' ')} {abs(bone.asymmetry):.0%}" for bone in uneven[:3])
        yield Line("fair", f"Left and right differ in length more than bodies do: {named}.")


def _scale(evidence: SessionEvidence) -> Iterator[Headline | Line]:
    calibration = evidence.calibration
    if calibration is None or not calibration.has_extrinsics:
        return
    source = calibration.provenance.get("scale", "taken from the calibration file as it is")
    if calibration.scale_sigma is None:
        yield Line("note", f"Scale: {source}. Its uncertainty is not known.")
        return
    assumed = "assumed" in source.lower()
    yield Headline(f"± {calibration.scale_sigma:.1%}", "uncertainty of every length (scale)")
    yield Line(
        "fair" if assumed else "note",
        f"Scale: {source}. Every length is uncertain by {calibration.scale_sigma:.1%}.",
    )


def remarks(evidence: SessionEvidence) -> list[str]:
    """Notes that earlier stages made about the calibration, each once.

    Import and calibration may note the same, also of several cameras: that is one remark, which names them all.

    Args:
        evidence: Content of the session.

    Returns:
        Sentences.
    """
    calibration, stored = evidence.calibration, evidence.session.provenance.get("calibration_notes", "")
    noted = stored.split(" | ")
    if calibration is not None:
        noted = [*calibration.notes, *calibration.provenance.get("notes", "").split(" | "), *noted]
    cameras: dict[str, list[str]] = {}
    for one in dict.fromkeys(filter(None, noted)):
        about = _OF_CAMERA.match(one)
        cameras.setdefault(one if about is None else one[about.end() :], []).extend(
            about.groups() if about else ()
        )
    return [
        f"camera{'s' if len(names) > 1 else ''} {', '.join(names)}: {said}" if names else said
        for said, names in cameras.items()
    ]


def _notes(evidence: SessionEvidence) -> Iterator[Line]:
    """That there are remarks; the page's last part has them in full."""
    count = len(remarks(evidence))
    if count:
        said = "1 remark" if count == 1 else f"{count} remarks"
        yield Line("fair", f"The calibration came with {said}, to be read under “What was assumed”.")


def _tone(value: float, ends: tuple[float, float], *, more_is_better: bool = False) -> Tone:
    good, fair = ends
    if more_is_better:
        return "good" if value >= good else "fair" if value >= fair else "poor"
    return "good" if value <= good else "fair" if value <= fair else "poor"
