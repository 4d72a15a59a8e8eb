"""Points in space from undistorted pixels and projection matrices: differentiable, and exportable to ONNX.

`coview.geometry.triangulation.triangulate` is the same for raw pixels of `Cameras`. All pixels here are undistorted
(`Cameras.undistorted`); projections are `Cameras.pixels_from_world`. The standard deviation of
a detection is sigma / weight. Weight 0 (or NaN), or a pixel that is not finite, means that the view did not
see the joint.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.geometry.triangulation.consensus import agreeing_views, either
from coview.geometry.triangulation.observations import (
    CentredCameras,
    CentredObservations,
    linear_points,
    nearest_points,
    normal_matrices,
)
from coview.geometry.triangulation.refine_points import Projected, descend, point_covariance, project

_BLOCK = 1 << 15  # points worked on at a time: what a processor's cache holds
_ROBUST_STEPS = 2  # of Gauss-Newton from the linear point: a third moves it by micrometres


@dataclass(frozen=True)
class Triangulated:
    """Points with all that is known about how good they are.

    NaN where fewer than two views agree, or where they agree as well on another place far away."""

    points: Float[Tensor, "*batch joints 3"]  # metres, world frame
    covariance: Float[Tensor, "*batch joints 3 3"]  # m²
    inliers: Bool[Tensor, "*batch views joints"]  # the sightings that the point was fitted to
    residuals: Float[Tensor, "*batch views joints"]  # pixels; NaN: not seen, no point, or behind the camera


def triangulate_undistorted(
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*#batch views 3 4"],
    weights: Float[Tensor, "*batch views joints"],
) -> Float[Tensor, "*batch joints 3"]:
    """Weighted linear triangulation [HZ04 §12.2]; weights multiply rows [Iskakov19 eq. 4].

    Undistorted pixels in, metres in the world frame out: the same point as the smallest singular
    vector of the weighted rows, by a few 3×3 solves. NaN for a joint that fewer than two views see, or
    whose rays are parallel to within about 0.3° (float32); gradients are finite nevertheless. One
    wild detection moves the point without limit: see `triangulate_robust_undistorted`. Fastest where the batch
    shares its projections (leading axes of size one, or none). ValueError: fewer than two views."""
    _check_views("triangulate", points)

    def block(seen: CentredObservations) -> tuple[Tensor, ...]:
        found, determined = linear_points(normal_matrices(seen), seen.rig.origin)
        return (
            _nan_unless(
                found + seen.rig.origin[..., None], determined & _seen_twice(seen.squared_weights > 0)
            ),
        )

    return _in_blocks(block, points, projections, weights)[0].transpose(-1, -2)


def refine_points(
    points3d: Float[Tensor, "*batch joints 3"],
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*#batch views 3 4"],
    weights: Float[Tensor, "*batch views joints"],
    steps: int = 3,
) -> Float[Tensor, "*batch joints 3"]:
    """Points (metres, world) moved by Gauss-Newton to the least weighted reprojection error.

    The maximum-likelihood point for Gaussian noise of sigma / weight pixels [HZ04 §12.5 for two views].
    NaN stays NaN; a point whose error would grow stays where it was. ValueError: fewer than two views."""
    _check_views("refine_points", points)

    def block(seen: CentredObservations, start: Tensor) -> tuple[Tensor, ...]:
        there = start.isfinite().all(dim=1)
        start = torch.where(there[:, None], start - seen.rig.origin[..., None], 0.0)
        return (_nan_unless(descend(start, seen, steps) + seen.rig.origin[..., None], there),)

    return _in_blocks(block, points, projections, weights, points3d)[0].transpose(-1, -2)


def triangulate_robust_undistorted(
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*#batch views 3 4"],
    weights: Float[Tensor, "*batch views joints"],
    *,
    sigma: float = 3.0,
    threshold: float = 15.0,
    solver: Literal["linear", "reprojection"] = "reprojection",
    max_ambiguity: float = 3.0,
    max_pairs: int = 28,
    seed: int = 0,
) -> Triangulated:
    """Points that most views agree on, whatever the others claim; with covariance.

    Every pair of views proposes a point, the views within `threshold` pixels judge it (see
    `coview.geometry.triangulation.consensus`), and the best agreement is fitted: "linear" as `triangulate` does,
    "reprojection" further by Gauss-Newton. `sigma` (pixels) is the noise of a detection with weight
    1 and scales the covariance, nothing else. Points behind a camera are never its inliers. Where other
    views agree as well on another place, the point cannot be known: NaN, if these places spread over
    more than `max_ambiguity` times what the noise explains; else the covariance includes them. A point with
    more than `max_pairs` pairs of views gets a choice of them drawn with `seed`.

    With exactly two views no outlier can be told: two rays miss each other only across the epipolar
    line, so an error along it shows in no residual. Two views further apart than the threshold allows
    give NaN. ValueError: fewer than two views, or numbers that make no sense."""
    _check_views("triangulate_robust", points)
    _check_robust(sigma, threshold, solver, max_ambiguity, max_pairs)

    def block(seen: CentredObservations) -> tuple[Tensor, ...]:
        inliers, ambiguity = agreeing_views(seen, threshold, sigma, max_pairs, seed)
        inliers = _second_opinion(seen, inliers, threshold)
        kept = seen.restricted_to(inliers)
        found, determined = linear_points(normal_matrices(kept), seen.rig.origin)
        if solver == "reprojection":
            found = descend(found, kept, _ROBUST_STEPS)
        valid = determined & _seen_twice(inliers)
        image = project(found, seen)
        covariance = point_covariance(image, kept, sigma, weighs_pixels=solver == "reprojection")
        from_noise = covariance.diagonal(dim1=1, dim2=2).sum(dim=-1)
        valid = valid & (ambiguity.square().sum(dim=1) <= max_ambiguity**2 * from_noise)
        covariance = (covariance + ambiguity[:, None] * ambiguity[:, :, None]).flatten(1, 2)
        world = found + seen.rig.origin[..., None]
        return (
            _nan_unless(world, valid),
            _nan_unless(covariance, valid),
            inliers & valid[:, None],
            _residuals(image, seen, valid),
        )

    found, covariance, inliers, residuals = _in_blocks(block, points, projections, weights)
    matrices = covariance.transpose(-1, -2).unflatten(-1, (3, 3))
    return Triangulated(found.transpose(-1, -2), matrices, inliers, residuals)


def reprojection_residuals(
    points3d: Float[Tensor, "*batch joints 3"],
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*#batch views 3 4"],
) -> Float[Tensor, "*batch views joints"]:
    """Distance in pixels between detections and projected points (metres, world).

    NaN where the detection or the point is NaN, or the point is behind the camera."""

    def block(seen: CentredObservations, found: Tensor) -> tuple[Tensor, ...]:
        valid = found.isfinite().all(dim=1)
        found = torch.where(valid[:, None], found - seen.rig.origin[..., None], 0.0)
        return (_residuals(project(found, seen), seen, valid),)

    return _in_blocks(block, points, projections, torch.ones_like(points[..., 0]), points3d)[0]


# --- inside ------------------------------------------------------------------------------------------


def _second_opinion(seen: CentredObservations, inliers: Tensor, threshold: float) -> Tensor:
    """The views that agree with the fit to all inliers: surer than a pair's point, if none is lost."""
    with torch.no_grad():
        found, _ = nearest_points(normal_matrices(seen.restricted_to(inliers)))
        image = project(found, seen)
        agree = (image.squared_errors(seen) < threshold**2) & image.in_front & (seen.squared_weights > 0)
        return either((agree.sum(dim=1) >= inliers.sum(dim=1))[:, None], agree, inliers)


