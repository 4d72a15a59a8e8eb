"""Joints found in images compared with those triangulated from 2D detections, and both with the detections.

The triangulation is no ground truth: it rests on a detector. It was fitted to the detections, so its own residual is
smaller by construction.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.formats.session.synchronised_tracks import session_tracks
from coview.metrics.joint_error import joint_error, p_joint_error

# times the triangulation's residual, beyond which a warning is given
_FITS_WORSE = 2.0


@dataclass(frozen=True)
class TriangulationComparison:
    """Differences over the joints of one name in both skeletons, in frames where both are known."""

    # names of the joints compared
    joints: tuple[str, ...]
    # number of frames in which at least one joint is known in both
    frames: int
    # share of the triangulation's joints that the images gave too
    covered: float
    # median distance of the two
    median_mm: float
    # mean distance of the two
    mean_mm: float
    # mean distance after a similarity alignment of every frame
    p_mpjpe_mm: float
    # median distance to the detections that the triangulation rests on
    residual_px: float
    # the same of the triangulation
    triangulated_px: float

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to look before use, in sentences."""
        said = []
        if self.residual_px > _FITS_WORSE * self.triangulated_px:
            said.append(
                f"the joints found in the images lie {self.residual_px:.1f} px from the 2D detections (median), the "
                f"triangulated ones {self.triangulated_px:.1f} px: look at both before using the former."
            )
        if self.covered < 0.9:
            said.append(
                f"only {self.covered:.0%} of the joints that were triangulated were found in the images."
            )
        return tuple(said)


def compare_with_triangulation(
    session: Session, found: Poses3D, triangulated: Poses3D
) -> TriangulationComparison:
    """Compare joints found in images with triangulated ones of the same name.

    Joints that are means of others are no detections, and are left out.

    Args:
        session: The session; its detections are those that the triangulation rests on.
        found: Joints found in images, metres.
        triangulated: Joints triangulated from 2D detections, metres.

    Returns:
        Distances in millimetres, residuals in pixels.

    Raises:
        InputError: Where the numbers of frames differ, or no joint has the same name or is known in both.
    """
    if len(found.points) != len(triangulated.points):
        raise InputError(
            f"{len(found.points)} frames from the images cannot be compared with {len(triangulated.points)} "
            f"triangulated ones: run `coview reconstruct` again."
        )
    shared = tuple(joint for joint in found.skeleton.joints if joint in triangulated.skeleton.joints)
    mine = found.points[:, [found.skeleton.index(joint) for joint in shared]].double()
    others = triangulated.points[:, [triangulated.skeleton.index(joint) for joint in shared]].double()
    error = joint_error(mine, others)
    both = error.isfinite()
    if not bool(both.any()):
        raise InputError(
            f"no joint of '{found.skeleton.name}' is known both from the images and from the detections "
            f"('{triangulated.skeleton.name}')."
        )
    aligned = p_joint_error(mine, others)
    pixels, used = _detected(session, triangulated, shared)
    cameras = session.calibration().select(session.camera_names).cameras
    used = used & both[:, None]
    return TriangulationComparison(
        joints=shared,
        frames=int(both.any(dim=-1).sum()),
        covered=float(both.sum() / others.isfinite().all(dim=-1).sum()),
        median_mm=float(error[both].median()),
        mean_mm=float(error[both].mean()),
        p_mpjpe_mm=float(aligned.nanmean()),
        residual_px=_median_residual(cameras, mine, pixels, used),
        triangulated_px=_median_residual(cameras, others, pixels, used),
    )


def _detected(
    session: Session, triangulated: Poses3D, shared: tuple[str, ...]
) -> tuple[Float[Tensor, "frames views joints 2"], Bool[Tensor, "frames views joints"]]:
    """The detections of the shared joints, and which of them the triangulation rests on (all, if not known)."""
    pixels, confidence = session_tracks(session)
    used = confidence > 0
    if triangulated.inliers is not None:
        used = used & triangulated.inliers
    columns = [session.skeleton.index(joint) for joint in shared]
    return pixels[:, :, columns].double(), used[:, :, columns]


def _median_residual(cameras: Cameras, points: Tensor, pixels: Tensor, used: Tensor) -> float:
    distance = (cameras.to(torch.float64).project(points[:, None]) - pixels).norm(dim=-1)
    distance = distance[used & distance.isfinite()]
    return float(distance.median()) if distance.numel() else math.nan
