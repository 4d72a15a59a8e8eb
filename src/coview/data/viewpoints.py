"""Where cameras stand, and the square regions around a person that are looked at. Metres, pixels, radians."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.synthetic import ring_cameras


def varied_cameras(views: int, generator: torch.Generator) -> Cameras:
    """A random rig around the origin: radius 2.5-6 m and height 0.6-2.6 m of each camera its own, focal length
    900-1600 px of one size of image (1000 × 1000), angles roughly even, slightly rolled."""
    start = 2 * math.pi * torch.rand((), generator=generator)
    spread = 2 * math.pi / views
    each = []
    for view in range(views):
        turn, radius, height, focal, *off, roll = torch.rand(8, generator=generator).tolist()
        camera = ring_cameras(
            1,
            radius=2.5 + 3.5 * radius,
            height=0.6 + 2.0 * height,
            focal=900 + 700 * focal,
            target=(0.4 * off[0] - 0.2, 0.4 * off[1] - 0.2, 0.7 + 0.5 * off[2]),
            start_angle=float(start) + spread * (view + 0.7 * (turn - 0.5)),
        )
        each.append(_rolled(camera, math.radians(10) * (roll - 0.5))[0])
    return Cameras.stack(each)


def person_boxes(
    pixels: Float[Tensor, "*batch joints 2"],
    size: tuple[int, int],
    jitter: float,
    generator: torch.Generator,
    margin: float = 1.3,
) -> tuple[Float[Tensor, "*batch 2"], Float[Tensor, "*batch 2"]]:
    """Left top and size (pixels) of a box around the joints, in the aspect of `size` (width, height).

    `margin` times as large as the tightest such box, and never less; `jitter` is the share of the box by which
    its centre and its size vary at random."""
    low, high = pixels.amin(dim=-2), pixels.amax(dim=-2)
    shape = torch.tensor([float(side) for side in size])
    shape = shape / shape.max()
    side = ((high - low) / shape).amax(dim=-1, keepdim=True) * margin
    drawn = 2 * torch.rand(*low.shape[:-1], 3, generator=generator) - 1
    side = side * (1 + jitter * drawn[..., :1])
    centre = (low + high) / 2 + jitter * side * drawn[..., 1:]
    box = side * shape
    return centre - box / 2, box


def _rolled(camera: Cameras, angle: float) -> Cameras:
    c, s = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return Cameras.make(camera.intrinsics, turn @ camera.cam_from_world, camera.size)
