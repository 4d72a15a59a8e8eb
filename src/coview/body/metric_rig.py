"""Extrinsics of a rig from the people in its images, in metres with z up: no board, no known extrinsics."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.gravity import Upright, upright_from_body
from coview.body.stature_scale import Scale, assumed_scale
from coview.cameras import Cameras
from coview.geometry.self_calibration.self_calibrate import self_calibrate
from coview.skeletons import Skeleton

# outlier threshold of calibration, as a share of the person's size in the image
POOR = 0.022
# times that: detections with a larger residual take no part in the adjustment
_FAR_OFF = 2.0


@dataclass(frozen=True)
class PlacedRig:
    """The cameras of a rig in a metric world with z up, and how they were found."""

    # metres, z up
    cameras: Cameras
    # plain values: how the cameras were found
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
    """Self-calibration of synchronised cameras with known intrinsics, in metres and with z up.

    The instants may be in any order, of many takes. The unit comes from an adult's stature, the direction of up from
    hips above feet.

    Args:
        cameras: intrinsics and distortion of each view; the extrinsics are ignored.
        pixels: raw 2D joints of one person; all instants given are adjusted.
        weights: of the 2D joints; 0: not seen.
        skeleton: of the joints.
        names: of the views, for messages.
        threshold: outlier threshold in pixels.
        seed: of the robust search.

    Returns:
        Cameras in metres, z up; facts: rms in pixels, convergence, and the share of each camera's detections within
        twice the threshold of the others'.

    Raises:
        NotDeterminedError: the instants do not determine the cameras.
        ValueError: hips and feet were never seen together, so the vertical is unknown."""
    found = self_calibrate(
        cameras,
        pixels,
        weights,
        names=names,
        fps=None,
        focal="given",
        clock="given",
        threshold=_FAR_OFF * threshold,
        instants=len(pixels),
        seed=seed,
    ).refined
    facts = {
        "adjustment_rms_px": found.adjusted.rms,
        "adjustment_converged": found.adjusted.converged,
        "agreement": found.agreement.tolist(),
    }
    return to_metric_upright(found.cameras, found.points, skeleton, facts)


def to_metric_upright(
    cameras: Cameras, points: Float[Tensor, "frames joints 3"], skeleton: Skeleton, facts: dict[str, Any]
) -> PlacedRig:
    """A reconstruction in any unit and frame brought to metres, by an adult's mean stature, with z up.

    Args:
        cameras: in the frame and unit of `points`.
        points: joints of one person; NaN: unknown.
        skeleton: of the joints.
        facts: plain values to keep beside scale and vertical."""
    scale = assumed_scale(points, skeleton)
    metric, upright = upright_cameras(cameras, points, scale, skeleton)
    return PlacedRig(metric, {"scale": scale.words, "gravity": upright.words, **facts})


def upright_cameras(
    cameras: Cameras, points: Float[Tensor, "frames joints 3"], scale: Scale, skeleton: Skeleton
) -> tuple[Cameras, Upright]:
    """Cameras in metres with z up, from a known scale.

    Args:
        cameras: in the frame and unit of `points`.
        points: joints of one person; NaN: unknown.
        scale: metres per unit.
        skeleton: of the joints.

    Returns:
        The cameras, and how the vertical was found."""
    metric = cameras.moved(torch.eye(3, 4, dtype=torch.float64), scale=1 / scale.metres_per_unit)
    upright = upright_from_body(points * scale.metres_per_unit, skeleton, metric.rotation)
    return metric.moved(upright.world_from_new), upright


def person_size(
    pixels: Float[Tensor, "frames views joints 2"], weights: Float[Tensor, "frames views joints"]
) -> float:
    """Median diagonal, in pixels, of the bounding box of the 2D joints.

    Unlike the size of the image it does not depend on cropping.

    Args:
        pixels: 2D joints of one person.
        weights: of the joints; those of weight 0 are ignored.

    Returns:
        The median over frames and views with at least half of the joints; NaN where there are none."""
    seen = (weights > 0)[..., None]
    low = torch.where(seen, pixels, torch.inf).amin(dim=-2)
    high = torch.where(seen, pixels, -torch.inf).amax(dim=-2)
    sizes = (high - low).norm(dim=-1)[seen.sum(dim=(-2, -1)) >= max(2, pixels.shape[-2] // 2)]
    return float(sizes.median()) if sizes.numel() else math.nan
