"""Lens distortion: where a lens puts a point of the undistorted image plane, with the analytic Jacobian.

Two models, as in OpenCV: Brown-Conrady with rational radial terms [Brown66], coefficients k1 k2 p1 p2 k3 k4 k5 k6, and
the equidistant fisheye [KB06], coefficients k1 k2 k3 k4. Points lie on the plane at depth one (x/z, y/z; no unit).

Everything here takes x and y apart, in any layout of points: `Cameras` keeps coordinates last, bundle adjustment
keeps them first so that its rows are contiguous.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

COEFFICIENTS = 8

_ON_AXIS = 1e-12  # squared radius under which the fisheye's radial factor is its series


class Distorted(NamedTuple):
    """Distorted points, and how they move with the undistorted ones. The Jacobian of both models is symmetric."""

    x: Float[Tensor, "*batch points"]
    y: Float[Tensor, "*batch points"]
    x_by_x: Float[Tensor, "*batch points"]
    x_by_y: Float[Tensor, "*batch points"]  # equals y_by_x
    y_by_y: Float[Tensor, "*batch points"]


def is_distorted(coefficients: Float[Tensor, "*batch 8"], fisheye: Bool[Tensor, "*batch"]) -> bool:
    """Whether any camera has distortion."""
    return bool((coefficients != 0).any() | fisheye.any())


def distort(
    x: Float[Tensor, "*#batch points"],
    y: Float[Tensor, "*#batch points"],
    coefficients: Float[Tensor, "*#batch 8"],
    fisheye: Bool[Tensor, "*#batch"],
) -> tuple[Float[Tensor, "*out points"], Float[Tensor, "*out points"]]:
    """Distorted coordinates of undistorted points, both on the plane at depth one.

    Args:
        x, y: undistorted coordinates; their batch broadcasts with the cameras'.
        coefficients: of each lens, in OpenCV's order, padded with zeros.
        fisheye: which cameras are equidistant fisheyes; the others are Brown-Conrady.

    Returns:
        x and y where the lens puts them. Beyond the radius where the radial polynomial turns back the answer is
        what the polynomial says, which no lens does."""
    r2 = x * x + y * y
    radial, p1, p2 = _parameters(r2, coefficients, fisheye)
    return _displaced(x, y, r2, radial, p1, p2)


def distort_with_jacobian(
    x: Float[Tensor, "*#batch points"],
    y: Float[Tensor, "*#batch points"],
    coefficients: Float[Tensor, "*#batch 8"],
    fisheye: Bool[Tensor, "*#batch"],
) -> Distorted:
    """What `distort` returns, and its analytic derivatives by x and y. Args: as of `distort`."""
    r2 = x * x + y * y
    radial, p1, p2 = _parameters(r2, coefficients, fisheye)
    slope = _radial_slope(r2, radial, coefficients, fisheye)
    return Distorted(
        *_displaced(x, y, r2, radial, p1, p2),
        x_by_x=radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x,
        x_by_y=2 * x * y * slope + 2 * p1 * x + 2 * p2 * y,
        y_by_y=radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x,
    )


def radial_by_k1(
    r2: Float[Tensor, "*#batch points"],
    coefficients: Float[Tensor, "*#batch 8"],
    fisheye: Bool[Tensor, "*#batch"],
) -> Float[Tensor, "*out points"]:
    """The derivative of the radial factor (distorted over undistorted radius) by k1, at squared radii `r2`."""
    k4, k5, k6 = coefficients[..., None, 5:].unbind(-1)
    brown = r2 / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))
    radius = r2.clamp(min=_ON_AXIS).sqrt()
    return torch.where(fisheye[..., None], radius.atan() ** 3 / radius, brown)


def undistort(
    x: Float[Tensor, "*#batch points"],
    y: Float[Tensor, "*#batch points"],
    coefficients: Float[Tensor, "*#batch 8"],
    fisheye: Bool[Tensor, "*#batch"],
    steps: int = 20,
) -> tuple[Float[Tensor, "*out points"], Float[Tensor, "*out points"]]:
    """Undistorted coordinates of distorted points, by Newton's method from the distorted ones.

    Args:
        x, y, coefficients, fisheye: as of `distort`, but x and y distorted.
        steps: at most; it ends earlier once every point is exact to rounding.

    Returns:
        x and y whose distortion is the input. The inverse has no closed form, and for points that the model does not
        reach there is none: distort the answer again to see the residual."""
    limit = 4 * torch.finfo(x.dtype).eps
    at_x, at_y = x, y
    for _ in range(steps):
        there = distort_with_jacobian(at_x, at_y, coefficients, fisheye)
        miss_x, miss_y = x - there.x, y - there.y
        if not bool(((miss_x.abs() > limit) | (miss_y.abs() > limit)).any()):
            break
        determinant = there.x_by_x * there.y_by_y - there.x_by_y * there.x_by_y
        # singular where the model folds the image over: no step is right there
        determinant = torch.where(determinant.abs() < 1e-6, 1.0, determinant)
        at_x = at_x + (there.y_by_y * miss_x - there.x_by_y * miss_y) / determinant
        at_y = at_y + (there.x_by_x * miss_y - there.x_by_y * miss_x) / determinant
    return at_x, at_y


# --- inside ------------------------------------------------------------------------------------------


def _parameters(r2: Tensor, coefficients: Tensor, fisheye: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The radial factor, and p1 and p2, which a fisheye does not have."""
    p1, p2 = coefficients[..., None, 2:4].unbind(-1)
    if not bool(fisheye.any()):
        return _brown_radial(r2, coefficients), p1, p2
    equidistant = fisheye[..., None]
    radial = torch.where(equidistant, _fisheye_radial(r2, coefficients), _brown_radial(r2, coefficients))
    return radial, torch.where(equidistant, 0.0, p1), torch.where(equidistant, 0.0, p2)


