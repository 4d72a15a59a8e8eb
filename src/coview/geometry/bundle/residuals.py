"""Reprojection residuals of a scene, and their analytic Jacobian by every camera and point.

The inner half of bundle adjustment. Coordinates come first and points last, so that every
step is one pass over long contiguous rows.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.distortion import distort_with_jacobian, radial_by_k1

Focal = Literal["given", "shared", "each"]
Distortion = Focal
Clock = Literal["given", "offset", "drift"]

NEAREST = 1e-6  # metres: a point nearer to the camera's plane, or behind it, has no pixel


@dataclass(frozen=True)
class Unknowns:
    """What an adjustment finds besides poses and points.

    Column names, also keys of stored results: "focal", "k1", "offset", "drift"."""

    # one factor of fx and fy for "each" camera, or one "shared" by all
    focal: Focal = "given"
    # "offset": the time offset of each camera to the first one (s); "drift": also its rate of change (s/s)
    clock: Clock = "given"
    # what is added to k1, for "each" camera or "shared" by all
    distortion: Distortion = "given"

    @property
    def columns(self) -> tuple[str, ...]:
        """Of a camera's rows, beyond the six of its pose."""
        clock = {"given": (), "offset": ("offset",), "drift": ("offset", "drift")}[self.clock]
        lens = [name for name, choice in self.intrinsics_modes.items() if choice != "given"]
        return (*lens, *clock)

    @property
    def intrinsics_modes(self) -> dict[str, Focal]:
        """What each column of a lens is."""
        return {"focal": self.focal, "k1": self.distortion}

    def place(self, name: str) -> int | None:
        """The column of an unknown; None where it is given."""
        return 6 + self.columns.index(name) if name in self.columns else None


POSES = Unknowns()


@dataclass(frozen=True)
class BundleScene:
    """What bundle adjustment changes: the cameras (pose, perhaps focal length and clock) and the points."""

    cameras: Cameras  # batch: views
    points: Float[Tensor, "3 points"]  # metres, world frame
    # against the clock that the observations were read with: seconds, and seconds per second
    clock: Float[Tensor, "views 2"] | None = None


@dataclass(frozen=True)
class Observations:
    """What was seen; nothing here changes during adjustment."""

    pixels: Float[Tensor, "views 2 points"]  # raw (distorted) pixels; finite also where not observed
    weights: Float[Tensor, "views points"]  # multiply the residual; 0 where not observed
    velocity: Float[Tensor, "views 2 points"] | None = None  # pixels per second, where clocks are unknown
    moment: Float[Tensor, "points"] | None = None  # seconds from the middle of the recording


