"""The end of every calibration: people are matched anew, the cameras are judged, written, and described."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from coview.capture.association.stage import update_people
from coview.capture.calibration.install import install_calibration
from coview.capture.judgement.judgement import Judgement, refuse
from coview.capture.judgement.of_session import judge_session, judged, observations
from coview.formats.calibration.calibration import Calibration
from coview.formats.calibration.clock import SYNCHRONOUS, Clock
from coview.formats.session.people import People
from coview.formats.session.session import Session
from coview.geometry.triangulation.inlier_threshold import automatic_threshold
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated


@dataclass(frozen=True)
class CameraFit:
    """How well one camera agrees with the others."""

    # of the camera
    name: str
    # median reprojection residual, pixels, of the detections that agree, over the frames calibrated on
    median_px: float
    # the same over the other frames; NaN where there are none
    held_out_px: float
    # share of this camera's detections that agree with the others, over all frames
    agreement: float
    # metres: standard deviation of the centre, relative to the first camera; NaN if unknown
    centre_sigma_m: float
    # pixels: mean of fx and fy
    focal_px: float
    # pixels: its standard deviation; NaN where the focal length was given
    focal_sigma_px: float
    # its clock against the first camera's
    clock: Clock


@dataclass(frozen=True)
class Calibrated:
    """The calibration that the stage wrote, and how good it is."""

    # file that was written
    path: Path
    # its content
    calibration: Calibration
    # one per camera
    fits: tuple[CameraFit, ...]
    # where there are several: who is who by these cameras
    people: People | None = None
    # how well the cameras fit what they saw; None: nothing to compare
    judgement: Judgement | None = None


def finish(
    session: Session,
    calibration: Calibration,
    chosen: Bool[Tensor, "frames"] | None,
    *,
    min_confidence: float = 0.3,
    threshold: float | None = None,
    force: bool = False,
) -> Calibrated:
    """Write the cameras unless they are refused, and say how well they explain what they saw.

    Args:
        session: The session; its `calibration.toml` is written.
        calibration: Its cameras.
        chosen: Frames that were calibrated on; None: none of them.
        min_confidence: Detections below this confidence are left out.
        threshold: Pixels beyond which a detection is wrong; default: from the recording.
        force: Whether to write cameras that do not fit.

    Returns:
        What was written, and how good it is.

    Raises:
        RefusedError: The cameras do not fit what they saw.
    """
    # match people anew with these cameras, the best geometry so far
    people = update_people(session, calibration)
    count = 1 if people is None else people.count
    judgement = judge_session(session, calibration, min_confidence=min_confidence, people=count)
    if judgement is not None:
        refuse(judgement, "the calibration", force)
    found = triangulated(session, calibration, min_confidence, threshold, count)
    fits = tuple(_fit(calibration, found, view, chosen) for view in range(len(calibration.names)))
    noted = install_calibration(session, judged(calibration, judgement))
    return Calibrated(session.calibration_path, noted, fits, people, judgement)


def triangulated(
    session: Session, calibration: Calibration, min_confidence: float, threshold: float | None, people: int
) -> Triangulated:
    """Triangulate every joint from the views that agree, with the calibration to assess.

    Args:
        session: The session.
        calibration: Its cameras.
        min_confidence: Detections below this confidence are left out.
        threshold: Pixels beyond which a detection is wrong; default: from the recording.
        people: Number of people.

    Returns:
        Joints of one person after those of another.
    """
    pixels, weights = observations(session, min_confidence, calibration.clocks, people)
    cameras = calibration.cameras.to(torch.float64)
    limit = threshold or automatic_threshold(cameras, pixels, weights)
    return triangulate_robust(cameras, pixels, weights, threshold=limit)


def _fit(
    calibration: Calibration, found: Triangulated, view: int, chosen: Bool[Tensor, "frames"] | None
) -> CameraFit:
    residuals, inside = found.residuals[:, view], found.inliers[:, view]
    used = torch.ones(len(residuals), dtype=torch.bool) if chosen is None else chosen
    seen = residuals.isfinite()
    name = calibration.names[view]
    return CameraFit(
        name,
        _median(residuals[used][inside[used]]),
        _median(residuals[~used][inside[~used]]),
        float((inside & seen).sum() / seen.sum().clamp(min=1)),
        calibration.sigma[name][0] if name in calibration.sigma else float("nan"),
        float(calibration.cameras.focal[view].mean()),
        calibration.focal_sigma.get(name, float("nan")),
        calibration.clocks.get(name, SYNCHRONOUS),
    )


def _median(values: Tensor) -> float:
    return float(values.median()) if values.numel() else float("nan")
