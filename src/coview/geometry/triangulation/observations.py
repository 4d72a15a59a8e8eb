"""What several views saw of many points, laid out so that a point costs nanoseconds.

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
    """Sets of cameras in the centred world."""

    cameras: Float[Tensor, "sets 3 views 4"]  # centred pixels from centred world
    centre: Float[Tensor, "sets 2 views"]  # principal points, pixels
    origin: Float[Tensor, "sets 3"]  # where the centred world's origin lies in the caller's, metres
    table: Float[Tensor, "sets 10 4 views"]  # normal matrices from `features`

    @staticmethod
    def of(projections: Float[Tensor, "sets views 3 4"]) -> "CentredCameras":
        """For P = K [R | t] in any scale: with its last row scaled to a unit normal, the products with
        the other two are the principal point [HZ04 §6.2]; taking it out of rows and pixels alike
        changes no equation."""
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
        """u × depth, v × depth and depth ("sets views points"; centred pixels, metres) of points in the
        centred world."""
        homogeneous = torch.cat([points, torch.ones_like(points[:, :1])], dim=1)
        across, down, depth = contract(self.cameras.flatten(1, 2), homogeneous).chunk(3, dim=1)
        return across, down, depth


@dataclass(frozen=True)
class CentredObservations:
    """Points as cameras saw them; absent ones are pixel 0 with weight 0, so that no NaN is left."""

    rig: CentredCameras
    pixels: Float[Tensor, "sets 2 views points"]  # from the principal point
    squared_weights: Float[Tensor, "sets views points"]  # squared weight

    @staticmethod
    def collect(
        points: Float[Tensor, "frames views joints 2"],
        rig: CentredCameras,
        weights: Float[Tensor, "frames views joints"],
    ) -> "CentredObservations":
        """Of frames × joints points (one set of cameras), or of joints points per set, one per frame.

        A sighting is absent where its weight is not positive or anything is not finite."""
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
        """The same with the other observations' weights set to zero."""
        return replace(self, squared_weights=torch.where(which, self.squared_weights, 0.0))

    def at(self, points: Tensor | slice) -> "CentredObservations":
        """Only the points with these indices."""
        return replace(
            self, pixels=self.pixels[..., points], squared_weights=self.squared_weights[..., points]
        )


def _focus(rows: Float[Tensor, "sets views 3 4"]) -> Float[Tensor, "sets 3"]:
    """The point nearest to all optical axes, drawn a little to the mean of the camera centres
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
    """The four numbers of a sighting in which its normal matrix is linear."""
    along_u, along_v = squared_weights * u, squared_weights * v
    return torch.stack([torch.addcmul(along_u * u, along_v, v), along_u, along_v, squared_weights], dim=1)


def contract(
    table: Float[Tensor, "*#batch rows columns"], numbers: Float[Tensor, "*#batch columns points"]
) -> Float[Tensor, "*#batch rows points"]:
    """A matrix product in full precision, whatever autocast or TF32 would make of it."""
    if numbers.is_cuda or torch.is_autocast_enabled(numbers.device.type):
        return (table.double() @ numbers.double()).to(numbers.dtype)
    return table @ numbers


def normal_matrices(seen: CentredObservations) -> Float[Tensor, "sets 10 points"]:
    """Normal matrix of the linear equations of every point (upper triangle, right side, corner)."""
    u, v = seen.pixels.unbind(1)
    return contract(seen.rig.table.flatten(2), features(u, v, seen.squared_weights).flatten(1, 2))


def nearest_points(normal: Float[Tensor, "*batch 10 points"]) -> tuple[Tensor, Tensor]:
    """Inhomogeneous least squares: points ("*batch 3 points", centred world) and whether determined."""
    return solve_symmetric(normal[..., :6, :], -normal[..., 6:9, :])


def linear_points(
    normal: Float[Tensor, "sets 10 points"], origin: Float[Tensor, "sets 3"]
) -> tuple[Float[Tensor, "sets 3 points"], Bool[Tensor, "sets points"]]:
    """Homogeneous least squares, min |A x|² / |x|² with x = (X, 1) in the caller's world.

    That is what the singular vector of A gives, and what other tools mean by DLT; the inhomogeneous
    answer lies up to a millimetre away. With λ = |A x|² / |x|² the minimum obeys
    (M - λ I) X = -m, so a Rayleigh quotient and another 3×3 solve converge quadratically. In a
    world moved by `origin` the right side is -(m - λ origin)."""
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
