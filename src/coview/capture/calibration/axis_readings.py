"""Which documented reading of a calibration file fits what the cameras saw.

Of some formats (Vicon's .xcp) programs document the camera's axes differently. The readings give cameras that look at
the same place, some of them turned by half a turn about the optical axis; only 2D joints tell them apart, since a
camera may well hang upside down.
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.formats.calibration.calibration import Calibration
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.geometry.triangulation.triangulate import triangulate

# frames that are compared, evenly spread
_SOME_FRAMES = 60
# the median residual of another reading must be below this share of the one that was read
_CLEARLY = 0.6
_MIN_CONFIDENCE = 0.3


def reading_that_fits(session: Session, calibration: Calibration) -> Calibration:
    """The calibration by the documented reading with which the 2D joints agree best.

    Args:
        session: The session, whose 2D joints decide.
        calibration: Its cameras, in its order.

    Returns:
        The calibration, with a note where another reading was taken; as it is where the format has one reading, or
        where none fits clearly better.
    """
    if not calibration.readings:
        return calibration
    joints, confidence = session_tracks(session, calibration.clocks)
    some = torch.linspace(0, len(joints) - 1, min(len(joints), _SOME_FRAMES)).long()
    weights = torch.where(confidence >= _MIN_CONFIDENCE, confidence, 0.0)[some].double()
    perfect, straight = calibration.cameras.to(torch.float64).undistorted(joints[some].double())
    residuals = [
        _median_residual(replace(perfect, cam_from_world=poses), straight, weights)
        for _, poses in calibration.readings
    ]
    now = _median_residual(perfect, straight, weights)
    best = min(range(len(residuals)), key=residuals.__getitem__)
    if not residuals[best] < _CLEARLY * now:
        return calibration
    said, poses = calibration.readings[best]
    before = f"and {now:.0f} px" if math.isfinite(now) else "and most joints are behind the cameras"
    note = (
        f"the file was read {said}, because so the 2D joints of all cameras agree to {residuals[best]:.1f} px (median) "
        f"{before} as it was read before."
    )
    return replace(
        calibration,
        cameras=replace(calibration.cameras, cam_from_world=poses),
        notes=(*calibration.notes, note),
    )


def _median_residual(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
) -> float:
    """Pixels from the detections to the joints of all views; infinite where most are behind the cameras.

    Turned by half a turn, cameras on a ring see nearly what the person reflected through their common point would show:
    such joints triangulate too, with residuals that perspective alone makes. So nothing but the residual decides.
    """
    points = triangulate(cameras, pixels, weights)
    seen = (weights > 0) & points.isfinite().all(dim=-1)[:, None]
    # NaN behind the camera
    apart = (cameras.project(points.nan_to_num()[:, None]) - pixels).norm(dim=-1)[seen]
    return float(apart.nan_to_num(math.inf).median()) if len(apart) else math.inf
