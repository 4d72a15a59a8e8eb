"""Points in space from what several calibrated cameras saw of them.

Raw pixels in: lens distortion is removed here. `coview.geometry.triangulation.undistorted` holds the same for pixels
without distortion and projection matrices, differentiable and exportable.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.triangulation.undistorted import (
    Triangulated,
    triangulate_robust_undistorted,
    triangulate_undistorted,
)


def triangulate(
    cameras: Cameras,
    pixels: Float[Tensor, "*batch views joints 2"],
    weights: Float[Tensor, "*batch views joints"],
) -> Float[Tensor, "*batch joints 3"]:
    """Weighted linear triangulation (DLT) of joints that calibrated cameras saw at one instant [HZ04 §12.2].

    One wild detection moves the point without limit: see `triangulate_robust`.

    Args:
        cameras: of batch `views`, or with further batch axes where cameras differ between the pixels'.
        pixels: raw (distorted), (*batch, views, joints, 2).
        weights: of detections, (*batch, views, joints): the standard deviation of one is proportional to 1 / weight.
            Weight 0 (or NaN), or a pixel that is not finite: not seen.

    Returns:
        Metres, world frame, (*batch, joints, 3). NaN for a joint that fewer than two views see, or whose rays are
        parallel.

    Raises:
        InputError: fewer than two views."""
    perfect, straight = cameras.undistorted(pixels)
    return triangulate_undistorted(straight, perfect.pixels_from_world, weights)


def triangulate_robust(
    cameras: Cameras,
    pixels: Float[Tensor, "*batch views joints 2"],
    weights: Float[Tensor, "*batch views joints"],
    *,
    sigma: float = 3.0,
    threshold: float = 15.0,
    solver: Literal["linear", "reprojection"] = "reprojection",
    max_ambiguity: float = 3.0,
    max_pairs: int = 28,
    seed: int = 0,
) -> Triangulated:
    """Robust triangulation by MSAC over pairs of views, with covariances.

    Every pair of views proposes a point, all views score it (`coview.geometry.triangulation.consensus`), and the best
    agreement is fitted. Who triangulates the same pixels several times undistorts them once:
    `cameras, pixels = cameras.undistorted(pixels)`; of cameras without distortion nothing is computed again.

    Args:
        cameras: as of `triangulate`.
        pixels: raw (distorted), (*batch, views, joints, 2).
        weights: of detections, (*batch, views, joints), as of `triangulate`.
        sigma: undistorted pixels, the noise of a detection of weight 1: scales the covariance, nothing else.
        threshold: undistorted pixels beyond which a view does not agree with a point.
        solver: "linear" as `triangulate` does, "reprojection" further by Gauss-Newton on the reprojection error.
        max_ambiguity: where other views agree as well on another place, the joint is NaN if these places are further
            apart than this many standard deviations of the noise; else the covariance includes them.
        max_pairs: of views per point: where there are more, this many are drawn with `seed`.
        seed: of that draw.

    Returns:
        Points (metres, world frame), covariances, inliers and residuals (undistorted pixels); NaN where fewer than two
        views agree. Points behind a camera are never its inliers. With exactly two views no outlier can be told: an
        error along the epipolar line shows in no residual.

    Raises:
        InputError: fewer than two views, or settings out of range."""
    perfect, straight = cameras.undistorted(pixels)
    return triangulate_robust_undistorted(
        straight,
        perfect.pixels_from_world,
        weights,
        sigma=sigma,
        threshold=threshold,
        solver=solver,
        max_ambiguity=max_ambiguity,
        max_pairs=max_pairs,
        seed=seed,
    )


def in_front(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
) -> Float[Tensor, "frames views joints"]:
    """Whether what a camera saw lies in front of it, where all views together place it (cheirality).

    Args:
        cameras: of batch `views`.
        pixels: raw (distorted).
        weights: of detections; 0: not seen.

    Returns:
        1 in front, 0 behind; NaN where the camera did not see the joint, or it has no place."""
    points = triangulate(cameras, pixels, weights)
    depth = cameras.to_camera(torch.nan_to_num(points)[:, None])[..., 2]
    there = (weights > 0) & points.isfinite().all(dim=-1)[:, None]
    return torch.where(there, (depth > 0).to(depth), torch.nan)
