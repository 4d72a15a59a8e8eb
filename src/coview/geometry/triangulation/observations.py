"""Observations of many points by several views, laid out so that a linear solve takes nanoseconds a point.

The linear equations of one view, w (u p₃ - p₁) and w (v p₃ - p₂) (p: rows of its projection), make
normal matrices that are linear in the four numbers w²(u² + v²), w²u, w²v, w². Points that share
cameras therefore get all their normal matrices from one matrix product, `Rig.table` @ `features`.
Everything is centred first (pixels on the principal point, the world on what the cameras look at), so
that float32 keeps a point to about 0.001 mm. The letters of the layout: `sets` of cameras (one if all
points share them), `views`, `points`; coordinates come before the points, each one contiguous.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.geometry.linalg import inverse_3x3, solve_rows, solve_symmetric

NEAR = 1e-3  # metres: a point nearer to the camera's plane than this has no image
_UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3), (3, 3))
_RAYLEIGH_STEPS = 2


@dataclass(frozen=True)
class CentredCameras:
    """Sets of cameras in centred coordinates, with their table of normal matrices."""

    # centred pixels from centred world
    cameras: Float[Tensor, "sets 3 views 4"]
    # principal points, pixels
    centre: Float[Tensor, "sets 2 views"]
    # where the centred world's origin lies in the caller's, metres
    origin: Float[Tensor, "sets 3"]
    # normal matrices from `features`
    table: Float[Tensor, "sets 10 4 views"]

    @staticmethod
    def of(projections: Float[Tensor, "sets views 3 4"]) -> "CentredCameras":
        """Centred cameras of projection matrices in any scale.

        With the last row of P = K [R | t] scaled to a unit normal, its products with the other two are the principal
        point [HZ04 §6.2]; taking it out of rows and pixels alike changes no equation.

        Args:
            projections: pixels-from-world, (sets, views, 3, 4)."""
        projections = projections / projections[..., 2:, :3].norm(dim=-1, keepdim=True)
        centre = (projections[..., :2, :3] * projections[..., 2:, :3]).sum(dim=-1)
        image = projections[..., :2, :] - centre[..., None] * projections[..., 2:, :]
        rows = torch.cat([image, projections[..., 2:, :]], dim=-2)
        origin = _focus(rows.detach())
        moved = (rows[..., :3] * origin[:, None, None, :]).sum(dim=-1) + rows[..., 3]
        cameras = torch.cat([rows[..., :3], moved[..., None]], dim=-1).transpose(1, 2)
        return CentredCameras(cameras, centre.mT, origin, _normal_table(cameras))

    def __getitem__(self, sets: slice) -> "CentredCameras":
        return CentredCameras(self.cameras[sets], self.centre[sets], self.origin[sets], self.table[sets])

    def image(self, points: Float[Tensor, "sets 3 points"]) -> tuple[Tensor, Tensor, Tensor]:
        """Homogeneous image coordinates of points.

        Args:
            points: metres, centred world, (sets, 3, points).

        Returns:
            u × depth, v × depth and depth, each (sets, views, points); centred pixels, metres."""
        homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
        across, down, depth = contract(self.cameras.flatten(1, 2), homogeneous).chunk(3, dim=1)
        return across, down, depth


@dataclass(frozen=True)
class CentredObservations:
    """Observations of points in centred cameras; absent ones are pixel 0 with weight 0, so that no NaN is left."""

    rig: CentredCameras
    # from the principal point; 0 where absent
    pixels: Float[Tensor, "sets 2 views points"]
    squared_weights: Float[Tensor, "sets views points"]

    @staticmethod
    def collect(
        points: Float[Tensor, "frames views joints 2"],
        rig: CentredCameras,
        weights: Float[Tensor, "frames views joints"],
    ) -> "CentredObservations":
        """Observations of frames × joints points (one set of cameras), or of joints points per set, one per frame.

        Args:
            points: undistorted pixels, (frames, views, joints, 2).
            rig: one set of cameras, or one per frame.
            weights: (frames, views, joints); an observation is absent where its weight is not positive or anything is
                not finite."""
        if rig.cameras.shape[0] == 1:
            pixels = points.permute(3, 1, 0, 2).flatten(2)[None]
            weights = weights.transpose(0, 1).flatten(1)[None]
        else:
            pixels = points.permute(0, 3, 1, 2)
        there = (weights > 0) & ((pixels[:, 0] + pixels[:, 1] + weights).abs() < torch.inf)
        # replaced, not multiplied by zero: NaN × 0 is NaN, and so is its gradient
        pixels = torch.where(there[:, None], pixels - rig.centre[..., None], 0.0)
        return CentredObservations(rig, pixels, torch.where(there, weights, 0.0).square())

    def restricted_to(self, which: Bool[Tensor, "sets views points"]) -> "CentredObservations":
        """The same with the other observations' weights set to zero.

        Args:
            which: observations to keep, (sets, views, points)."""
        return replace(self, squared_weights=torch.where(which, self.squared_weights, 0.0))

    def at(self, points: Tensor | slice) -> "CentredObservations":
        """The observations of some points.

        Args:
            points: their indices."""
        return replace(
            self, pixels=self.pixels[..., points], squared_weights=self.squared_weights[..., points]
        )


def _focus(rows: Float[Tensor, "sets views 3 4"]) -> Float[Tensor, "sets 3"]:
    """The point nearest to all optical axes, with a small weight on the mean of the camera centres
    (which decides where the axes are parallel)."""
    inverse = inverse_3x3(rows[..., :3])
    centres = -(inverse * rows[..., None, :, 3]).sum(dim=-1)
    axis = rows[..., 2, :3]
    plane = torch.eye(3).to(axis) - axis[..., None] * axis[..., None, :]
    damping = 0.01 * torch.eye(3).to(axis)
    matrix = plane.mean(dim=1) + damping
    vector = (plane * centres[..., None, :]).sum(dim=-1).mean(dim=1) + 0.01 * centres.mean(dim=1)
    focus = (inverse_3x3(matrix) * vector[:, None, :]).sum(dim=-1)
    return torch.where(focus.isfinite(), focus, 0.0)


def _normal_table(cameras: Float[Tensor, "sets 3 views 4"]) -> Float[Tensor, "sets 10 4 views"]:
    """The table that turns `features` into normal matrices (10 entries: 3×3, right side, corner)."""
    right, down, depth = cameras.unbind(1)
    first, second = [i for i, _ in _UPPER], [j for _, j in _UPPER]
    squares = depth[..., first] * depth[..., second]
    along_u = -(right[..., first] * depth[..., second] + depth[..., first] * right[..., second])
    along_v = -(down[..., first] * depth[..., second] + depth[..., first] * down[..., second])
    constant = right[..., first] * right[..., second] + down[..., first] * down[..., second]
    return torch.stack([squares, along_u, along_v, constant], dim=1).permute(0, 3, 1, 2)


def features(
    u: Float[Tensor, "sets views points"], v: Float[Tensor, "sets views points"], squared_weights: Tensor
) -> Float[Tensor, "sets 4 views points"]:
    """The four numbers of an observation in which its normal matrix is linear.

    Args:
        u: centred pixels, (sets, views, points).
        v: centred pixels, (sets, views, points).
        squared_weights: (sets, views, points).

    Returns:
        w²(u² + v²), w²u, w²v and w², (sets, 4, views, points)."""
    along_u, along_v = squared_weights * u, squared_weights * v
    return torch.stack([torch.addcmul(along_u * u, along_v, v), along_u, along_v, squared_weights], dim=1)


def contract(
    table: Float[Tensor, "*#batch rows columns"], numbers: Float[Tensor, "*#batch columns points"]
) -> Float[Tensor, "*#batch rows points"]:
    """A matrix product in full precision, also under autocast or TF32.

    Args:
        table: (*batch, rows, columns).
        numbers: (*batch, columns, points).

    Returns:
        (*batch, rows, points)."""
    if numbers.is_cuda or torch.is_autocast_enabled(numbers.device.type):
        return (table.double() @ numbers.double()).to(numbers.dtype)
    return table @ numbers


def normal_matrices(seen: CentredObservations) -> Float[Tensor, "sets 10 points"]:
    """Normal matrices of the linear triangulation equations of every point.

    Args:
        seen: observations in centred cameras.

    Returns:
        Upper triangle, right side and corner of each, (sets, 10, points)."""
    u, v = seen.pixels.unbind(1)
    return contract(seen.rig.table.flatten(2), features(u, v, seen.squared_weights).flatten(1, 2))


def nearest_points(normal: Float[Tensor, "*batch 10 points"]) -> tuple[Tensor, Tensor]:
    """Inhomogeneous least-squares points [HZ04 §12.2].

    Args:
        normal: as of `normal_matrices`, (*batch, 10, points).

    Returns:
        Points (*batch, 3, points; metres, centred world) and whether they are determined (*batch, points)."""
    return solve_symmetric(normal[..., :6, :], -normal[..., 6:9, :])


def linear_points(
    normal: Float[Tensor, "sets 10 points"], origin: Float[Tensor, "sets 3"]
) -> tuple[Float[Tensor, "sets 3 points"], Bool[Tensor, "sets points"]]:
    """Homogeneous least-squares points: min |A x|² / |x|² with x = (X, 1) in the caller's world.

    That is what the singular vector of A gives, and what other tools mean by DLT; the inhomogeneous answer lies up to a
    millimetre away. With λ = |A x|² / |x|² the minimum obeys (M - λ I) X = -m, so a Rayleigh quotient and another 3×3
    solve converge quadratically. In a world moved by `origin` the right side is -(m - λ origin).

    Args:
        normal: as of `normal_matrices`, (sets, 10, points).
        origin: of the centred world in the caller's, metres, (sets, 3).

    Returns:
        Points (sets, 3, points; metres, centred world) and whether they are determined (sets, points)."""
    xx, xy, xz, yy, yz, zz, *right, corner = normal.unbind(-2)
    shift = origin.mT[..., None]
    found, determined = solve_rows((xx, xy, xz, yy, yz, zz), [-each for each in right])
    share = torch.zeros_like(corner)
    for _ in range(_RAYLEIGH_STEPS):
        above, below = corner, torch.ones_like(corner)
        for coordinate, to_world, side in zip(found, shift, right, strict=True):
            world = coordinate + to_world
            above = torch.addcmul(above, coordinate, torch.addcmul(side, share, world))
            below = torch.addcmul(below, world, world)
        share = above / below
        rhs = [torch.addcmul(-side, share, to_world) for side, to_world in zip(right, shift, strict=True)]
        solution, fine = solve_rows((xx - share, xy, xz, yy - share, yz, zz - share), rhs)
        found = (
            torch.where(fine, solution[0], found[0]),
            torch.where(fine, solution[1], found[1]),
            torch.where(fine, solution[2], found[2]),
        )
    return torch.stack(found, dim=-2), determined
