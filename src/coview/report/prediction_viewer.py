"""Interactive drawings of single-view poses beside the reconstruction; no network access.

The page draws by itself (`templates/predictions.js`); here its data are prepared.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.metrics.joint_error import n_joint_error, scaled_to
from coview.report.colours import LEFT, RIGHT, side_colour
from coview.report.html import render_html
from coview.skeletons import Skeleton

MOST_FRAMES = 300  # spread evenly over the recording: about a quarter of a megabyte a model
UNKNOWN = -32768  # among the 16-bit millimetres


@dataclass(frozen=True)
class Drawn:
    """One camera: what the model made of it, and what it should have made of it."""

    camera: str
    # root-centred, camera axes, any size; NaN: not known
    points: Float[Tensor, "frames joints 3"]
    # the same in metres, reconstructed from all cameras
    reference: Float[Tensor, "frames joints 3"]
    camera_from_world: Float[Tensor, "3 3"]
    # where the camera stands around the person: radians from x towards y
    azimuth: float


def viewer(drawn: Sequence[Drawn], skeleton: Skeleton, fps: float | None) -> str:
    """Interactive drawings of predictions beside the reconstruction, with a slider over the frames.

    Args:
        drawn: Predictions of the cameras.
        skeleton: Skeleton of the joints.
        fps: Frames per second; None: not known.

    Returns:
        HTML that `predictions.js` animates.
    """
    return render_html(
        "viewer",
        cameras=[one.camera for one in drawn],
        last=len(sampled(len(drawn[0].points))) - 1,
        data=drawing_data(drawn, skeleton, fps),
    )


def sampled(count: int) -> list[int]:
    """The frames that are drawn: at most `MOST_FRAMES`, evenly spaced.

    Args:
        count: Number of frames.

    Returns:
        Their indices.
    """
    return list(range(0, count, max(1, -(-count // MOST_FRAMES))))


def drawing_data(drawn: Sequence[Drawn], skeleton: Skeleton, fps: float | None) -> dict[str, Any]:
    """What the script draws: joints in metres in world axes, the root at the origin.

    Args:
        drawn: Predictions of the cameras.
        skeleton: Skeleton of the joints.
        fps: Frames per second; None: not known, 25 is assumed.

    Returns:
        Values for JSON; the reconstruction stands once for all cameras.
    """
    frames = sampled(len(drawn[0].points))
    world = drawn[0].reference[frames] @ drawn[0].camera_from_world
    valid = world[world.isfinite().all(dim=-1)]
    low, high = torch.quantile(valid[:, 2], torch.tensor([0.02, 0.98])).tolist()
    return {
        "frames": frames,
        "seconds": (frames[1] - frames[0]) / (fps or 25.0) if len(frames) > 1 else 1.0,
        "bones": [list(bone) for bone in skeleton.bone_indices],
        "sides": [{LEFT: "left", RIGHT: "right"}.get(side_colour(j), "middle") for j in skeleton.joints],
        "reconstruction": packed(world),
        "floor": round(low, 3),
        "middle": round((low + high) / 2, 3),
        "reach": round(max((high - low) / 2, 0.8 * float(valid.norm(dim=-1).quantile(0.98))), 3),
        "cameras": [_drawn_camera(one, frames, skeleton.root_index) for one in drawn],
    }


def _drawn_camera(drawn: Drawn, frames: list[int], root: int) -> dict[str, Any]:
    points, reference = drawn.points[frames], drawn.reference[frames]
    errors = n_joint_error(points, reference, root).nanmean(dim=-1).tolist()
    return {
        "name": drawn.camera,
        "azimuth": round(drawn.azimuth, 4),
        "points": packed(scaled_to(points, reference, root) @ drawn.camera_from_world),
        "errors": [None if error != error else round(error) for error in errors],
    }


def packed(points: Float[Tensor, "frames joints 3"]) -> str:
    """Joints as base64 of 16-bit little-endian millimetres.

    Args:
        points: Joints in metres, within ±32 m.

    Returns:
        The text; `UNKNOWN` stands for NaN.
    """
    whole = (1000 * points).round().clamp(UNKNOWN + 1, -UNKNOWN - 1)
    whole = torch.where(points.isfinite(), whole, float(UNKNOWN))
    return base64.b64encode(whole.numpy().astype(np.dtype("<i2")).tobytes()).decode("ascii")
