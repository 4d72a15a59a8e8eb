"""What trained models found in the session's videos, beside the detections' triangulation."""

from dataclasses import dataclass

from coview.capture.images.compare import TriangulationComparison, compare_with_triangulation
from coview.capture.images.reconstruct import results
from coview.formats.motion.poses3d import Poses3D
from coview.report.evidence import SessionEvidence
from coview.report.html import render_html
from coview.report.verdict import Line

_TOLD = ("method", "weights", "crop", "root", "smooth")  # of the provenance


@dataclass(frozen=True)
class ImageResult:
    """One method's joints and how they compare."""

    kind: str
    poses: Poses3D
    compared: TriangulationComparison | None
    why_not: str

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before using the joints."""
        if self.compared is None:
            return (f"{self.kind}: not compared: {self.why_not}",)
        return tuple(self.compared.warnings)


def found_in_images(evidence: SessionEvidence) -> tuple[ImageResult, ...]:
    """Every image-based result of the session, compared with the triangulation that the session has now.

    Args:
        evidence: Content of the session.

    Returns:
        One per method.
    """
    return tuple(
        _found(kind, Poses3D.load(path), evidence) for kind, path in results(evidence.session).items()
    )


def image_lines(found: tuple[ImageResult, ...]) -> list[Line]:
    """Findings about image-based results, for the top of the page.

    Args:
        found: The results.

    Returns:
        One line per result that could be compared.
    """
    lines = []
    for one in found:
        if one.compared is not None:
            said = (
                f"From the images ({one.kind}): {one.compared.median_mm:.0f} mm from the detections' triangulation "
                f"in the median, {one.compared.p_mpjpe_mm:.0f} mm (P-MPJPE) after alignment."
            )
            lines.append(Line("fair" if one.compared.warnings else "note", said))
    return lines


def image_section(found: tuple[ImageResult, ...]) -> str:
    """The report's part on image-based results.

    Args:
        found: The results.

    Returns:
        HTML; empty without results.
    """
    if not found:
        return ""
    origins = [{key: one.poses.provenance.get(key, "not recorded") for key in _TOLD} for one in found]
    return render_html(
        "images",
        compared=[one for one in found if one.compared is not None],
        found=list(zip(found, origins, strict=True)),
    )


def _found(kind: str, poses: Poses3D, evidence: SessionEvidence) -> ImageResult:
    if evidence.poses is None:
        return ImageResult(kind, poses, None, "the detections are not triangulated.")
    if evidence.calibration is None or evidence.pixels is None:
        return ImageResult(kind, poses, None, "the calibration or the detections are not there any more.")
    made_with = poses.provenance.get("calibration_hash")
    if made_with is not None and made_with != evidence.session.calibration().fingerprint:
        return ImageResult(kind, poses, None, "the session was calibrated again since; reconstruct again.")
    if poses.provenance.get("tracks_hash", now := evidence.session.tracks_fingerprint) != now:
        return ImageResult(kind, poses, None, "the session's 2D joints changed since; reconstruct again.")
    try:
        return ImageResult(
            kind, poses, compare_with_triangulation(evidence.session, poses, evidence.poses), ""
        )
    except ValueError as error:
        return ImageResult(kind, poses, None, str(error))
