"""Joint angles down a chain of bones, as the files of motion capture store them: products of turns about axes."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.rotations import rotation_from_axis_angle


def turns(axes: str, angles: Float[Tensor, "*batch turns"]) -> Float[Tensor, "*batch 3 3"]:
    """The product of turns about x, y or z (radians), the first letter leftmost: "zyx" is Rz Ry Rx.

    So the *last* letter acts on a vector first. No letters: the identity."""
    rotation = torch.eye(3, dtype=angles.dtype, device=angles.device).expand(*angles.shape[:-1], 3, 3)
    unit = torch.eye(3, dtype=angles.dtype, device=angles.device)
    for number, axis in enumerate(axes.lower()):
        rotation = rotation @ rotation_from_axis_angle(angles[..., number, None] * unit["xyz".index(axis)])
    return rotation


def radians(angles: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Degrees to radians."""
    return angles * (math.pi / 180)


def down_the_chain(
    parents: tuple[int, ...], local: Float[Tensor, "frames joints 3 3"]
) -> Float[Tensor, "frames joints 3 3"]:
    """Each joint's rotation in the world: those of its ancestors times its own. Parents come before children."""
    world: list[Tensor] = []
    for joint, parent in enumerate(parents):
        assert parent < joint, "a child before its parent"
        world.append(local[:, joint] if parent < 0 else world[parent] @ local[:, joint])
    return torch.stack(world, dim=1)


def places(
    parents: tuple[int, ...], steps: Float[Tensor, "frames joints 3"]
) -> Float[Tensor, "frames joints 3"]:
    """Where the joints are, from the step that leads to each from its parent (world axes)."""
    found: list[Tensor] = []
    for joint, parent in enumerate(parents):
        found.append(steps[:, joint] if parent < 0 else found[parent] + steps[:, joint])
    return torch.stack(found, dim=1)
