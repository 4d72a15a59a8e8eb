"""Every view's pose in every other view: all pairs in one operation."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def rotated_pairs(
    pose: Float[Tensor, "*#batch source joints 3"], rotation: Float[Tensor, "*#batch source target 3 3"]
) -> Float[Tensor, "*batch source target joints 3"]:
    """Every pose turned by its own row of rotations.

    One product of a tall matrix per pose: a product per pair would take several times as long."""
    rows = rotation.movedim(-2, -3).flatten(-3, -2)  # source (xyz target) 3
    return (rows @ pose.mT).unflatten(-2, (3, -1)).movedim(-3, -1)


def permutation_within(groups: Int[Tensor, "items"]) -> Int[Tensor, "items"]:
    """A random permutation that leaves every item in its group."""
    shuffled = torch.randperm(len(groups), device=groups.device)
    by_group = torch.argsort(groups, stable=True)
    shuffled_by_group = shuffled[torch.argsort(groups[shuffled], stable=True)]
    permutation = torch.empty_like(by_group)
    permutation[by_group] = shuffled_by_group
    return permutation
