"""Cubes of voxels around a person: positions of the voxels, and joints from volumes of scores. [Iskakov19]

Axes of a volume are the world's x, y and z, in this order, before the cube is rotated.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError


def cuboid(
    centre: Float[Tensor, "*batch 3"],
    side: float,
    cells: int,
    angle: Float[Tensor, "*batch"] | None = None,
    axis: Literal["y", "z"] = "z",
) -> Float[Tensor, "*batch cells cells cells 3"]:
    """World points of a cube of voxels; the outermost lie on its faces, so the pitch is side / (cells − 1).

    Args:
        centre: Centre of the cube, world frame.
        side: In the unit of `centre`.
        cells: Voxels along each side.
        angle: Right-handed rotation about the vertical through the centre, radians; 90° about z brings x̂ to ŷ.
        axis: The vertical axis.

    Returns:
        Points in the unit of `centre`.

    Raises:
        InputError: `side` is not positive, `cells` below 2, or `axis` neither of the two.
    """
    if not side > 0 or cells < 2:
        raise InputError(
            f"cuboid: needs side > 0 and 2 or more cells along it, got side={side}, cells={cells}."
        )
    if axis not in ("y", "z"):
        raise InputError(f"cuboid: the vertical axis is 'y' or 'z', got {axis!r}.")
    along = torch.linspace(-side / 2, side / 2, cells, dtype=centre.dtype, device=centre.device)
    steps = torch.stack(torch.meshgrid(along, along, along, indexing="ij"), dim=-1)
    if angle is not None:
        steps = _rotated(steps, angle[..., None, None, None], axis)
    return centre[..., None, None, None, :] + steps


def soft_argmax3d(
    volume: Float[Tensor, "*batch joints n_x n_y n_z"],
    points: Float[Tensor, "*batch n_x n_y n_z 3"],
    multiplier: float = 1.0,
) -> tuple[Float[Tensor, "*batch joints 3"], Float[Tensor, "*batch joints n_x n_y n_z"]]:
    """Expected position of each joint under the softmax of its volume, and that distribution.

    Args:
        volume: Scores per voxel.
        points: Positions of the voxels, as `cuboid` gives them.
        multiplier: Factor before the softmax.

    Returns:
        Positions in the unit and frame of `points`; and probabilities. Float32 at least, also in an autocast region.
    """
    kind = torch.promote_types(volume.dtype, points.dtype)
    kind = torch.promote_types(kind, torch.float32)
    with torch.autocast(volume.device.type, enabled=False):
        scores = volume.to(kind) if multiplier == 1 else multiplier * volume.to(kind)
        shares = scores.flatten(-3).softmax(dim=-1)
        flat = points.to(kind).flatten(-4, -2)
        # far from the world's origin, the rounding of the shares would move the joint
        centre = flat.detach().mean(dim=-2, keepdim=True)
        return shares @ (flat - centre) + centre, shares.view(volume.shape)


def nearest_cell(
    points: Float[Tensor, "*batch n_x n_y n_z 3"], joints3d: Float[Tensor, "*batch joints 3"]
) -> Int[Tensor, "*batch joints"]:
    """Index of the voxel nearest to each joint.

    Closed form: the joint's coordinates along the cube's edges are rounded.

    Args:
        points: Positions of the voxels, as `cuboid` gives them.
        joints3d: The same unit and frame.

    Returns:
        Index into the flattened volume; for a joint outside the nearest voxel of the surface. A joint that is not
        known (NaN) gets voxel 0: give it weight 0.
    """
    sizes = points.shape[-4:-1]
    corner = points[..., 0, 0, 0, :]
    ends = points[..., -1, 0, 0, :], points[..., 0, -1, 0, :], points[..., 0, 0, -1, :]
    edges = torch.stack(ends, dim=-2) - corner[..., None, :]
    away = (joints3d - corner[..., None, :]).nan_to_num(nan=0.0)
    along = (away[..., None, :] * (edges / edges.square().sum(dim=-1, keepdim=True))[..., None, :, :]).sum(
        dim=-1
    )
    last = torch.tensor([size - 1 for size in sizes], device=points.device)
    index = (along * last).round().long().clamp_min(0).minimum(last)
    valid = joints3d.isfinite().all(dim=-1)
    flat = (index[..., 0] * sizes[1] + index[..., 1]) * sizes[2] + index[..., 2]
    return torch.where(valid, flat, 0)


def _rotated(steps: Tensor, angle: Tensor, axis: str) -> Tensor:
    x, y, z = steps.unbind(dim=-1)
    cosine, sine = angle.cos(), angle.sin()
    if axis == "z":
        x, y = cosine * x - sine * y, sine * x + cosine * y
        return torch.stack([x, y, z.expand_as(x)], dim=-1)
    z, x = cosine * z - sine * x, sine * z + cosine * x
    return torch.stack([x, y.expand_as(x), z], dim=-1)
