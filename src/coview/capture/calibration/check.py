"""Whether a calibration fits what cameras saw: joints are triangulated with it and projected back."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.importing.import_session import import_session
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration, calibration_for
from coview.formats.io.camera_names import listed
from coview.formats.session.session import FILE, Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.geometry.triangulation.triangulate import triangulate, triangulate_robust

SOME_FRAMES = 300  # that judge the cameras
LIMIT = (
    0.02  # of the image's diagonal: the demo of Pose2Sim, with its own calibration, has a camera 1.3 % off
)
_FEW = 0.6  # share of a camera's detections that must agree: there 0.88 and more, with exchanged cameras 0.5
_TRUST = 0.3


@dataclass(frozen=True)
class Fit:
    """How well one camera explains what it saw, given the others."""

    name: str
    median_px: float  # reprojection residual over all its detections; NaN: no joint could be placed
    agreement: float  # share of its detections within the limit


@dataclass(frozen=True)
class Checked:
    """The check of all cameras."""

    fits: tuple[Fit, ...]
    limit_px: float  # beyond which a detection does not belong to the joint
    ahead: (
        float  # share of the sightings whose joint (of all views, right or wrong) is in front of the camera
    )
    notes: tuple[str, ...]

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty where the cameras fit."""
        bad = [f for f in self.fits if not (f.agreement >= _FEW and f.median_px <= self.limit_px)]
        if self.ahead < _FEW:
            return (
                f"only {self.ahead:.0%} of the joints lie in front of the cameras that saw them: an axis is turned, or "
                f"a centre was taken for a translation"
            )
        if bad and all(f.agreement == 0 for f in bad):
            return f"no joint can be placed so that {listed(f.name for f in bad)} would have seen it there"
        return "; ".join(
            f"camera '{f.name}' agrees on {f.agreement:.0%} of its detections, median residual {f.median_px:.0f} px "
            f"(limit {self.limit_px:.0f} px)"
            for f in bad
        )


def check_calibration(calibration: Calibration, recording: Path) -> Checked:
    """Judge `calibration` by the 2D joints of a session, or of a recording that `coview import` understands.

    A detection agrees where it lies within 2 % of the image's diagonal of the joint that the cameras agree on.
    Cameras are read at the times that the clocks of `calibration` say. ValueError
    where cameras and recording do not belong together by name or size, or where only the lenses are known."""
    if not calibration.has_extrinsics:
        raise InputError(
            "this calibration holds lenses only, so there is nothing to project; place the cameras first "
            "(`coview calibrate people SESSION`)."
        )
    if (recording / FILE).is_file():
        return _judged(calibration, Session.load(recording))
    with tempfile.TemporaryDirectory() as folder:
        return _judged(calibration, import_session(recording, Path(folder) / "session"))


def _judged(calibration: Calibration, session: Session) -> Checked:
    fitted = calibration_for(calibration, session.camera_names, session.sizes)
    joints, confidence = session_tracks(session, fitted.clocks)
    some = torch.linspace(0, len(joints) - 1, min(len(joints), SOME_FRAMES)).long()
    pixels = joints[some].double()
    weights = torch.where(confidence >= _TRUST, confidence, 0.0)[some].double()
    cameras = fitted.cameras.to(torch.float64)
    limit = LIMIT * float(cameras.size.norm(dim=-1).mean())
    perfect, straight = cameras.undistorted(pixels)
    found = triangulate_robust(perfect, straight, weights, threshold=limit)
    everywhere = triangulate(perfect, straight, weights)  # behind cameras too
    placed = (weights > 0) & everywhere.isfinite().all(dim=-1)[:, None]
    ahead = (_depths(perfect, everywhere) > 0)[placed]
    fits = tuple(
        _fit(name, found.residuals[:, view], (weights[:, view] > 0), limit)
        for view, name in enumerate(fitted.names)
    )
    return Checked(fits, limit, float(ahead.double().mean()) if len(ahead) else 0.0, fitted.notes)


def _depths(
    cameras: Cameras, points: Float[Tensor, "frames joints 3"]
) -> Float[Tensor, "frames views joints"]:
    return cameras.to_camera(torch.nan_to_num(points)[:, None])[..., 2]


def _fit(name: str, residuals: Tensor, seen: Tensor, limit: float) -> Fit:
    """Detections without a joint, or with one behind the camera, count as not agreeing."""
    known = residuals[seen & residuals.isfinite()]
    agreement = float((known <= limit).sum() / seen.sum().clamp(min=1))
    return Fit(name, float(known.median()) if len(known) else float("nan"), agreement)
