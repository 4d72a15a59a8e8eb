"""The report's part on cameras: agreement, uncertainty and coverage of each, with a verdict."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.formats.calibration.clock import SYNCHRONOUS, Clock
from coview.report.evidence import SessionEvidence
from coview.report.html import render_html
from coview.report.measures import Agreement, agreements, predicted_by_others
from coview.report.verdict import PIXELS, Line

# Where good ends and usable ends; ours, as in `verdict`
AGREEING = (0.85, 0.60)  # share of a camera's detections that agree with the others; more is better
CENTRE = (0.03, 0.10)  # metres: standard deviation of where it stands
TIMING = (0.25, 1.0)  # frames: standard deviation of its clock
FOCAL = (0.02, 0.06)  # standard deviation of the focal length, as a share of it
SEEN = (0.50, 0.20)  # share of the places where the person was that it covers; more is better
CELL = 0.5  # metres: side of the floor's squares that coverage is counted in
_WHOLE = 0.5  # share of the joints that must be detected for a camera to have seen the person there

# The same for the page: name, where good and usable end, unit
_LIMITS = [
    (name, factor * good, factor * usable, unit)
    for name, (good, usable), factor, unit in (
        ("agrees", AGREEING, 100, " %"),
        ("residual", PIXELS, 100, " % of the diagonal"),
        ("place", CENTRE, 100, " cm"),
        ("clock", TIMING, 1, " frames"),
        ("focal length", FOCAL, 100, " %"),
        ("covers", SEEN, 100, " %"),
    )
]


@dataclass(frozen=True)
class CameraFacts:
    """What is known of one camera. NaN: not known, or not estimated."""

    name: str
    agreement: Agreement
    # median reprojection error as a share of the image diagonal
    residual: float
    # metres
    centre_sigma: float
    # pixels, mean of fx and fy
    focal: float
    # pixels; NaN where it was given
    focal_sigma: float
    clock: Clock
    # standard deviation of its offset, in frames
    frames_sigma: float
    # share of the floor's squares where the person was in which it saw the person
    covered: float
    # pixels, median: its detections against what the other cameras predict
    predicted: float

    @property
    def synchronous(self) -> bool:
        """Whether its clock is taken to be the first camera's."""
        return self.clock == SYNCHRONOUS

    @property
    def verdict(self) -> tuple[str, str]:
        """ "good", "usable" or "redo", and why it is not better."""
        judged = [
            (self.agreement.used, AGREEING, True, f"{self.agreement.used:.0%} of its detections agree"),
            (self.residual, PIXELS, False, f"{self.agreement.pixels.median:.1f} px from the 3D joints"),
            (self.centre_sigma, CENTRE, False, f"its place is known to {100 * self.centre_sigma:.0f} cm"),
            (self.frames_sigma, TIMING, False, f"its clock is known to {self.frames_sigma:.1f} frames"),
            (self.focal_sigma / self.focal, FOCAL, False, f"focal length ± {self.focal_sigma:.0f} px"),
            (self.covered, SEEN, True, f"it sees {self.covered:.0%} of where the person was"),
        ]
        levels = [(_level(value, ends, more), why) for value, ends, more, why in judged]
        worst = max(level for level, _ in levels)
        reasons = "; ".join(why for level, why in levels if level == worst and level)
        return ("good", "usable", "redo")[worst], reasons


def camera_facts(evidence: SessionEvidence) -> list[CameraFacts]:
    """Agreement, uncertainty and coverage of every camera.

    Args:
        evidence: Content of the session.

    Returns:
        One per camera; none where there are no 3D joints or the extrinsics are not known.
    """
    compared, calibration = evidence.comparison, evidence.calibration
    if compared is None or evidence.poses is None or evidence.cameras is None or calibration is None:
        return []
    rows = agreements(compared.errors, compared.used, compared.seen, evidence.session.camera_names, axis=1)
    covered = covered_shares(evidence.poses.points, compared.seen)
    limit = float(evidence.poses.provenance.get("threshold_px", "nan"))
    predicted = [math.nan] * len(rows)
    if limit > 0 and evidence.pixels is not None:
        predicted = predicted_by_others(evidence.cameras, evidence.pixels, limit)
    diagonals = evidence.cameras.size.norm(dim=-1).tolist()
    focal = evidence.cameras.focal.mean(dim=-1).tolist()
    facts = []
    for view, row in enumerate(rows):
        clock = calibration.clocks.get(row.name, SYNCHRONOUS)
        facts.append(
            CameraFacts(
                row.name,
                row,
                row.pixels.median / diagonals[view] if diagonals[view] > 0 else math.nan,
                calibration.sigma.get(row.name, (math.nan, math.nan))[0],
                focal[view],
                calibration.focal_sigma.get(row.name, math.nan),
                clock,
                clock.time_offset_sigma * evidence.session.fps,
                covered[view],
                predicted[view],
            )
        )
    return facts


def camera_section(evidence: SessionEvidence) -> str:
    """The report's table of cameras.

    Args:
        evidence: Content of the session.

    Returns:
        HTML; empty where there is nothing to say.
    """
    facts = camera_facts(evidence)
    return render_html("cameras", facts=facts, cell=CELL, limits=_LIMITS) if facts else ""


def camera_lines(evidence: SessionEvidence) -> list[Line]:
    """Findings about cameras that should be calibrated again.

    Args:
        evidence: Content of the session.

    Returns:
        One per such camera.
    """
    bad = [one for one in camera_facts(evidence) if one.verdict[0] == "redo"]
    return [Line("poor", f"{one.name} should be calibrated again: {one.verdict[1]}.") for one in bad]


def covered_shares(
    points: Float[Tensor, "frames joints 3"], seen: Bool[Tensor, "frames views joints"]
) -> list[float]:
    """Per camera, the share of the floor's squares visited by the person in which it detected the person.

    The person's place is the mean of the valid joints; it is detected where half of the joints are, in some frame.

    Args:
        points: Joints in metres, z up; NaN where not valid.
        seen: Whether a joint was detected.

    Returns:
        One share per camera; NaN where the person was nowhere.
    """
    middle = points.nanmean(dim=1)[:, :2]
    valid = middle.isfinite().all(dim=-1)
    cells = (middle[valid] / CELL).floor().long()
    if not len(cells):
        return [math.nan] * seen.shape[1]
    _, square = torch.unique(cells, dim=0, return_inverse=True)
    whole = (seen.float().mean(dim=-1) >= _WHOLE)[valid]
    count = int(square.max()) + 1
    shares = []
    for view in range(seen.shape[1]):
        shares.append(len(square[whole[:, view]].unique()) / count)
    return shares


def _level(value: float, ends: tuple[float, float], more_is_better: bool) -> int:
    """0, 1 or 2; what is not known is no reproach."""
    if math.isnan(value):
        return 0
    good, usable = ends
    if more_is_better:
        return 0 if value >= good else 1 if value >= usable else 2
    return 0 if value <= good else 1 if value <= usable else 2
