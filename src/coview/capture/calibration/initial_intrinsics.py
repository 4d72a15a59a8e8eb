"""Intrinsics before calibration from people, and descriptions of what was estimated."""

from typing import Literal

import torch

from coview.cameras import Cameras
from coview.formats.calibration.calibration import Calibration
from coview.formats.calibration.clock import Clock
from coview.formats.session.known_cameras import image_sizes
from coview.formats.session.session import Session
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.model_selection import ClockChoice, DistortionChoice, FocalChoice
from coview.geometry.self_calibration.self_calibrate import SelfCalibrated

FitFocal = Literal["auto", "fixed", "shared", "each"]
FitClock = Literal["auto", "fixed", "offset", "drift"]
FitDistortion = Literal["auto", "fixed", "shared", "each"]

FOCAL_CHOICES: dict[FitFocal, FocalChoice] = {
    "auto": "auto",
    "fixed": "given",
    "shared": "shared",
    "each": "each",
}
CLOCK_CHOICES: dict[FitClock, ClockChoice] = {
    "auto": "auto",
    "fixed": "given",
    "offset": "offset",
    "drift": "drift",
}
DISTORTION_CHOICES: dict[FitDistortion, DistortionChoice] = {
    "auto": "given",
    "fixed": "given",
    "shared": "shared",
    "each": "each",
}
FOCAL_WORDS = {
    "given": "as given",
    "shared": "found, one factor for all cameras",
    "each": "found, each camera its own",
}
CLOCK_WORDS = {"given": "synchronised", "offset": "found, an offset each", "drift": "found, offset and drift"}

# focal length over the image's longer side: 53 degrees; phones, webcams and film cameras lie around it
_GUESS = 1.0


def guessed_intrinsics(session: Session) -> Calibration:
    """Guess intrinsics from the image sizes alone: no distortion, the principal point in the middle, 53° of view.

    Args:
        session: The session.

    Returns:
        Calibration without extrinsics, of the session's cameras.

    Raises:
        NotDeterminedError: Where an image size is not known.
    """
    sizes = image_sizes(session)
    unknown = [name for name, size in zip(session.camera_names, sizes, strict=True) if size is None]
    if unknown:
        raise NotDeterminedError(
            f"neither a lens nor an image size is known of camera {', '.join(unknown)}. Give a calibration file "
            f"(--intrinsics CALIBRATION; where its cameras stand is not read), or import with the videos beside the "
            f"joints."
        )
    size = torch.tensor(sizes, dtype=torch.float64)
    matrix = torch.eye(3, dtype=torch.float64).repeat(len(size), 1, 1)
    matrix[:, :2, :2] *= _GUESS * size.amax(dim=1)[:, None, None]
    # pixel (0, 0) is a centre
    matrix[:, :2, 2] = (size - 1) / 2
    cameras = Cameras.make(matrix, torch.full((len(size), 3, 4), torch.nan, dtype=torch.float64), size)
    return Calibration(
        session.camera_names, cameras, {"file": "none: no distortion, guessed from the image sizes"}
    )


def found_distortion(found: SelfCalibrated, names: tuple[str, ...]) -> str:
    """Describe the estimated distortion with standard deviations.

    Args:
        found: The self-calibration.
        names: Names of the cameras.

    Returns:
        k1 of every camera in words.
    """
    if found.unknowns.distortion == "given":
        return "as given"
    adjusted = found.refined.adjusted
    k1, sigma = adjusted.cameras.distortion[:, 0], adjusted.covariance_of("k1").diagonal().clamp(min=0).sqrt()
    rows = [f"{name} {float(k1[v]):+.4f} ± {float(sigma[v]):.4f}" for v, name in enumerate(names)]
    how = "one change for all" if found.unknowns.distortion == "shared" else "each camera its own"
    return f"k1 found, {how}: {', '.join(rows)}"


def found_clocks(found: SelfCalibrated, names: tuple[str, ...]) -> dict[str, Clock]:
    """Convert the estimated time offsets and drifts to the clocks that a calibration holds, by each camera's own time.

    Args:
        found: The self-calibration.
        names: Names of the cameras.

    Returns:
        The clock of every camera, seconds; empty where all are synchronised.
    """
    if found.unknowns.clock == "given":
        return {}
    shift, drift = found.refined.timing.from_own
    offset_sigma, drift_sigma = found.clock_sigma.unbind(-1)
    has_drift = found.unknowns.clock == "drift"
    return {
        name: Clock(
            float(shift[v]),
            float(drift[v]),
            float(offset_sigma[v]),
            float(drift_sigma[v]) if has_drift else 0.0,
        )
        for v, name in enumerate(names)
    }