def _displaced(
    x: Tensor, y: Tensor, r2: Tensor, radial: Tensor, p1: Tensor, p2: Tensor
) -> tuple[Tensor, Tensor]:
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def _radial_slope(r2: Tensor, radial: Tensor, coefficients: Tensor, fisheye: Tensor) -> Tensor:
    """The derivative of the radial factor by the squared radius."""
    brown = _brown_slope(r2, radial, coefficients)
    if not bool(fisheye.any()):
        return brown
    return torch.where(fisheye[..., None], _fisheye_slope(r2, radial, coefficients), brown)


def _brown_radial(r2: Tensor, coefficients: Tensor) -> Tensor:
    k1, k2, _, _, k3, k4, k5, k6 = coefficients[..., None, :].unbind(-1)
    return (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))


def _brown_slope(r2: Tensor, radial: Tensor, coefficients: Tensor) -> Tensor:
    k1, k2, _, _, k3, k4, k5, k6 = coefficients[..., None, :].unbind(-1)
    below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    slope_above = k1 + r2 * (2 * k2 + 3 * r2 * k3)
    slope_below = k4 + r2 * (2 * k5 + 3 * r2 * k6)
    return (slope_above - radial * slope_below) / below


def _angle(r2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Radius and angle from the axis; on the axis, where the third is true, those of another point."""
    near = r2 < _ON_AXIS
    radius = torch.where(near, 1.0, r2).sqrt()
    return radius, radius.atan(), near


def _fisheye_radial(r2: Tensor, coefficients: Tensor) -> Tensor:
    """θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸) / r."""
    k1, k2, k3, k4 = coefficients[..., None, :4].unbind(-1)
    radius, theta, near = _angle(r2)
    t2 = theta * theta
    radial = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))) / radius
    return torch.where(near, 1.0, radial)


def _fisheye_slope(r2: Tensor, radial: Tensor, coefficients: Tensor) -> Tensor:
    k1, k2, k3, k4 = coefficients[..., None, :4].unbind(-1)
    radius, theta, near = _angle(r2)
    t2 = theta * theta
    by_theta = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    slope = (by_theta / (1 + radius * radius) - radial) / (2 * radius * radius)
    return torch.where(near, k1 - 1 / 3, slope)
