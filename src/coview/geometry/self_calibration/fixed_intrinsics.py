"""Cameras from point tracks alone, whoever the points belong to: no board, no given extrinsics.

Start values come from the graph of pairs (`view_graph`); robust triangulation and bundle adjustment
alternate until outliers and cameras have settled. The result is known up to a similarity: its world is the
first camera, and the distance from that camera to the farthest one is 1.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.bundle.bundle_adjustment import Adjusted, adjust
from coview.geometry.epipolar.view_graph import (
    MIN_SHARED,
    NotDeterminedError,
    Pair,
    place_cameras,
    relate_pairs,
    suspect,
)
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated

_STARTS = (
    1.0,
    2.0,
    0.5,
    4.0,
)  # times the threshold, for the relative poses; later ones only if earlier ones fail
_GOOD, _USABLE = 0.5, 0.25  # share of a camera's detections that agree with the others


@dataclass(frozen=True)
class SelfCalibrated:
    """Cameras up to a similarity, the points they saw, and what the adjustment says of both."""

    cameras: Cameras
    points: Float[Tensor, "frames joints 3"]  # NaN where fewer than two views agree
    inliers: Bool[Tensor, "frames views joints"]
    adjusted: Adjusted
    pairs: tuple[Pair, ...]
    agreement: Float[
        Tensor, "views"
    ]  # share of each camera's detections within twice the threshold of the others'


def self_calibrate(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    *,
    names: tuple[str, ...],
    threshold: float = 12.0,
    seed: int = 0,
) -> SelfCalibrated:
    """Extrinsics of cameras with known intrinsics, from points that several of them saw at one instant.

    `cameras` gives intrinsics and distortion (its extrinsics are ignored); `pixels` are raw and
    `weights` are 0 where a point was not seen. `threshold` (pixels) is what separates a poor
    detection from a wrong one. Raises NotDeterminedError, naming the cameras, when a camera cannot
    be tied to the others. Sources: [Nister04], [Hartley13] for the averaging, [Triggs00] for the adjustment.
    """
    cameras, pixels, weights = cameras.to(torch.float64), pixels.double(), weights.double()
    if len(cameras) < 2:
        raise NotDeterminedError(
            f"calibration from people needs at least 2 cameras, got {len(cameras)} "
            f"({', '.join(names)}). Add a second view of the same instants."
        )
    flat = cameras.normalise(torch.nan_to_num(pixels))
    best, refused = None, None
    for factor in _STARTS:
        try:
            found = _from_start(cameras, pixels, flat, weights, names, factor, threshold, seed)
        except NotDeterminedError as reason:
            refused = refused or reason
            continue
        if best is None or found.agreement.min() > best.agreement.min():
            best = found
        if best.agreement.min() >= _GOOD:
            break
    if best is None:
        assert refused is not None
        raise refused
    _check_agreement(best, names, threshold)
    return best


def _from_start(
    cameras: Cameras,
    pixels: Tensor,
    flat: Tensor,
    weights: Tensor,
    names: tuple[str, ...],
    factor: float,
    threshold: float,
    seed: int,
) -> SelfCalibrated:
    pairs = relate_pairs(
        flat, weights, factor * threshold / float(cameras.focal.mean()), names=names, seed=seed
    )
    placed = replace(cameras, cam_from_world=place_cameras(pairs, flat, weights, names))
    return _settle(_normalised(placed), pixels, weights, pairs, names, threshold, seed)


def _settle(
    cameras: Cameras,
    pixels: Tensor,
    weights: Tensor,
    pairs: tuple[Pair, ...],
    names: tuple[str, ...],
    threshold: float,
    seed: int,
) -> SelfCalibrated:
    """Triangulate robustly, adjust on what agrees, and again: the start is too rough to judge outliers once."""
    for limit in (4 * threshold, 2 * threshold, threshold):
        found = _triangulated(cameras, pixels, weights, limit, seed)
        _check_tied(found, pairs, names, limit)
        adjusted = _adjusted(cameras, found, pixels, weights, limit)
        cameras = _normalised(adjusted.cameras)
    found = _triangulated(cameras, pixels, weights, threshold, seed)
    seen, wide = weights > 0, _triangulated(cameras, pixels, weights, 2 * threshold, seed)
    agreement = (wide.inliers & seen).sum(dim=(0, 2)) / seen.sum(dim=(0, 2)).clamp(min=1)
    return SelfCalibrated(cameras, found.points, found.inliers, adjusted, pairs, agreement.double())


def _triangulated(cameras: Cameras, pixels: Tensor, weights: Tensor, limit: float, seed: int) -> Triangulated:
    return triangulate_robust(cameras, pixels, weights, threshold=limit, seed=seed)


def _adjusted(
    cameras: Cameras, found: Triangulated, pixels: Tensor, weights: Tensor, limit: float
) -> Adjusted:
    """Bundle adjustment over the detections that agree; every joint of every frame is a point of its own."""
    points = found.points.flatten(0, 1)
    known = points.isfinite().all(dim=-1)
    trust = (weights * found.inliers).transpose(0, 1).flatten(1)
    seen = pixels.transpose(0, 1).flatten(1, 2)
    return adjust(cameras, points[known], seen[:, known], trust[:, known], huber=limit / 4)


def _check_tied(found: Triangulated, pairs: tuple[Pair, ...], names: tuple[str, ...], limit: float) -> None:
    """Every camera must hold some points before an adjustment can move it."""
    held = (found.inliers & found.points.isfinite().all(dim=-1)[:, None]).sum(dim=(0, 2))
    if int(held.min()) < MIN_SHARED:
        raise NotDeterminedError(_misfit(names[suspect(pairs, len(names))], "too few", limit))


def _check_agreement(found: SelfCalibrated, names: tuple[str, ...], threshold: float) -> None:
    worst = int(found.agreement.argmin())
    share = float(found.agreement[worst])
    if share < _USABLE:
        raise NotDeterminedError(_misfit(names[worst], f"only {share:.0%}", 2 * threshold))


def _misfit(name: str, held: str, limit: float) -> str:
    return (
        f"camera '{name}' does not fit the others: {held} of its detections agree with them within {limit:.0f} px. "
        f"Usual causes: its video is not synchronised, it follows another person, its left and right are "
        f"swapped (a mirrored video), or its intrinsics are wrong."
    )


def _normalised(cameras: Cameras) -> Cameras:
    """Moved so that the first camera is the world and the farthest one is at distance 1 from it."""
    pose = cameras.cam_from_world[0]
    world_from_first = torch.cat([pose[:, :3].mT, -pose[:, :3].mT @ pose[:, 3:]], dim=-1)
    reach = (cameras.centres - cameras.centres[0]).norm(dim=-1).max()
    return cameras.moved(world_from_first, scale=float(reach))