def _residuals(image: Projected, seen: CentredObservations, valid: Tensor) -> Tensor:
    squared = image.squared_errors(seen)
    there = image.in_front & (seen.squared_weights > 0) & valid[:, None]
    # the root's gradient at zero is infinite: take the root of something else there
    root = torch.where(squared > 0, squared, 1.0).sqrt()
    return torch.where(there, torch.where(squared > 0, root, 0.0), torch.nan)


def _seen_twice(which: Tensor) -> Tensor:
    return which.sum(dim=1) >= 2


def _nan_unless(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid[:, None], values, torch.nan)


def _in_blocks(
    work: Callable[..., tuple[Tensor, ...]],
    points: Tensor,
    projections: Tensor,
    weights: Tensor,
    points3d: Tensor | None = None,
) -> list[Tensor]:
    """`work` on a bounded number of points at a time; its results (sets, any, points) end as
    (*batch, any, joints)."""
    *batch, views, joints, _ = points.shape
    frames = math.prod(batch)
    kind = torch.promote_types(torch.promote_types(points.dtype, projections.dtype), torch.float32)
    shared = math.prod(projections.shape[:-3]) == 1
    cameras = projections if shared else projections.expand(*batch, views, 3, 4)
    rig = CentredCameras.of(cameras.reshape(1 if shared else frames, views, 3, 4).to(kind))
    inputs = [points.reshape(frames, views, joints, 2), weights.reshape(frames, views, joints, 1)]
    inputs += [] if points3d is None else [points3d.reshape(frames, 1, joints, 3)]
    if swap := shared and frames == 1:  # one frame, perhaps of very many joints: split the joints
        inputs = [each.transpose(0, 2) for each in inputs]
    results = []
    for part in _parts(inputs[0]):
        pixels, weight, *found = (each[part].to(kind) for each in inputs)
        seen = CentredObservations.collect(pixels, rig if shared else rig[part], weight[..., 0])
        done = work(seen, *(_side_by_side(each[:, 0], shared) for each in found))
        results.append([_apart(each, pixels, shared) for each in done])
    whole = [torch.cat(parts) for parts in zip(*results, strict=True)]
    return [(each.transpose(0, 2) if swap else each).reshape(*batch, each.shape[1], joints) for each in whole]


