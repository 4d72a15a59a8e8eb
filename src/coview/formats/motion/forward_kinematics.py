"""Forward kinematics of motion capture files: local rotations and offsets to positions of joints."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.rotations import rotation_from_axis_angle


def turns(axes: str, angles: Float[Tensor, "*batch turns"]) -> Float[Tensor, "*batch 3 3"]:
    """The product of rotations about coordinate axes; the first letter is leftmost: "zyx" is Rz Ry Rx.

    So the *last* letter acts on a vector first.

    Args:
        axes: Letters x, y or z, one per angle. No letters: the identity.
        angles: Shape (*batch, turns), radians.

    Returns:
        Shape (*batch, 3, 3).
    """
    rotation = torch.eye(3, dtype=angles.dtype, device=angles.device).expand(*angles.shape[:-1], 3, 3)
    unit = torch.eye(3, dtype=angles.dtype, device=angles.device)
    for number, axis in enumerate(axes.lower()):
        rotation = rotation @ rotation_from_axis_angle(angles[..., number, None] * unit["xyz".index(axis)])
    return rotation


def radians(angles: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Degrees to radians, any shape."""
    return angles * (math.pi / 180)


def down_the_chain(
    parents: tuple[int, ...], local: Float[Tensor, "frames joints 3 3"]
) -> Float[Tensor, "frames joints 3 3"]:
    """Each joint's global rotation: the product of its ancestors' local rotations and its own.

    Args:
        parents: Index of each joint's parent, -1 for the root; parents come before their children.
        local: Shape (frames, joints, 3, 3).

    Returns:
        World from joint, shape (frames, joints, 3, 3).
    """
    world: list[Tensor] = []
    for joint, parent in enumerate(parents):
        assert parent < joint, "a child before its parent"
        world.append(local[:, joint] if parent < 0 else world[parent] @ local[:, joint])
    return torch.stack(world, dim=1)


def places(
    parents: tuple[int, ...], steps: Float[Tensor, "frames joints 3"]
) -> Float[Tensor, "frames joints 3"]:
    """Positions of the joints from each joint's displacement from its parent.

    Args:
        parents: Index of each joint's parent, -1 for the root; parents come before their children.
        steps: Shape (frames, joints, 3), along the world's axes; that of the root is its position.

    Returns:
        Shape (frames, joints, 3), in the unit of `steps`.
    """
    found: list[Tensor] = []
    for joint, parent in enumerate(parents):
        found.append(steps[:, joint] if parent < 0 else found[parent] + steps[:, joint])
    return torch.stack(found, dim=1)
