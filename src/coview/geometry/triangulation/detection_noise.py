"""The noise of a recording's detections, from how well they agree on points: what covariances of points scale with."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.triangulation.undistorted import Triangulated, refine_points, reprojection_residuals

# detections that the recording's noise counts for, where a joint's own noise is estimated
_PRIOR = 30.0
# pixels: rounding of coordinates in files
_LEAST = 0.01
# of the fixed point; each round lowers what is left of the start's error to about a third
_ROUNDS = 12
# that the noise is estimated from
_SOME_FRAMES = 1000
# share of sums of squares that noise alone would leave below the cut
_BELOW = 0.9


def detection_noise(
    found: Triangulated,
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
) -> Float[Tensor, "joints"]:
    """Standard deviation per coordinate of detections with weight 1, joint by joint, in pixels.

    The weighted squares of the n residuals of a point of least reprojection error sum to σ² χ² with 2n - 3 degrees of
    freedom. Their scale is estimated
    with the largest tenth cut off, so that wrong detections that passed for inliers do not count, nor instants that are
    worse than the rest; what noise alone would lose by that is put back. Joints with few detections are drawn to the
    recording's mean.

    Args:
        found: a robust triangulation.
        cameras: that it was made with, of batch `views`.
        pixels: raw (distorted).
        weights: of the detections; 0: not seen.

    Returns:
        Pixels, at least 0.01; the same for a joint without any point as for all others, 1 where there are no points.
    """
    some = torch.linspace(0, len(pixels) - 1, min(len(pixels), _SOME_FRAMES)).long()
    perfect, straight = cameras.undistorted(pixels[some].double())
    used_weights = torch.where(found.inliers[some], weights[some].double(), 0.0)
    projections = perfect.pixels_from_world
    points = refine_points(found.points[some], straight, projections, used_weights)
    residuals = reprojection_residuals(points, straight, projections)
    seen = (used_weights > 0) & residuals.isfinite()
    squares = torch.where(seen, (residuals * used_weights).square(), 0.0).sum(dim=1)
    freedom = (2 * seen.sum(dim=1) - 3).double()
    used = freedom > 0
    if not bool(used.any()):
        return torch.ones(squares.shape[1], dtype=torch.float64)
    overall = _variance(squares[used], freedom[used])
    own = []
    for joint in range(squares.shape[1]):
        mine = used[:, joint]
        count = float(freedom[mine, joint].sum())
        variance = _variance(squares[mine, joint], freedom[mine, joint]) if count else overall
        own.append((count * variance + _PRIOR * overall) / (count + _PRIOR))
    return torch.tensor(own, dtype=torch.float64).sqrt().clamp(min=_LEAST)


def _variance(squares: Float[Tensor, "n"], freedom: Float[Tensor, "n"]) -> float:
    """Variance σ² of which `squares` are σ² χ² of so many degrees of freedom each, their tails cut off.

    A fixed point: those below the quantile that 90 % stay below are averaged, and divided by what that mean is for the
    χ² distribution, E[χ²; χ² < c] = n P(χ²_{n+2} < c)."""
    cut = _chi2_quantile(freedom)
    share = (freedom * torch.special.gammainc(freedom / 2 + 1, cut / 2)).sum()
    variance = float(squares.median() / freedom.median())
    for _ in range(_ROUNDS):
        inside = squares < cut * variance
        if variance <= 0 or not bool(inside.any()):
            return max(variance, _LEAST**2)
        expected = share * inside.sum() / (_BELOW * len(squares))
        variance = float(squares[inside].sum() / expected)
    return variance


def _chi2_quantile(freedom: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """The value that χ² stays below with probability `_BELOW`."""
    from scipy.stats import chi2

    each, index = freedom.unique(return_inverse=True)
    return torch.from_numpy(chi2.ppf(_BELOW, each.numpy()))[index]
