"""Where the cameras of one rig stand, found from the people they saw: metres, z up. No board, no extrinsics."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.body.gravity import Upright, upright_from_body
from coview.body.stature_scale import Scale, assumed_scale
from coview.cameras import Cameras
from coview.geometry.self_calibration.fixed_intrinsics import self_calibrate
from coview.skeletons import Skeleton

# of the person's size in the image: a detection further off than that is wrong rather than poor
POOR = 0.022


@dataclass(frozen=True)
class PlacedRig:
    """The cameras of a rig in a world of metres with z up, and in plain values how they were found."""

    cameras: Cameras
    facts: dict[str, Any]


def cameras_from_people(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    skeleton: Skeleton,
    *,
    names: tuple[str, ...],
    threshold: float,
    seed: int,
) -> PlacedRig:
    """Self-calibration, then an adult's stature for the unit and hips above feet for the direction of up.

    `lenses` gives intrinsics, its extrinsics are ignored. Raises NotDeterminedError where the instants
    do not determine the cameras, ValueError where they do not show what is up."""
    found = self_calibrate(cameras, pixels, weights, names=names, threshold=threshold, seed=seed)
    facts = {
        "adjustment_rms_px": found.adjusted.rms,
        "adjustment_converged": found.adjusted.converged,
        "agreement": found.agreement.tolist(),
    }
    return to_metric_upright(found.cameras, found.points, skeleton, facts)


def to_metric_upright(
    cameras: Cameras, points: Float[Tensor, "frames joints 3"], skeleton: Skeleton, facts: dict[str, Any]
) -> PlacedRig:
    """Cameras and points of any unit and direction as a rig of metres, by an adult's stature, with z up."""
    scale = assumed_scale(points, skeleton)
    metric, upright = upright_cameras(cameras, points, scale, skeleton)
    return PlacedRig(metric, {"scale": scale.words, "gravity": upright.words, **facts})


def upright_cameras(
    cameras: Cameras, points: Float[Tensor, "frames joints 3"], scale: Scale, skeleton: Skeleton
) -> tuple[Cameras, Upright]:
    """Cameras and points in one world of any unit and direction: the cameras in metres, z up."""
    metric = cameras.moved(torch.eye(3, 4, dtype=torch.float64), scale=1 / scale.metres_per_unit)
    upright = upright_from_body(points * scale.metres_per_unit, skeleton, metric.rotation)
    return metric.moved(upright.world_from_new), upright


def spread_out(chosen: Bool[Tensor, "frames"], most: int) -> Int[Tensor, "some"]:
    """At most `most` of the chosen frames, evenly spread: neighbours say the same twice."""
    frames = chosen.nonzero()[:, 0]
    return frames[evenly(len(frames), most)]


def evenly(count: int, most: int) -> Int[Tensor, "some"]:
    """At most `most` of the numbers from 0 to `count` - 1, evenly spread."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()


def person_size(
    pixels: Float[Tensor, "frames views joints 2"], weights: Float[Tensor, "frames views joints"]
) -> float:
    """How large the person usually is in the images, pixels: the diagonal of the box around the joints.

    The median over instants and views; a crop does not change it, as it would the image's size. NaN where
    no view ever saw two joints."""
    seen = (weights > 0)[..., None]
    low = torch.where(seen, pixels, torch.inf).amin(dim=-2)
    high = torch.where(seen, pixels, -torch.inf).amax(dim=-2)
    sizes = (high - low).norm(dim=-1)[seen.sum(dim=(-2, -1)) >= max(2, pixels.shape[-2] // 2)]
    return float(sizes.median()) if sizes.numel() else math.nan
