"""What trained models found in the session's videos, beside the detections' triangulation."""

from dataclasses import dataclass

from coview.capture.images.compare import Beside, beside
from coview.capture.images.reconstruct import results
from coview.formats.motion.poses3d import Poses3D
from coview.report.evidence import Evidence
from coview.report.html import definitions, number, paragraph, percent, section, table, text
from coview.report.verdict import Line

_TOLD = ("method", "weights", "crop", "root", "smooth")  # of the provenance


@dataclass(frozen=True)
class FoundInImages:
    """One method's joints and how they compare."""

    kind: str
    poses: Poses3D
    compared: Beside | None
    why_not: str


def found_in_images(evidence: Evidence) -> tuple[FoundInImages, ...]:
    """Every result in the session, measured anew against the triangulation it has now."""
    return tuple(
        _found(kind, Poses3D.load(path), evidence) for kind, path in results(evidence.session).items()
    )


def image_lines(found: tuple[FoundInImages, ...]) -> list[Line]:
    """A sentence on each, for the top of the page."""
    lines = []
    for one in found:
        if one.compared is not None:
            said = (
                f"From the images ({one.kind}): {one.compared.median_mm:.0f} mm from the detections' triangulation "
                f"in the median, {one.compared.p_mpjpe_mm:.0f} mm (P-MPJPE) after alignment."
            )
            lines.append(Line("fair" if one.compared.warnings else "note", said))
    return lines


def image_section(found: tuple[FoundInImages, ...]) -> str:
    """The numbers of every method; empty where no model looked at the videos."""
    if not found:
        return ""
    words = (
        "A trained model looked at the videos, cut to the person by the 2D joints. Distances are to the joints of "
        "the same name that were triangulated from the 2D detections; those are no truth. P-MPJPE: mean after a "
        "similarity alignment of every frame. Residual: median distance in the image to the detections that the "
        "triangulation rests on; it was fitted to them, so its own is smaller by construction."
    )
    heads = (
        "method",
        "median",
        "mean",
        "P-MPJPE",
        "residual",
        "triangulation's",
        "covered",
        "joints",
        "frames",
    )
    rows = [_row(one.kind, one.compared) for one in found if one.compared is not None]
    parts = [paragraph(words, "small"), table(heads, rows) if rows else ""]
    for one in found:
        said = [f"{one.kind}: not compared: {one.why_not}"] if one.compared is None else one.compared.warnings
        parts += [paragraph(text(line), "absent") for line in said]
        told = {key: one.poses.provenance.get(key, "not recorded") for key in _TOLD}
        parts.append(
            f"<details><summary>Where the {text(one.kind)} joints come from</summary>{definitions(told)}</details>"
        )
    return section("images", "From the images", *parts)


def _found(kind: str, poses: Poses3D, evidence: Evidence) -> FoundInImages:
    if evidence.poses is None:
        return FoundInImages(kind, poses, None, "the detections are not triangulated.")
    if evidence.calibration is None or evidence.pixels is None:
        return FoundInImages(kind, poses, None, "the calibration or the detections are not there any more.")
    made_with = poses.provenance.get("calibration_hash")
    if made_with is not None and made_with != evidence.session.calibration().fingerprint:
        return FoundInImages(kind, poses, None, "the session was calibrated again since; reconstruct again.")
    try:
        return FoundInImages(kind, poses, beside(evidence.session, poses, evidence.poses), "")
    except ValueError as error:
        return FoundInImages(kind, poses, None, str(error))


def _row(kind: str, found: Beside) -> tuple[str, ...]:
    return (
        text(kind),
        f"<b>{number(found.median_mm, 'mm')}</b>",
        number(found.mean_mm, "mm"),
        number(found.p_mpjpe_mm, "mm"),
        number(found.residual_px, "px"),
        number(found.triangulated_px, "px"),
        percent(found.covered),
        str(len(found.joints)),
        str(found.frames),
    )
