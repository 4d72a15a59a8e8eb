"""Check of a calibration against what cameras saw: joints are triangulated with it and projected back."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from coview.capture.calibration.axis_readings import reading_that_fits
from coview.capture.importing.import_session import import_session
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration, calibration_for
from coview.formats.io.camera_names import listed
from coview.formats.session.session import FILE, Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.geometry.triangulation.triangulate import in_front, triangulate_robust

# frames that the check uses, evenly spread
SOME_FRAMES = 300
# of the image's diagonal: the demo of Pose2Sim, with its own calibration, has a camera 1.3 % off
LIMIT = 0.02
# share of a camera's detections that must agree: there 0.88 and more, with exchanged cameras 0.5
_FEW = 0.6
_MIN_CONFIDENCE = 0.3


@dataclass(frozen=True)
class CameraAgreement:
    """How well one camera agrees with the joints that all cameras triangulate."""

    # name of the camera
    name: str
    # median reprojection residual, pixels, over all its detections; NaN: no joint could be placed
    median_px: float
    # share of its detections within the limit
    agreement: float


@dataclass(frozen=True)
class CalibrationCheck:
    """Agreement of all cameras of a calibration with what they saw."""

    # one per camera
    fits: tuple[CameraAgreement, ...]
    # pixels: reprojection residual up to which a detection agrees
    limit_px: float
    # share of the detections whose joint, triangulated from all views, is in front of the camera
    in_front: float
    # of the calibration
    notes: tuple[str, ...]

    @property
    def problem(self) -> str:
        """What is wrong with the calibration, in words; empty where the cameras agree."""
        bad = [f for f in self.fits if not (f.agreement >= _FEW and f.median_px <= self.limit_px)]
        if self.in_front < _FEW:
            return (
                f"only {self.in_front:.0%} of the joints lie in front of the cameras that saw them: an axis is turned, "
                f"or a centre was taken for a translation"
            )
        if bad and all(f.agreement == 0 for f in bad):
            return f"no joint can be placed so that {listed(f.name for f in bad)} would have seen it there"
        return "; ".join(
            f"camera '{f.name}' agrees on {f.agreement:.0%} of its detections, median residual {f.median_px:.0f} px "
            f"(limit {self.limit_px:.0f} px)"
            for f in bad
        )


def check_calibration(calibration: Calibration, recording: Path) -> CalibrationCheck:
    """Check a calibration against 2D joints: they are triangulated robustly and projected back.

    A detection agrees where it lies within 2 % of the image's diagonal of the joint that the cameras agree on. Views
    are synchronised by the clocks of the calibration.

    Args:
        calibration: The calibration to check; its cameras are matched to the recording's by name.
        recording: A session, or a folder that `coview import` understands.

    Returns:
        Agreement of every camera, and the notes of the calibration.

    Raises:
        InputError: Where cameras and recording do not belong together by name or image size, or where the calibration
            holds intrinsics only.
    """
    if not calibration.has_extrinsics:
        raise InputError(
            "this calibration holds intrinsics only, so there is nothing to project; place the cameras first "
            "(`coview calibrate people SESSION`)."
        )
    if (recording / FILE).is_file():
        return _judged(calibration, Session.load(recording))
    with tempfile.TemporaryDirectory() as folder:
        return _judged(calibration, import_session(recording, Path(folder) / "session"))


def _judged(calibration: Calibration, session: Session) -> CalibrationCheck:
    fitted = reading_that_fits(session, calibration_for(calibration, session.camera_names, session.sizes))
    joints, confidence = session_tracks(session, fitted.clocks)
    some = torch.linspace(0, len(joints) - 1, min(len(joints), SOME_FRAMES)).long()
    pixels = joints[some].double()
    weights = torch.where(confidence >= _MIN_CONFIDENCE, confidence, 0.0)[some].double()
    cameras = fitted.cameras.to(torch.float64)
    limit = LIMIT * float(cameras.size.norm(dim=-1).mean())
    perfect, straight = cameras.undistorted(pixels)
    found = triangulate_robust(perfect, straight, weights, threshold=limit)
    before = in_front(perfect, straight, weights).nanmean().nan_to_num(0.0)
    fits = tuple(
        _fit(name, found.residuals[:, view], (weights[:, view] > 0), limit)
        for view, name in enumerate(fitted.names)
    )
    return CalibrationCheck(fits, limit, float(before), fitted.notes)


def _fit(name: str, residuals: Tensor, seen: Tensor, limit: float) -> CameraAgreement:
    """Detections without a joint, or with one behind the camera, count as not agreeing."""
    valid = residuals[seen & residuals.isfinite()]
    agreement = float((valid <= limit).sum() / seen.sum().clamp(min=1))
    return CameraAgreement(name, float(valid.median()) if len(valid) else float("nan"), agreement)