def _parts(pixels: Float[Tensor, "frames views joints 2"]) -> list[slice]:
    """Blocks of frames: at least one, even of nothing; just one while exporting, where no length is known."""
    if torch.compiler.is_compiling():
        return [slice(None)]
    frames, _, joints, _ = pixels.shape
    size = max(1, _BLOCK // max(1, joints))
    return [slice(start, start + size) for start in range(0, max(1, frames), size)]


def _side_by_side(found: Tensor, shared: bool) -> Tensor:
    """(frames, joints, 3) as (sets, 3, points)."""
    return found.permute(2, 0, 1).flatten(1)[None] if shared else found.transpose(1, 2)


def _apart(result: Tensor, pixels: Float[Tensor, "frames views joints 2"], shared: bool) -> Tensor:
    """(sets, any, points) as (frames, any, joints)."""
    frames, _, joints, _ = pixels.shape
    return result[0].unflatten(-1, (frames, joints)).transpose(0, 1) if shared else result


def _check_views(caller: str, points: Tensor) -> None:
    views = points.shape[-3]
    if views < 2:
        raise InputError(
            f"{caller}: {views} view(s) given in points of shape {tuple(points.shape)}, and one ray has no "
            f"depth. Give two or more calibrated views (axis -3), or use a monocular model."
        )


def _check_robust(sigma: float, threshold: float, solver: str, max_ambiguity: float, max_pairs: int) -> None:
    if not (sigma > 0 and threshold > 0):
        raise InputError(
            f"triangulate_robust: sigma and threshold are pixels and must be positive, got sigma={sigma}, "
            f"threshold={threshold}. sigma is a detection's noise; a threshold of 5 sigma is a good start."
        )
    if solver not in ("linear", "reprojection"):
        raise InputError(f"triangulate_robust: solver is 'linear' or 'reprojection', got {solver!r}.")
    if not max_ambiguity >= 0:
        raise InputError(
            f"triangulate_robust: max_ambiguity is a number of standard deviations, 0 or more, got {max_ambiguity}. "
            f"Infinity keeps every point, however doubtful."
        )
    if max_pairs < 1:
        raise InputError(
            f"triangulate_robust: max_pairs must be at least 1, got {max_pairs}: nothing to try."
        )
