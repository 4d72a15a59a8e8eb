"""Poses of every view rotated into every other view, and random permutations within groups."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def rotated_pairs(
    pose: Float[Tensor, "*#batch source joints 3"], rotation: Float[Tensor, "*#batch source target 3 3"]
) -> Float[Tensor, "*batch source target joints 3"]:
    """Every pose rotated into every target view.

    One product of a tall matrix per pose: a product per pair would take several times as long.

    Args:
        pose: One pose per source view, any unit.
        rotation: Into the target's frame from that of the source's pose.

    Returns:
        Poses of all sources in the frames of all targets.
    """
    # source (xyz target) 3
    rows = rotation.movedim(-2, -3).flatten(-3, -2)
    return (rows @ pose.mT).unflatten(-2, (3, -1)).movedim(-3, -1)


def permutation_within(groups: Int[Tensor, "items"]) -> Int[Tensor, "items"]:
    """A random permutation that maps every item to one of its group; draws from torch's global generator.

    Args:
        groups: Number of each item's group.

    Returns:
        Index of the item that takes each item's position.
    """
    shuffled = torch.randperm(len(groups), device=groups.device)
    by_group = torch.argsort(groups, stable=True)
    shuffled_by_group = shuffled[torch.argsort(groups[shuffled], stable=True)]
    permutation = torch.empty_like(by_group)
    permutation[by_group] = shuffled_by_group
    return permutation
