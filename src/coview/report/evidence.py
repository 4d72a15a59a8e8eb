"""Reads everything that the report shows of a session, and states what the session lacks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session, StaleError
from coview.formats.session.synchronised_tracks import session_tracks
from coview.report.runs import RunSummary, find_runs
from coview.skeletons import Skeleton, can_map, skeleton_map

CHUNK = 4096  # frames projected at once: bounds memory
T = TypeVar("T")


@dataclass(frozen=True)
class Reprojection:
    """Detections against the 3D joints they were to place."""

    # pixels; NaN where either is not known
    errors: Float[Tensor, "frames views joints"]
    # what was detected
    seen: Bool[Tensor, "frames views joints"]
    # what the 3D joints rest on
    used: Bool[Tensor, "frames views joints"]


@dataclass(frozen=True)
class SessionEvidence:
    """Everything the page and the picture are made of. None: the session does not have it (yet)."""

    session: Session
    # of everything below: the 3D joints' where there are any
    skeleton: Skeleton
    calibration: Calibration | None
    poses: Poses3D | None
    # detections; NaN: not seen
    pixels: Float[Tensor, "frames views joints 2"] | None
    # the 3D joints in each image
    projected: Float[Tensor, "frames views joints 2"] | None
    comparison: Reprojection | None
    runs: tuple[RunSummary, ...]
    # a sentence for everything that is not there
    missing: tuple[str, ...]

    @property
    def cameras(self) -> Cameras | None:
        """The cameras, where their extrinsics are known."""
        placed = self.calibration is not None and self.calibration.has_extrinsics
        return self.calibration.cameras if placed and self.calibration else None

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.session.frames if self.poses is None else len(self.poses.points)


def gather(path: Path) -> SessionEvidence:
    """Read everything that the report shows of a session.

    Args:
        path: Folder of the session.

    Returns:
        Content; what is not there is None, and stated in `missing`.

    Raises:
        InputError: The session has nothing to show, or holds damaged files.
    """
    session = Session.load(path)
    missing: list[str] = []
    detections = _if_there(lambda: session_tracks(session), missing)
    calibration = _if_there(lambda: session.calibration().select(session.camera_names), missing)
    poses = _if_there(session.poses3d, missing)
    runs = find_runs(session.models_dir)
    if detections is None and calibration is None and poses is None and not runs:
        raise InputError(
            f"session {session.path} has nothing to report yet: " + " ".join(missing) + " Run a stage first."
        )
    skeleton = session.skeleton if poses is None else poses.skeleton
    pixels = _on(skeleton, session.skeleton, detections, missing)
    _check_frames(pixels, poses)
    projected = _project(calibration, poses)
    compared = _compare(pixels, projected, poses)
    return SessionEvidence(
        session, skeleton, calibration, poses, pixels, projected, compared, runs, tuple(missing)
    )


def _if_there(read: Callable[[], T], missing: list[str]) -> T | None:
    try:
        return read()
    except (FileNotFoundError, StaleError) as error:
        missing.append(str(error))
        return None


def _on(
    target: Skeleton, source: Skeleton, detections: tuple[Tensor, Tensor] | None, missing: list[str]
) -> Tensor | None:
    """The detected pixels as joints of `target`."""
    if detections is None:
        return None
    joints = detections[0]
    if target == source:
        return joints
    if not can_map(source, target):
        missing.append(
            f"The 3D joints are those of '{target.name}', which cannot be had from the detections' "
            f"'{source.name}': nothing to compare."
        )
        return None
    return skeleton_map(source, target).apply(joints)


def _check_frames(pixels: Tensor | None, poses: Poses3D | None) -> None:
    if pixels is not None and poses is not None and len(pixels) != len(poses.points):
        raise InputError(
            f"the 3D joints have {len(poses.points)} frames and the detections {len(pixels)}: they are "
            f"not of the same recording. Run `coview reconstruct` again."
        )


def _compare(pixels: Tensor | None, projected: Tensor | None, poses: Poses3D | None) -> Reprojection | None:
    if pixels is None or projected is None or poses is None:
        return None
    errors = (projected - pixels).norm(dim=-1)
    used = errors.isfinite() if poses.inliers is None else errors.isfinite() & poses.inliers
    return Reprojection(errors, pixels.isfinite().all(dim=-1), used)


def _project(calibration: Calibration | None, poses: Poses3D | None) -> Tensor | None:
    if calibration is None or poses is None or not calibration.has_extrinsics:
        return None
    cameras, points = calibration.cameras.to(torch.float64), poses.points
    parts = [
        cameras.project(points[first : first + CHUNK, None].double()).float()
        for first in range(0, len(points), CHUNK)
    ]
    return torch.cat(parts)
