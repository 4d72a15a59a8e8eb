"""Boxes and capsules between a camera and a person, or behind the person; each is visible to one camera only."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras

# range of distances, as a share of that from the camera to the root joint
_NEAREST, _FARTHEST = 0.3, 0.68


@dataclass(frozen=True)
class Occluders:
    """One candidate per image; metres, world. The radius of a capsule is its first half size."""

    centre: Float[Tensor, "pictures 3"]
    # rows: side, front, axis
    axes: Float[Tensor, "pictures 3 3"]
    # half sizes along these axes
    half: Float[Tensor, "pictures 3"]
    is_box: Bool[Tensor, "pictures"]


def propose(
    cameras: Cameras,
    joints3d: Float[Tensor, "pictures joints 3"],
    root: int,
    generator: torch.Generator,
    size: float = 1.0,
) -> Occluders:
    """A random object in front of a random joint of each image; with `size` 1 it hides a sixth of the joints.

    Args:
        cameras: of the images.
        joints3d: of the person in each image, metres.
        root: index of the root joint.
        generator: of the random values.
        size: factor."""
    count, joints = joints3d.shape[:2]
    picked = torch.randint(joints, (count,), generator=generator)
    drawn = torch.rand(count, 6, generator=generator)
    centres = cameras.centres
    target = joints3d[torch.arange(count), picked]
    depth = (joints3d[:, root] - centres).norm(dim=-1)
    reach = _NEAREST + (_FARTHEST - _NEAREST) * drawn[:, 0]
    ray = torch.nn.functional.normalize(target - centres, dim=-1)
    person = (joints3d.amax(dim=1) - joints3d.amin(dim=1)).amax(dim=-1)
    # of something as large as the person, in the picture
    scale = size * (person * reach)[:, None]
    half = scale * torch.stack(
        [0.04 + 0.11 * drawn[:, 1], 0.02 + 0.05 * drawn[:, 2], 0.08 + 0.3 * drawn[:, 3]], -1
    )
    is_box = drawn[:, 4] < 0.6
    half = torch.where(is_box[:, None], half, half * torch.tensor([0.6, 0.6, 1.0]))
    axes = _facing(ray, math.pi * drawn[:, 5], generator)
    return Occluders(centres + (reach * depth)[:, None] * ray, axes, half, is_box)


def behind(cameras: Cameras, root: Float[Tensor, "pictures 3"], generator: torch.Generator) -> Occluders:
    """A random object per image, 2 to 6 m behind the person.

    Args:
        cameras: of the images.
        root: of the person in each image, metres.
        generator: of the random values."""
    count = len(root)
    drawn = torch.rand(count, 6, generator=generator)
    away = root - cameras.centres
    far = away.norm(dim=-1) + 2 + 4 * drawn[:, 0]
    aside = 0.5 * torch.randn(count, 3, generator=generator) * torch.tensor([1.0, 1.0, 0.7])
    ray = torch.nn.functional.normalize(away, dim=-1)
    half = torch.stack([0.1 + 0.5 * drawn[:, 1], 0.1 + 0.3 * drawn[:, 2], 0.3 + 0.9 * drawn[:, 3]], dim=-1)
    axes = _facing(ray, math.pi * drawn[:, 5], generator)
    return Occluders(cameras.centres + far[:, None] * ray + aside, axes, half, drawn[:, 4] < 0.6)


def hidden_by(
    things: Occluders, cameras: Cameras, joints3d: Float[Tensor, "pictures joints 3"]
) -> Bool[Tensor, "pictures joints"]:
    """Whether the line from the camera's centre to the joint intersects the object of its image.

    Args:
        things: one per image.
        cameras: of the images.
        joints3d: metres."""
    start = _local(things, cameras.centres[:, None])
    way = _local(things, joints3d) - start
    return torch.where(
        things.is_box[:, None], _meets_box(start, way, things.half), _meets_capsule(start, way, things.half)
    )


def chosen(
    hides: Bool[Tensor, "pictures joints"],
    inside: Bool[Tensor, "pictures joints"],
    share: float,
    generator: torch.Generator,
) -> Bool[Tensor, "pictures"]:
    """Which images keep their object, so that a given share of all joints inside their images is hidden.

    Random images until the share is reached; all of them where that is not enough.

    Args:
        hides: whether the object of its image hides a joint.
        inside: whether a joint is inside its image.
        share: of the joints.
        generator: of the choice."""
    count = (hides & inside).sum(dim=1)
    order = torch.randperm(len(count), generator=generator)
    before = count[order].cumsum(0) - count[order]
    kept = torch.zeros(len(count), dtype=torch.bool)
    kept[order] = before + count[order] / 2 < share * inside.sum()
    return kept


def _facing(ray: Tensor, angle: Tensor, generator: torch.Generator) -> Tensor:
    """Axes: front roughly along the ray, side and axis rotated about it."""
    forward = torch.nn.functional.normalize(ray + 0.3 * torch.randn(ray.shape, generator=generator), dim=-1)
    across = torch.nn.functional.normalize(
        torch.linalg.cross(forward, forward.new_tensor([0, 0, 1.0]).expand_as(forward)), dim=-1
    )
    down = torch.linalg.cross(forward, across)
    c, s = angle.cos()[:, None], angle.sin()[:, None]
    axis = c * down + s * across
    # front = side × axis, as the parts of the renderer have it
    return torch.stack([torch.linalg.cross(axis, forward), forward, axis], dim=1)


def _local(things: Occluders, points: Tensor) -> Tensor:
    return (points - things.centre[:, None]) @ things.axes.mT


def _meets_box(start: Tensor, way: Tensor, half: Tensor) -> Tensor:
    """Slab test of segments start + t·way, t in [0, 1]."""
    safe = torch.where(way.abs() < 1e-9, 1e-9, way)
    one, other = (-half[:, None] - start) / safe, (half[:, None] - start) / safe
    enter, leave = torch.minimum(one, other).amax(dim=-1), torch.maximum(one, other).amin(dim=-1)
    return (enter <= leave) & (leave >= 0) & (enter <= 1)


def _meets_capsule(start: Tensor, way: Tensor, half: Tensor) -> Tensor:
    """Whether segments come within the radius of the axis, which ends a radius before the half length."""
    radius, reach = half[:, None, 0], (half[:, None, 2] - half[:, None, 0]).clamp_min(1e-6)
    # nearest points of two segments: t along `way`, s along the axis (z)
    start = start.expand_as(way)
    a, b, c = way.square().sum(-1), way[..., 2], (start * way).sum(-1)
    flat = (a - b * b).clamp_min(1e-12)
    t = ((b * start[..., 2] - c) / flat).clamp(0, 1)
    s = torch.maximum(torch.minimum(start[..., 2] + t * b, reach), -reach)
    t = ((s * b - c) / a.clamp_min(1e-12)).clamp(0, 1)
    s = torch.maximum(torch.minimum(start[..., 2] + t * b, reach), -reach)
    nearest = start + t[..., None] * way
    nearest = torch.cat([nearest[..., :2], nearest[..., 2:] - s[..., None]], dim=-1)
    return nearest.norm(dim=-1) <= radius
