"""Reprojection error of many points in centred cameras: how large, how it falls, how sure that leaves us."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.linalg import inverse_symmetric, solve_symmetric
from coview.geometry.triangulation.observations import NEAR, CentredObservations, contract, features

_FULL = (0, 1, 2, 1, 3, 4, 2, 4, 5)  # a symmetric matrix from its upper triangle
_FAR_OFF = 1e4  # pixels: what a sighting of a point behind its camera costs when two fits are compared


class Projected(NamedTuple):
    """Where points appear; each "sets views points". Behind the camera finite and meaningless."""

    u: Tensor  # pixels from the principal point
    v: Tensor
    nearness: Tensor  # 1 / depth, 1 / metres
    in_front: Tensor  # bool

    def squared_errors(self, seen: CentredObservations) -> Float[Tensor, "sets views points"]:
        """Squared distance to the sightings, pixels²."""
        return (self.u - seen.pixels[:, 0]).square() + (self.v - seen.pixels[:, 1]).square()


def project(found: Float[Tensor, "sets 3 points"], seen: CentredObservations) -> Projected:
    across, down, depth = seen.rig.image(found)
    in_front = depth > NEAR
    nearness = torch.where(in_front, depth, 1.0).reciprocal()
    return Projected(across * nearness, down * nearness, nearness, in_front)


def descend(
    found: Float[Tensor, "sets 3 points"], seen: CentredObservations, steps: int
) -> Float[Tensor, "sets 3 points"]:
    """Gauss-Newton on Σ weight² |miss|² [HZ04 §A6.1]; a point whose cost did not fall stays.

    Not `levenberg_marquardt`, which has one cost and one damping and stops by them: these are millions of independent
    problems of three unknowns, in step with each other. From the linear point two undamped steps reach rounding, and a
    fixed number of them is differentiable and can be exported."""
    start, first = found, project(found, seen)
    image = first
    for _ in range(steps):
        found = found - _step(image, seen)
        image = project(found, seen)
    better = _cost(image, seen) <= _cost(first, seen)
    return torch.where(better[:, None], found, start)


def _step(image: Projected, seen: CentredObservations) -> Float[Tensor, "sets 3 points"]:
    """(Jᵀ W J)⁻¹ Jᵀ W miss, zero where that is not determined."""
    u, v, nearness, in_front = image
    scale = torch.where(in_front, seen.squared_weights, 0.0) * nearness
    curvature = _curvature(u, v, scale * nearness, seen)
    across, down = scale * (u - seen.pixels[:, 0]), scale * (v - seen.pixels[:, 1])
    slopes = torch.cat([across, down, -(u * across + v * down)], dim=1)
    slope = contract(seen.rig.cameras[..., :3].flatten(1, 2).mT, slopes)
    step, determined = solve_symmetric(curvature, slope)
    return torch.where(determined[:, None], step, 0.0)


def _curvature(
    u: Tensor, v: Tensor, squared_weights: Tensor, seen: CentredObservations
) -> Float[Tensor, "sets 6 points"]:
    """Σ weight² a aᵀ over the rows a = u p₃ - p₁ and v p₃ - p₂ of the views, upper triangles."""
    return contract(seen.rig.table[:, :6].flatten(2), features(u, v, squared_weights).flatten(1, 2))


def _cost(image: Projected, seen: CentredObservations) -> Tensor:
    with torch.no_grad():
        squared = torch.where(image.in_front, image.squared_errors(seen), _FAR_OFF**2)
        return (seen.squared_weights * squared).sum(dim=1)


def point_covariance(
    image: Projected, seen: CentredObservations, sigma: float, weighs_pixels: bool
) -> Float[Tensor, "sets 3 3 points"]:
    """Covariance (m²) of points fitted to sightings with noise of sigma / weight pixels.

    Of the least reprojection error: C = sigma² (Jᵀ W J)⁻¹, W the squared weights [HZ04 §5.2.1]. The
    linear fit weighs far views more than it should (its residuals are pixels × depth, so J₁ = depth J);
    its covariance is the larger (J₁ᵀ W J₁)⁻¹ (J₁ᵀ W D² J₁) (J₁ᵀ W J₁)⁻¹ sigma². NaN where the sightings do
    not determine the point."""
    u, v, nearness, in_front = image
    squared_weights = torch.where(in_front, seen.squared_weights, 0.0)
    scaled = squared_weights * nearness.square() if weighs_pixels else squared_weights
    inverse, determined = inverse_symmetric(_curvature(u, v, scaled, seen))
    covariance = inverse[:, _FULL].unflatten(1, (3, 3))
    if not weighs_pixels:
        noise = _curvature(u, v, squared_weights / nearness.square(), seen)[:, _FULL].unflatten(1, (3, 3))
        covariance = _product(_product(covariance, noise), covariance)
    return torch.where(determined[:, None, None], sigma**2 * covariance, torch.nan)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """Matrix product over axes 1 and 2."""
    return (a[:, :, :, None] * b[:, None]).sum(dim=2)
