"""Drawings of single-camera poses beside the reconstruction, which the reader turns and plays; no network.

The page draws by itself (`predictions.js`); here its data are prepared.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.metrics.joint_error import n_joint_error, scaled_to
from coview.report.colours import LEFT, RIGHT, side_colour
from coview.report.html import paragraph, text
from coview.skeletons import Skeleton

SCRIPT = Path(__file__).with_name("predictions.js")
MOST_FRAMES = 300  # spread evenly over the recording: about a quarter of a megabyte a model
UNKNOWN = -32768  # among the 16-bit millimetres
_TITLES = ("All cameras: the reconstruction", "One camera: the model", "Both, one over the other")
_LOOKS = (("From the side", 1.05, 0.2), ("As the camera", 0.0, 0.0), ("From above", 0.0, 1.5))  # radians


@dataclass(frozen=True)
class Drawn:
    """One camera: what the model made of it, and what it should have made of it."""

    camera: str
    points: Float[Tensor, "frames joints 3"]  # root-centred, camera axes, any size; NaN: not known
    reference: Float[Tensor, "frames joints 3"]  # the same in metres, reconstructed from all cameras
    camera_from_world: Float[Tensor, "3 3"]
    azimuth: float  # where the camera stands around the person: radians from x towards y


def viewer(drawn: Sequence[Drawn], skeleton: Skeleton, fps: float | None) -> str:
    """Three drawings side by side, with a slider over the frames; HTML that `SCRIPT` brings to life."""
    data = json.dumps(drawing_data(drawn, skeleton, fps), separators=(",", ":")).replace("<", "\\u003c")
    trio = "".join(
        f'<figure><canvas role="img" aria-label="{title}"></canvas><figcaption>{title}</figcaption></figure>'
        for title in _TITLES
    )
    options = "".join(f"<option>{text(one.camera)}</option>" for one in drawn)
    last = len(sampled(len(drawn[0].points))) - 1
    buttons = "".join(
        f'<button type="button" data-turn="{turn}" data-height="{height}">{name}</button>'
        for name, turn, height in _LOOKS
    )
    legend = "".join(f'<span class="{side}">{side}</span>' for side in ("left", "right", "middle"))
    words = (
        "Drag to turn. Root joints lie on each other and the size is fitted frame by frame, as N-MPJPE "
        "measures (its value stands beside the slider). The ring lies where the feet are, half a metre "
        "around the root; the line on it points to the camera."
    )
    return (
        f'<div class="trio">{trio}</div><div class="controls">'
        f'<label>camera <select aria-label="camera">{options}</select></label>'
        f'<button type="button" data-play>Play</button>'
        f'<input type="range" min="0" max="{last}" value="{last // 2}" aria-label="frame"><output></output>'
        f'{buttons}</div><p class="legend">{legend}<span class="pale">reconstruction, under the model</span></p>'
        f'{paragraph(words, "small")}<script type="application/json">{data}</script>'
    )


def sampled(count: int) -> list[int]:
    """The frames that are drawn, out of `count`."""
    return list(range(0, count, max(1, -(-count // MOST_FRAMES))))


def drawing_data(drawn: Sequence[Drawn], skeleton: Skeleton, fps: float | None) -> dict[str, Any]:
    """What the script reads: metres in world axes, root at the origin, the reconstruction once for all."""
    frames = sampled(len(drawn[0].points))
    world = drawn[0].reference[frames] @ drawn[0].camera_from_world
    known = world[world.isfinite().all(dim=-1)]
    low, high = torch.quantile(known[:, 2], torch.tensor([0.02, 0.98])).tolist()
    return {
        "frames": frames,
        "seconds": (frames[1] - frames[0]) / (fps or 25.0) if len(frames) > 1 else 1.0,
        "bones": [list(bone) for bone in skeleton.bone_indices],
        "sides": [{LEFT: "left", RIGHT: "right"}.get(side_colour(j), "middle") for j in skeleton.joints],
        "reconstruction": packed(world),
        "floor": round(low, 3),
        "middle": round((low + high) / 2, 3),
        "reach": round(max((high - low) / 2, 0.8 * float(known.norm(dim=-1).quantile(0.98))), 3),
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
    """Metres as 16-bit millimetres, little-endian, base64; `UNKNOWN` where not known."""
    whole = (1000 * points).round().clamp(UNKNOWN + 1, -UNKNOWN - 1)
    whole = torch.where(points.isfinite(), whole, float(UNKNOWN))
    return base64.b64encode(whole.numpy().astype(np.dtype("<i2")).tobytes()).decode("ascii")
