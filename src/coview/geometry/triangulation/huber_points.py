"""Points of least Huber loss of their reprojection errors, found to the last digit by damped Newton steps.

`refine_points` minimises squared errors in a fixed number of steps. The Huber loss of distances has kinks in its second
derivative and, where two views disagree, hardly any curvature along one direction, so that a fixed number of reweighted
steps ends millimetres from the minimum: here every point goes on until it no longer moves.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# homogeneous depth below which a point lies in the plane of a camera's centre, and has no image
_AT_CAMERA = 1e-9
# metres: a point that moves less has arrived; rounding in float64 leaves about 1e-15 m
_ARRIVED = 1e-13
# damping, as a share of the mean curvature: at first, and beyond which no step lowers the loss
_FIRST_DAMPING, _MOST_DAMPING = 1e-3, 1e12
# a cost that changes by no more than this share has not changed; steps that a point may go on for then, because the
# loss is flat to rounding where the point is not yet
_ROUNDING, _FLAT_STEPS = 1e-13, 10


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
    if points3d.device.type == "mps":
        # has no float64
        given = points3d.cpu(), points.cpu(), projections.cpu(), seen.cpu()
        return least_huber_points(*given, limit, most_steps=most_steps).to(points3d.device)
    there = points3d.isfinite().all(dim=-1)
    counts = seen & there[..., None, :] & points.isfinite().all(dim=-1)
    pixels = torch.where(counts[..., None], points, 0.0).double()
    cameras = projections.double()[..., None, :, :, :].expand(*there.shape, *projections.shape[-3:])
    every = _Points(
        cameras.flatten(0, -4),
        pixels.transpose(-3, -2).flatten(0, -3),
        counts.transpose(-2, -1).flatten(0, -2),
        limit,
    )
    start = torch.where(there[..., None], points3d, 0.0).double().flatten(0, -2)
    found = _descended(start, every, most_steps).reshape(points3d.shape)
    return torch.where(there[..., None], found, torch.nan).to(points3d.dtype)


def _descended(start: Tensor, every: "_Points", most_steps: int) -> Tensor:
    """Damped Newton steps of independent points; those that have arrived are no longer worked on."""
    answer, going = start.clone(), every.counts.any(dim=-1).nonzero()[:, 0]
    found, left = start[going], every[going]
    damping = torch.full_like(found[:, 0], _FIRST_DAMPING)
    flat = torch.zeros_like(damping)
    cost, slope, curvature = left.derivatives(found)
    for _ in range(most_steps):
        if not len(going):
            break
        size = curvature.diagonal(dim1=-2, dim2=-1).mean(dim=-1).clamp_min(torch.finfo(torch.float64).tiny)
        damped = curvature + (damping * size)[:, None, None] * torch.eye(3).to(curvature)
        step = torch.linalg.solve_ex(damped, slope[..., None]).result[..., 0].nan_to_num()
        moved = found - step
        new_cost, new_slope, new_curvature = left.derivatives(moved)
        better = new_cost <= cost * (1 + _ROUNDING)
        flat = torch.where(new_cost < cost * (1 - _ROUNDING), 0.0, flat + 1)
        found, cost = torch.where(better[:, None], moved, found), torch.where(better, new_cost, cost)
        slope = torch.where(better[:, None], new_slope, slope)
        curvature = torch.where(better[:, None, None], new_curvature, curvature)
        damping = torch.where(better, damping * 0.1, damping * 10.0).clamp_min(1e-15)
        answer[going] = found
        still = (step.norm(dim=-1) > _ARRIVED * (1 + found.norm(dim=-1))) & (flat < _FLAT_STEPS)
        still = still & (damping < _MOST_DAMPING)
        going, left = going[still], left[still]
        found, cost, slope, curvature = found[still], cost[still], slope[still], curvature[still]
        damping, flat = damping[still], flat[still]
    return answer


@dataclass(frozen=True)
class _Points:
    """Points, and what each is seen at."""

    # pixels from world
    cameras: Float[Tensor, "points views 3 4"]
    # undistorted
    pixels: Float[Tensor, "points views 2"]
    # which views count
    counts: Bool[Tensor, "points views"]
    # pixels from which on the loss is linear
    limit: float

    def __getitem__(self, which: Tensor) -> "_Points":
        return _Points(self.cameras[which], self.pixels[which], self.counts[which], self.limit)

    def derivatives(self, found: Float[Tensor, "points 3"]) -> tuple[Tensor, Tensor, Tensor]:
        """Half the loss of every point, its gradient and its Hessian with the projections' own curvature left out.

        Along the residual a distance beyond the limit has no curvature, across it the curvature of a circle.

        Args:
            found: metres, world frame.
        """
        image = (self.cameras[..., :3] @ found[:, None, :, None])[..., 0] + self.cameras[..., 3]
        depth = torch.where(self.counts & (image[..., 2].abs() > _AT_CAMERA), image[..., 2], 1.0)
        flat = image[..., :2] / depth[..., None]
        residual = torch.where(self.counts[..., None], flat - self.pixels, 0.0)
        distance = residual.norm(dim=-1)
        far = distance > self.limit
        length = torch.where(far, distance, 1.0)
        weight = torch.where(far, self.limit / length, 1.0) * self.counts
        cost = (
            torch.where(far, self.limit * distance - self.limit**2 / 2, distance.square() / 2) * self.counts
        )
        rows = self.cameras[..., :2, :3] - flat[..., None] * self.cameras[..., 2:, :3]
        jacobian = rows / depth[..., None, None]
        direction = torch.where(far[..., None], residual / length[..., None], 0.0)
        weighted = weight[..., None, None] * jacobian
        slope = (residual[..., None, :] @ weighted).sum(dim=-3)[..., 0, :]
        along = direction[..., None, :] @ jacobian
        across = jacobian.mT @ weighted - along.mT @ (weight[..., None, None] * along)
        return cost.sum(dim=-1), slope, across.sum(dim=-3)
