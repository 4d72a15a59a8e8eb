"""Reprojection error of many points in centred cameras: how large, how it falls, how sure that leaves us."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.geometry.linalg import inverse_symmetric, solve_symmetric
from coview.geometry.sightings import NEAR, Sightings, contract, features

_FULL = (0, 1, 2, 1, 3, 4, 2, 4, 5)  # a symmetric matrix from its upper triangle
_FAR_OFF = 1e4  # pixels: what a sighting of a point behind its camera costs when two fits are compared


def project(
    found: Float[Tensor, "sets 3 points"], seen: Sightings
) -> tuple[Tensor, Tensor, Tensor, Bool[Tensor, "sets views points"]]:
    """u, v (pixels from the principal point), 1 / depth, and whether in front; each "sets views points".

    Behind the camera the numbers are finite and meaningless."""
    across, down, depth = (contract(seen.rig.turn, found) + seen.rig.shift).chunk(3, dim=1)
    front = depth > NEAR
    nearness = torch.where(front, depth, 1.0).reciprocal()
    return across * nearness, down * nearness, nearness, front


def squared_misses(
    found: Float[Tensor, "sets 3 points"], seen: Sightings
) -> tuple[Float[Tensor, "sets views points"], Bool[Tensor, "sets views points"]]:
    """Squared distance in pixels between sightings and projections, and whether in front."""
    u, v, _, front = project(found, seen)
    return (u - seen.pixels[:, 0]).square() + (v - seen.pixels[:, 1]).square(), front


def descend(
    found: Float[Tensor, "sets 3 points"], seen: Sightings, steps: int
) -> Float[Tensor, "sets 3 points"]:
    """Gauss-Newton on Σ weight² |miss|² [HZ04 §A6.1]; a point whose cost did not fall stays."""
    table, turn = seen.rig.table[:, :6].flatten(2), seen.rig.turn.mT
    start = found
    for _ in range(steps):
        u, v, nearness, front = project(found, seen)
        pull = torch.where(front, seen.trust, 0.0) * nearness
        curvature = contract(table, features(u, v, pull * nearness).flatten(1, 2))
        across, down = pull * (u - seen.pixels[:, 0]), pull * (v - seen.pixels[:, 1])
        slope = contract(turn, torch.cat([across, down, -(u * across + v * down)], dim=1))
        step, determined = solve_symmetric(curvature, slope)
        found = found - torch.where(determined[:, None], step, 0.0)
    better = _cost(found, seen) <= _cost(start, seen)
    return torch.where(better[:, None], found, start)


def _cost(found: Tensor, seen: Sightings) -> Tensor:
    with torch.no_grad():
        squared, front = squared_misses(found, seen)
        return (seen.trust * torch.where(front, squared, _FAR_OFF**2)).sum(dim=1)


def spread(
    found: Float[Tensor, "sets 3 points"], seen: Sightings, sigma: float, weighs_pixels: bool
) -> Float[Tensor, "sets 3 3 points"]:
    """Covariance (m²) of points fitted to sightings with noise of sigma / weight pixels.

    Of the least reprojection error: C = sigma² (Jᵀ W J)⁻¹, W the squared weights [HZ04 §5.2.1]. The
    linear fit weighs far views more than it should (its residuals are pixels × depth, so J₁ = depth J);
    its covariance is the larger (J₁ᵀ W J₁)⁻¹ (J₁ᵀ W D² J₁) (J₁ᵀ W J₁)⁻¹ sigma². NaN where the sightings do
    not determine the point."""
    u, v, nearness, front = project(found, seen)
    trust = torch.where(front, seen.trust, 0.0)
    table = seen.rig.table[:, :6].flatten(2)
    scaled = trust * nearness.square() if weighs_pixels else trust
    inverse, determined = inverse_symmetric(contract(table, features(u, v, scaled).flatten(1, 2)))
    covariance = inverse[:, _FULL].unflatten(1, (3, 3))
    if not weighs_pixels:
        depth = nearness.reciprocal()
        noise = contract(table, features(u, v, trust * depth.square()).flatten(1, 2))
        covariance = _product(_product(covariance, noise[:, _FULL].unflatten(1, (3, 3))), covariance)
    return torch.where(determined[:, None, None], sigma**2 * covariance, torch.nan)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product over axes 1 and 2."""
    return (a[:, :, :, None] * b[:, None]).sum(dim=2)
