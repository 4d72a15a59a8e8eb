"""Points of least Huber loss of their reprojection errors, found to the last digit by damped Newton steps.

`refine_points` minimises squared errors in a fixed number of steps. The Huber loss of distances has kinks in its second
derivative and, where two views disagree, hardly any curvature along one direction, so that a fixed number of reweighted
steps ends millimetres from the minimum: here every point goes on until it no longer moves.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# metres: a point that moves less has arrived; rounding in float64 leaves about 1e-15 m
_ARRIVED = 1e-13
# damping, as a share of the mean curvature: at first, and beyond which no step lowers the loss
_FIRST_DAMPING, _MOST_DAMPING = 1e-3, 1e12
# a cost that rises by no more than this share has not risen
_ROUNDING = 1e-13


def least_huber_points(
    points3d: Float[Tensor, "*batch joints 3"],
    points: Float[Tensor, "*batch views joints 2"],
    projections: Float[Tensor, "*batch views 3 4"],
    seen: Bool[Tensor, "*batch views joints"],
    limit: float,
    *,
    most_steps: int = 200,
) -> Float[Tensor, "*batch joints 3"]:
    """Points moved to the minimum of the Huber loss of the distances between detections and projections.

    The loss of a distance e is e² up to `limit` and 2 e limit − limit² beyond [Huber81]. Computed in float64.

    Args:
        points3d: start, metres, world frame, (*batch, joints, 3).
        points: undistorted pixels, (*batch, views, joints, 2).
        projections: pixels-from-world, (*batch, views, 3, 4).
        seen: which views count for which joint, (*batch, views, joints).
        limit: pixels.
        most_steps: of Newton; a few dozen are needed.

    Returns:
        Metres, world frame, in the precision of `points3d`. NaN stays NaN; a point never has a larger loss than its
        start."""
    there = points3d.isfinite().all(dim=-1)
    found = torch.where(there[..., None], points3d, 0.0).double()
    counts = seen & there[..., None, :] & points.isfinite().all(dim=-1)
    pixels = torch.where(counts[..., None], points, 0.0).double()
    cameras = projections.double()
    damping = torch.full_like(found[..., 0], _FIRST_DAMPING)
    cost, slope, curvature = _derivatives(found, pixels, cameras, counts, limit)
    active = there & counts.any(dim=-2)
    for _ in range(most_steps):
        if not bool(active.any()):
            break
        size = curvature.diagonal(dim1=-2, dim2=-1).mean(dim=-1).clamp_min(torch.finfo(torch.float64).tiny)
        damped = curvature + (damping * size)[..., None, None] * torch.eye(3).to(curvature)
        step = torch.where(
            active[..., None], -torch.linalg.solve_ex(damped, slope[..., None]).result[..., 0], 0.0
        )
        moved = found + step.nan_to_num()
        new_cost, new_slope, new_curvature = _derivatives(moved, pixels, cameras, counts, limit)
        better = active & (new_cost <= cost * (1 + _ROUNDING))
        found = torch.where(better[..., None], moved, found)
        cost = torch.where(better, new_cost, cost)
        slope = torch.where(better[..., None], new_slope, slope)
        curvature = torch.where(better[..., None, None], new_curvature, curvature)
        damping = torch.where(better, damping * 0.1, damping * 10.0).clamp_min(1e-15)
        still = step.norm(dim=-1) > _ARRIVED * (1 + found.norm(dim=-1))
        active = active & still & (damping < _MOST_DAMPING)
    return torch.where(there[..., None], found, torch.nan).to(points3d.dtype)


def _derivatives(
    found: Tensor, pixels: Tensor, cameras: Tensor, counts: Tensor, limit: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Half the loss of every point, its gradient and its Hessian with the projections' own curvature left out.

    Along the residual a distance beyond the limit has no curvature, across it the curvature of a circle."""
    image = torch.einsum("...vij,...nj->...vni", cameras[..., :3], found) + cameras[..., None, :, 3]
    depth = torch.where(counts & (image[..., 2].abs() > 1e-9), image[..., 2], 1.0)
    flat = image[..., :2] / depth[..., None]
    residual = torch.where(counts[..., None], flat - pixels, 0.0)
    distance = residual.norm(dim=-1)
    far = distance > limit
    length = torch.where(far, distance, 1.0)
    weight = torch.where(far, limit / length, 1.0) * counts
    cost = torch.where(far, limit * distance - limit**2 / 2, distance.square() / 2) * counts
    rows = cameras[..., None, :2, :3] - flat[..., None] * cameras[..., None, 2:, :3]
    jacobian = rows / depth[..., None, None]
    direction = torch.where(far[..., None], residual / length[..., None], 0.0)
    metric = torch.eye(2).to(residual) - direction[..., :, None] * direction[..., None, :]
    slope = torch.einsum("...vn,...vnij,...vni->...nj", weight, jacobian, residual)
    curvature = torch.einsum("...vn,...vnij,...vnik,...vnkl->...njl", weight, jacobian, metric, jacobian)
    return cost.sum(dim=-2), slope, curvature
