"""Points in space from what several calibrated cameras saw of them.

Raw pixels in: lens distortion is removed here. `coview.geometry.triangulation.undistorted` holds the same for pixels
without distortion and projection matrices, differentiable and exportable.
"""

from typing import Literal

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
        pixels: raw (distorted).
        weights: of detections: the standard deviation of one is proportional to 1 / weight. Weight 0 (or
            NaN), or a pixel that is not finite: not seen.

    Returns:
        Metres, world frame. NaN for a joint that fewer than two views see, or whose rays are parallel.

    Raises:
        ValueError: fewer than two views."""
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
    """Robust triangulation: the points that most views agree on, whatever the others claim; with covariance.

    Every pair of views proposes a point, all views judge it (MSAC over all pairs,
    `coview.geometry.triangulation.consensus`), and the best agreement is fitted. Who triangulates the same pixels
    several times undistorts them once: `cameras, pixels = cameras.undistorted(pixels)`; of cameras without distortion
    nothing is computed again.

    Args:
        cameras, pixels, weights: as of `triangulate`.
        sigma: undistorted pixels, the noise of a detection of weight 1: scales the covariance, nothing else.
        threshold: undistorted pixels beyond which a view does not agree with a point.
        solver: "linear" as `triangulate` does, "reprojection" further by Gauss-Newton on the reprojection error.
        max_ambiguity: where other views agree as well on another place, the joint is NaN if these places are further
            apart than this many standard deviations of the noise; else the covariance includes them.
        max_pairs: a point with more pairs of views gets a choice of them drawn with `seed`.

    Returns:
        Points (metres, world frame), covariances, inliers and residuals (undistorted pixels); NaN where fewer than two
        views agree. Points behind a camera are never its inliers. With exactly two views no outlier can be told: an
        error along the epipolar line shows in no residual.

    Raises:
        ValueError: fewer than two views, or numbers that make no sense."""
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
