"""Camera placement around a person, and crop boxes of persons. Metres, pixels, radians."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras

# box side over the extent of the joints: room for hands and feet
MARGIN = 1.3


def varied_cameras(rigs: int, views: int, generator: torch.Generator) -> Cameras:
    """Random rigs around the origin that look at a person; no distortion, images of 1000 × 1000 pixels.

    Each camera has its own radius (2.5-6 m), height (0.6-2.6 m), focal length (900-1600 px), target near the middle of
    a person and roll (±5°); the azimuths of a rig are spread around the circle with jitter.

    Args:
        rigs: number of rigs.
        views: cameras per rig.
        generator: of the random values.

    Returns:
        Cameras, rigs × views."""
    azimuth, radius, height, focal, x, y, z, roll = torch.rand(8, rigs, views, generator=generator).unbind(0)
    start = torch.rand(rigs, 1, generator=generator)
    angle = 2 * math.pi * (start + (torch.arange(views) + 0.7 * (azimuth - 0.5)) / views)
    radius = 2.5 + 3.5 * radius
    centre = torch.stack([radius * angle.cos(), radius * angle.sin(), 0.6 + 2 * height], dim=-1)
    target = torch.stack([0.4 * x - 0.2, 0.4 * y - 0.2, 0.7 + 0.5 * z], dim=-1)
    return look_at(centre, target, math.radians(10) * (roll - 0.5), 900 + 700 * focal, (1000, 1000))


def look_at(
    centre: Float[Tensor, "*batch 3"],
    target: Float[Tensor, "*batch 3"],
    roll: Float[Tensor, "*batch"],
    focal: Float[Tensor, "*batch"],
    size: tuple[int, int],
) -> Cameras:
    """Cameras at `centre` that look at `target`, upright and then rolled.

    Args:
        centre: metres, z up.
        target: metres.
        roll: radians about the optical axis.
        focal: pixels.
        size: width and height of the image, pixels."""
    forward = torch.nn.functional.normalize(target - centre, dim=-1)
    up = forward.new_tensor([0.0, 0.0, 1.0]).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    down = torch.linalg.cross(forward, right)
    c, s = roll.cos()[..., None], roll.sin()[..., None]
    rotation = torch.stack([c * right + s * down, c * down - s * right, forward], dim=-2)
    translation = -(rotation @ centre[..., None])
    intrinsics = torch.zeros(*focal.shape, 3, 3)
    intrinsics[..., 0, 0], intrinsics[..., 1, 1], intrinsics[..., 2, 2] = focal, focal, 1.0
    intrinsics[..., 0, 2], intrinsics[..., 1, 2] = (size[0] - 1) / 2, (size[1] - 1) / 2
    whole = torch.tensor([float(side) for side in size]).expand(*focal.shape, 2).clone()
    return Cameras.make(intrinsics, torch.cat([rotation, translation], dim=-1), whole)


def person_boxes(
    pixels: Float[Tensor, "*batch joints 2"],
    size: tuple[int, int],
    jitter: float,
    generator: torch.Generator,
    margin: float = MARGIN,
) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch 2"]]:
    """Boxes around 2D joints with a given aspect ratio, as their top left corner and size in pixels.

    Args:
        pixels: 2D joints.
        size: width and height that give the aspect ratio.
        jitter: share of the box by which its centre and size vary at random.
        generator: of the jitter.
        margin: size of the box relative to the tightest one."""
    low, high = pixels.amin(dim=-2), pixels.amax(dim=-2)
    shape = torch.tensor([float(side) for side in size])
    shape = shape / shape.max()
    side = ((high - low) / shape).amax(dim=-1, keepdim=True) * margin
    drawn = 2 * torch.rand(*low.shape[:-1], 3, generator=generator) - 1
    side = side * (1 + jitter * drawn[..., :1])
    centre = (low + high) / 2 + jitter * side * drawn[..., 1:]
    box = side * shape
    return centre - box / 2, box
