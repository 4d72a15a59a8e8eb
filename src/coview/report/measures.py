"""Measures of a reconstruction that need no ground truth: reprojection error, bone lengths, coverage."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.sampling import evenly
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.skeletons import Skeleton

_LEFT_OUT_FRAMES = 300  # that cameras are predicted in
_MOST = 1_000_000  # values a quantile is taken of; more are thinned evenly


@dataclass(frozen=True)
class Quantiles:
    """Middle and upper end of some values; NaN where there are none."""

    median: float
    # 95 % are smaller
    high: float
    count: int


@dataclass(frozen=True)
class Agreement:
    """How the 3D joints agree with the detections of one camera or one joint."""

    name: str
    # of the detections that were used
    pixels: Quantiles
    # share of all there could be
    detected: float
    # share of the detected
    used: float


@dataclass(frozen=True)
class Bone:
    """One bone over the recording."""

    name: str
    # metres; NaN: never seen whole
    mean: float
    # standard deviation, share of the mean
    relative_std: float
    # (left - right) / mean of both; NaN for a bone in the middle
    asymmetry: float
    frames: int


@dataclass(frozen=True)
class JointCoverage:
    """How often one joint is known, and from how many views."""

    name: str
    # share of frames with a position
    valid_share: float
    # share of frames in which it rests on exactly 0, 1, 2, … views
    views: tuple[float, ...]
    # metres; median over frames of the largest standard deviation; NaN: not estimated
    sigma: float


def quantiles(values: Float[Tensor, "count"]) -> Quantiles:
    """Median and 95th percentile of the finite values.

    Args:
        values: Values; more than a million are thinned evenly.

    Returns:
        The quantiles; NaN without finite values.
    """
    finite = values[values.isfinite()]
    if not finite.numel():
        return Quantiles(float("nan"), float("nan"), 0)
    thin = finite[:: -(-finite.numel() // _MOST)]
    median, high = torch.quantile(thin.double(), torch.tensor([0.5, 0.95], dtype=torch.float64)).tolist()
    return Quantiles(median, high, finite.numel())


def agreements(
    errors: Float[Tensor, "frames views joints"],
    used: Bool[Tensor, "frames views joints"],
    seen: Bool[Tensor, "frames views joints"],
    names: tuple[str, ...],
    axis: int,
) -> tuple[Agreement, ...]:
    """Reprojection errors and shares of detections, per camera or per joint.

    Args:
        errors: Reprojection errors in pixels.
        used: Whether the 3D joint rests on the detection.
        seen: Whether the joint was detected.
        names: Names along `axis`.
        axis: 1: per camera; 2: per joint.

    Returns:
        One per name.
    """
    rows = []
    for index, name in enumerate(names):
        error, kept, there = (part.select(axis, index) for part in (errors, used, seen))
        detected = int(there.sum())
        rows.append(
            Agreement(
                name,
                quantiles(error[kept]),
                detected / max(there.numel(), 1),
                int(kept.sum()) / max(detected, 1),
            )
        )
    return tuple(rows)


def predicted_by_others(
    cameras: Cameras, pixels: Float[Tensor, "frames views joints 2"], threshold: float
) -> list[float]:
    """Per camera, how far its detections are from what all other cameras predict (leave one out).

    A residual alone does not show a camera that pulls the 3D joints to itself.

    Args:
        cameras: Of batch `views`.
        pixels: Raw detections; NaN: not seen.
        threshold: Pixels beyond which a view does not agree with a point.

    Returns:
        Median distance in pixels, one per camera; NaN with fewer than three cameras.
    """
    if len(cameras) < 3:
        return [float("nan")] * len(cameras)
    some = evenly(len(pixels), _LEFT_OUT_FRAMES)
    perfect, straight = cameras.to(torch.float64).undistorted(pixels[some].double())
    seen = straight.isfinite().all(dim=-1).double()
    found = []
    for view in range(len(cameras)):
        others = seen.clone()
        others[:, view] = 0
        points = triangulate_robust(perfect, straight, others, threshold=threshold, solver="linear").points
        apart = (perfect[view].project(points) - straight[:, view]).norm(dim=-1)
        found.append(float(apart.nanmedian()))
    return found


def bones(points: Float[Tensor, "frames joints 3"], skeleton: Skeleton) -> tuple[Bone, ...]:
    """Length of every bone: its mean, its relative standard deviation, and left against right.

    Args:
        points: Joints in metres; NaN where not valid.
        skeleton: Skeleton of the joints.

    Returns:
        One per bone.
    """
    lengths = {
        (parent, child): (points[:, skeleton.index(parent)] - points[:, skeleton.index(child)]).norm(dim=-1)
        for parent, child in skeleton.bones
    }
    means = {bone: float(length.nanmean()) for bone, length in lengths.items()}
    return tuple(_bone(bone, length[length.isfinite()], means, skeleton) for bone, length in lengths.items())


def _bone(
    bone: tuple[str, str], length: Tensor, means: dict[tuple[str, str], float], skeleton: Skeleton
) -> Bone:
    swap = {a: b for a, b in skeleton.left_right} | {b: a for a, b in skeleton.left_right}
    other = (swap.get(bone[0], bone[0]), swap.get(bone[1], bone[1]))
    mean, opposite = means[bone], means.get(other, float("nan"))
    asymmetry = float("nan") if other == bone else 2 * (mean - opposite) / (mean + opposite)
    left = any(bone[i] == a for i in (0, 1) for a, _ in skeleton.left_right)
    return Bone(
        f"{bone[0]}–{bone[1]}",
        mean,
        float(length.std() / length.mean()) if len(length) > 1 else float("nan"),
        asymmetry if left else -asymmetry,
        len(length),
    )


def views_used(
    inliers: Bool[Tensor, "frames views joints"] | None,
    used: Bool[Tensor, "frames views joints"] | None,
) -> Int[Tensor, "frames joints"] | None:
    """How many views each 3D joint rests on.

    Args:
        inliers: Inliers of the triangulation, or None.
        used: Detections that agree with the 3D joints, taken where there are no inliers; or None.

    Returns:
        Counts; None where neither is known.
    """
    counted = used if inliers is None else inliers
    return None if counted is None else counted.sum(dim=1)


def coverage(
    points: Float[Tensor, "frames joints 3"],
    views: Int[Tensor, "frames joints"] | None,
    covariance: Float[Tensor, "frames joints 3 3"] | None,
    most: int,
    names: tuple[str, ...],
) -> tuple[JointCoverage, ...]:
    """How often each joint is valid, from how many views, and how certain.

    Args:
        points: Joints in metres; NaN where not valid.
        views: Number of views that each joint rests on, or None.
        covariance: Covariance of the joints, square metres, or None.
        most: Number of cameras.
        names: Names of the joints.

    Returns:
        One per joint.
    """
    valid = points.isfinite().all(dim=-1)
    largest = None if covariance is None else _largest_sigma(covariance)
    rows = []
    for joint, name in enumerate(names):
        shares = () if views is None else tuple(_shares(views[:, joint], most))
        sigma = float("nan") if largest is None else quantiles(largest[:, joint]).median
        rows.append(JointCoverage(name, float(valid[:, joint].float().mean()), shares, sigma))
    return tuple(rows)


def _shares(counts: Tensor, most: int) -> list[float]:
    shares: list[float] = (torch.bincount(counts, minlength=most + 1) / max(len(counts), 1)).tolist()
    return shares


def _largest_sigma(covariance: Float[Tensor, "frames joints 3 3"]) -> Float[Tensor, "frames joints"]:
    """Standard deviation along the least certain direction, metres; NaN where not known."""
    valid = covariance.isfinite().all(dim=-1).all(dim=-1)
    safe = torch.where(valid[..., None, None], covariance, torch.eye(3).to(covariance))
    largest = torch.linalg.eigvalsh(safe)[..., -1].clamp_min(0).sqrt()
    return torch.where(valid, largest, torch.nan)


def millimetres_per_pixel(
    points: Float[Tensor, "frames joints 3"], cameras: Cameras
) -> Float[Tensor, "views"]:
    """Extent at the person, across the line of sight, of one pixel: median depth over focal length.

    Args:
        points: Joints in metres, world frame.
        cameras: The cameras.

    Returns:
        Millimetres per pixel, for every camera.
    """
    flat = points.reshape(1, -1, 3).double()
    depth = cameras.to(torch.float64).to_camera(flat[:, :: -(-flat.shape[1] // 10_000)])[..., 2]
    return 1000 * depth.nanmedian(dim=-1).values / cameras.focal.double().mean(dim=-1)
