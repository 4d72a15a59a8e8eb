"""One still picture of a session: an instant in several views, and the skeleton in 3D between the cameras."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError, MissingPackageError
from coview.formats.io.atomic import replacing
from coview.formats.session.session import Session
from coview.report.colours import CAMERA, RGB, bone_colours
from coview.report.evidence import SessionEvidence, gather
from coview.report.eye import free_azimuth
from coview.report.overlay import Overlay, instants, overlays

_FRUSTUM = 0.5  # metres from a camera's centre to its drawn image plane


def session_picture(session: Session | Path, frame: int | None = None, out: Path | None = None) -> Path:
    """Write a PNG: up to four views with detections and reprojections, and the 3D skeleton with cameras.

    Args:
        session: The session, or its folder.
        frame: Which frame; default: one in which most joints are valid.
        out: File to write; default: picture.png in the session.

    Returns:
        The file.

    Raises:
        InputError: The session has no 3D joints or cameras, or no such frame.
        MissingPackageError: Matplotlib is missing; the text names the extra to install.
    """
    evidence = gather(session.path if isinstance(session, Session) else Path(session))
    if evidence.poses is None or evidence.cameras is None:
        raise InputError("session_picture: needs 3D joints and cameras. " + " ".join(evidence.missing))
    chosen = instants(evidence, 1)[0] if frame is None else frame
    if not 0 <= chosen < evidence.frames:
        raise InputError(f"session_picture: frame {chosen} is not in 0 to {evidence.frames - 1}.")
    pictures = [row[0] for row in overlays(evidence, [chosen])][:4]
    target = out or evidence.session.path / "picture.png"
    with replacing(target) as temporary:
        _draw(evidence, evidence.cameras, chosen, pictures).savefig(temporary, dpi=150)
    return target


def _draw(evidence: SessionEvidence, cameras: Cameras, frame: int, pictures: list[Overlay]) -> Any:
    """The figure: views in a 2 × 2 block on the left, the scene on the right."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "session_picture needs matplotlib, which is not installed. Run: pip install 'coview[view]'"
        ) from error
    figure = Figure(figsize=(11, 5.6), layout="constrained", facecolor="white")
    halves: Any = figure.subfigures(1, 2, width_ratios=(0.8, 1.2))
    left, right = halves
    for axes, picture in zip(left.subplots(2, 2).flat, pictures, strict=False):
        axes.imshow(picture.picture)
        axes.set_title(picture.camera, fontsize=9, pad=3)
    for axes in left.axes:
        axes.set_axis_off()
    axes = right.add_subplot(projection="3d")
    assert evidence.poses is not None
    points = evidence.poses.points[frame].double()
    _draw_person(axes, points, evidence)
    for view, name in enumerate(evidence.session.camera_names):
        _draw_camera(axes, cameras[view], name)
    middle = points[points.isfinite().all(dim=-1)].mean(dim=0).numpy()
    azimuth = np.degrees(free_azimuth(cameras, middle))
    _frame_axes(axes, torch.cat([points, cameras.centres.double()]), azimuth)
    return figure


def _draw_person(axes: Any, points: Tensor, evidence: SessionEvidence) -> None:
    for (parent, child), colour in zip(
        evidence.skeleton.bone_indices, bone_colours(evidence.skeleton), strict=True
    ):
        ends = points[[parent, child]].T.numpy()
        if np.isfinite(ends).all():
            axes.plot(*ends, color=_unit(colour), linewidth=3, solid_capstyle="round")
            axes.plot(ends[0], ends[1], [0.0, 0.0], color="0.85", linewidth=3, zorder=0)  # on the floor


def _draw_camera(axes: Any, camera: Cameras, name: str) -> None:
    """A pyramid from the centre to the corners of the image."""
    width, height = camera.size.double().tolist()
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height], [0.0, 0.0]]).double()
    straight = camera.to(torch.float64).without_distortion()
    origin, direction = straight.rays(corners)
    plane = (origin + _FRUSTUM * direction).numpy()
    axes.plot(*plane.T, color=_unit(CAMERA), linewidth=1)
    centre = origin[0].numpy()
    for corner in plane[:4]:
        axes.plot(*np.stack([centre, corner]).T, color=_unit(CAMERA), linewidth=1)
    axes.text(*(centre + np.array([0, 0, 0.25])), name, fontsize=8, color=_unit(CAMERA), ha="center")


def _frame_axes(axes: Any, points: Tensor, azimuth: float) -> None:
    """Equal scales, the floor at zero, nothing but what matters."""
    valid = points[points.isfinite().all(dim=-1)].numpy()
    low, high = valid.min(axis=0) - 0.4, valid.max(axis=0) + 0.4
    low[2] = min(low[2], 0.0) if low[2] > -1 else low[2]
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set_box_aspect(high - low, zoom=1.05)
    axes.set_xlabel("x / m", fontsize=8)
    axes.set_ylabel("y / m", fontsize=8)
    axes.set_zlabel("z / m", fontsize=8)
    axes.tick_params(labelsize=7)
    axes.view_init(elev=18, azim=azimuth)


def _unit(colour: RGB) -> tuple[float, float, float]:
    return colour[0] / 255, colour[1] / 255, colour[2] / 255