@dataclass(frozen=True)
class RobustLoss:
    """Half squares near zero, growing slower beyond `threshold`: linearly [Huber81], or for
    `redescending` like a logarithm (Cauchy). No threshold: plain least squares."""

    threshold: float | None  # pixels of an observation with weight 1
    redescending: bool = False

    def cost(self, length: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """The loss of weighted residuals of this length (pixels), in square pixels."""
        if self.threshold is None:
            return 0.5 * length.square()
        if self.redescending:
            return 0.5 * self.threshold**2 * (length / self.threshold).square().log1p()
        inside = length.clamp(max=self.threshold)
        return inside * (length - 0.5 * inside)

    def weight(self, length: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """The factor ρ'(length)/length that makes weighted least squares descend on this loss."""
        if self.threshold is None:
            return torch.ones_like(length)
        if self.redescending:
            return 1 / (1 + (length / self.threshold).square())
        return self.threshold / length.clamp(min=self.threshold)

    def curvature(self, length: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        """Mean second derivative over the two directions of the residual (1 for least squares)."""
        weight = self.weight(length)
        if self.threshold is None:
            return weight
        return weight.square() if self.redescending else torch.where(weight < 1, weight / 2, weight)


@dataclass(frozen=True)
class Linearised:
    """Residuals and their derivatives at one scene, already multiplied by weight and robust factor.

    `cameras` columns: rotation vector (left-multiplied, camera frame, rad), translation (m), and
    where unknown the logarithm of the focal length, k1, the clock's offset (s) and drift (s/s)."""

    residuals: Float[Tensor, "views 2 points"]  # pixels, projected − observed, without any weight
    in_front: Float[Tensor, "views points"]  # 1 where the point is in front of the camera, else 0
    weighted_residuals: Float[Tensor, "views 2 points"]  # weighted
    camera_rows: Float[Tensor, "views parameters 2 points"]
    point_rows: Float[Tensor, "views 3 2 points"]
    cost: float  # square pixels


def linearise(
    scene: BundleScene, seen: Observations, loss: RobustLoss, unknowns: Unknowns = POSES
) -> Linearised:
    """Residuals in raw pixels and analytic derivatives, through the lens model of the cameras.

    Raw rather than undistorted pixels, because the noise lives in the raw image (undistorting
    a fisheye image stretches it several times at the rim) and because undistorting needs the focal
    length, which may be one of the unknowns.
    An observation whose point is behind its camera has no residual: it costs as much as
    a residual of the image's diagonal, and has no gradient.
    A camera that is later by δ seconds saw at its own time t - δ what the others saw at t: to first order its
    pixel less δ times the pixel's velocity."""
    cameras = scene.cameras
    turned = cameras.rotation @ scene.points
    x, y, depth = (turned + cameras.translation[..., None]).unbind(1)
    in_front = depth > NEAREST
    inverse = torch.where(in_front, depth, 1.0).reciprocal()
    flat = torch.stack([x * inverse, y * inverse], dim=1)
    distorted, slopes = _lens(flat, cameras)
    focal = cameras.intrinsics[:, :2, :2]
    centred = focal @ distorted
    residuals = centred + cameras.principal_point[..., None] - seen.pixels
    if scene.clock is not None:
        residuals = residuals + _clock_shift(scene.clock, seen)
    diagonal = cameras.size.norm(dim=-1)[:, None]
    length = seen.weights * torch.where(in_front, residuals.square().sum(dim=1).sqrt(), diagonal)
    factor = seen.weights * loss.weight(length).sqrt() * in_front
    local = _local_rows(flat, focal, slopes, factor * inverse)
    return Linearised(
        residuals=residuals,
        in_front=in_front.to(residuals.dtype),
        weighted_residuals=residuals * factor[:, None],
        camera_rows=_camera_rows(local, turned, _extra_rows(unknowns, flat, centred, cameras, seen, factor)),
        point_rows=(cameras.rotation.mT @ local.flatten(2)).view_as(local),
        cost=float(loss.cost(length).sum()),
    )


def _local_rows(flat: Tensor, focal: Tensor, slopes: Tensor | None, factor: Tensor) -> Tensor:
    """Derivatives by the point in the camera's frame (views 3 2 points), times `factor`/depth."""
    rows = flat.new_empty(len(flat), 3, 2, flat.shape[-1])
    if slopes is None:
        torch.mul(focal.mT[..., None], factor[:, None, None], out=rows[:, :2])
    else:
        stretched = (focal @ slopes.flatten(2)).view_as(slopes)  # views pixel xy points
        torch.mul(stretched.transpose(1, 2), factor[:, None, None], out=rows[:, :2])
    # moving along the ray changes nothing: the third derivative is minus x times the first, y the second
    torch.mul(rows[:, 0], flat[:, :1], out=rows[:, 2])
    rows[:, 2].addcmul_(rows[:, 1], flat[:, 1:]).neg_()
    return rows


def _clock_shift(clock: Float[Tensor, "views 2"], seen: Observations) -> Tensor:
    """Displacement in pixels due to the cameras' time offsets, to first order."""
    assert seen.velocity is not None
    assert seen.moment is not None
    time_offset = clock[:, :1] + clock[:, 1:] * seen.moment
    return time_offset[:, None] * seen.velocity


def _extra_rows(
    unknowns: Unknowns, flat: Tensor, centred: Tensor, cameras: Cameras, seen: Observations, factor: Tensor
) -> list[Tensor]:
    """Derivatives by what is unknown besides the pose, in the order of `Unknowns.columns`."""
    rows = []
    for name in unknowns.columns:
        if name == "focal":
            rows.append(centred * factor[:, None])
            continue
        if name == "k1":
            by_k1 = radial_by_k1(flat.square().sum(dim=1), cameras.distortion, cameras.fisheye)
            rows.append(cameras.intrinsics[:, :2, :2] @ (flat * (by_k1 * factor)[:, None]))
            continue
        assert seen.velocity is not None
        assert seen.moment is not None
        by_offset = seen.velocity * factor[:, None]
        rows.append(by_offset if name == "offset" else by_offset * seen.moment)
    return rows


def _camera_rows(local: Tensor, turned: Tensor, extra: list[Tensor]) -> Tensor:
    """d(exp(ω) R X + t) = ω × RX + dt, hence the rotation's columns are RX × the local ones."""
    views, _, _, points = local.shape
    rows = local.new_empty(views, 6 + len(extra), 2, points)
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        torch.mul(turned[:, one, None], local[:, two], out=rows[:, axis])
        rows[:, axis].addcmul_(turned[:, two, None], local[:, one], value=-1)
    rows[:, 3:6] = local
    for column, values in enumerate(extra, 6):
        rows[:, column] = values
    return rows


def _lens(flat: Tensor, cameras: Cameras) -> tuple[Tensor, Tensor | None]:
    """Where the lens puts `flat` (views 2 points), and the derivative (views bent flat points);
    None for cameras without distortion."""
    if not cameras.is_distorted:
        return flat, None
    distorted = distort_with_jacobian(flat[:, 0], flat[:, 1], cameras.distortion, cameras.fisheye)
    slopes = torch.stack(
        [distorted.x_by_x, distorted.x_by_y, distorted.x_by_y, distorted.y_by_y], dim=1
    ).unflatten(1, (2, 2))
    return torch.stack([distorted.x, distorted.y], dim=1), slopes
