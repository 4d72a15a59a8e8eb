"""Anchors, positives and negatives on a sphere: what `mcss` minimises, as functions of distances. [Mishchuk17]

Like `base` and `lifted`, this is no method.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# two embeddings nearer than this are of the same pose [Mishchuk17]
_DUPLICATE = 0.008
# under the root of a distance [Mishchuk17]
_TINY = 1e-6


@dataclass(frozen=True)
class Triplets:
    """Per anchor, how far its positive and its chosen negative are."""

    positive: Float[Tensor, "pairs"]
    # 0 where there is none
    negative: Float[Tensor, "pairs"]
    # whether there is a negative at all
    known: Bool[Tensor, "pairs"]


def distances(
    anchors: Float[Tensor, "pairs features"], positives: Float[Tensor, "pairs features"]
) -> Float[Tensor, "pairs pairs"]:
    """Between unit vectors, each anchor (rows) and each positive; no unit, 0 to 2. [Mishchuk17]"""
    return (2 - 2 * anchors @ positives.mT + _TINY).clamp_min(_TINY).sqrt()


def hard_triplets(
    distance: Float[Tensor, "pairs pairs"], negative: Bool[Tensor, "pairs pairs"], *, semi_hard: bool
) -> Triplets:
    """The nearest negative among those of the anchor (row) and those of its positive (column). [Mishchuk17]

    Distances below 0.008 are of the same pose and count for nothing, unless all are: a constant embedding must cost
    the margin. `semi_hard`: the nearest that is farther than the positive; where there is none, the nearest."""
    positive = distance.diagonal()
    allowed = negative & (distance >= _DUPLICATE)
    nearest = _nearest(distance, allowed)
    if semi_hard:
        farther = _nearest(distance, allowed, beyond=positive)
        nearest = torch.where(farther.isfinite(), farther, nearest)
    nearest = torch.where(nearest.isfinite(), nearest, _nearest(distance, negative))
    known = nearest.isfinite()
    return Triplets(positive, torch.where(known, nearest, 0.0), known)


def random_triplets(
    distance: Float[Tensor, "pairs pairs"], negative: Bool[Tensor, "pairs pairs"]
) -> Triplets:
    """Any negative of the anchor: to see what hard ones are good for. Draws from torch's global generator."""
    chance = torch.rand_like(distance).masked_fill(~negative, -1.0)
    known, chosen = negative.any(dim=-1), chance.argmax(dim=-1)
    found = distance.gather(-1, chosen[:, None])[:, 0]
    return Triplets(distance.diagonal(), torch.where(known, found, 0.0), known)


def softmax_loss(
    distance: Float[Tensor, "pairs pairs"], negative: Bool[Tensor, "pairs pairs"], temperature: float
) -> Float[Tensor, "pairs"]:
    """Cross-entropy of picking the positive among all negatives of the anchor, and of the positive; the mean of both.

    Every negative counts, near ones most: [Oord18] with cosines, 1 − d²/2."""
    cosine = (1 - distance.square() / 2) / temperature
    kept = negative | torch.eye(len(distance), dtype=torch.bool, device=distance.device)
    masked = cosine.masked_fill(~kept, -torch.inf)
    both = masked.logsumexp(dim=1) + masked.logsumexp(dim=0)
    return both / 2 - cosine.diagonal()


def spread_of(embedding: Float[Tensor, "many features"]) -> Float[Tensor, ""]:
    """Root-mean-square distance of unit vectors from their mean: 0 where all are one, at most 1; NaN is left out."""
    return (1 - embedding.nanmean(dim=0).square().sum()).clamp_min(0).sqrt()


def _nearest(distance: Tensor, allowed: Tensor, beyond: Tensor | None = None) -> Tensor:
    """Least allowed distance in each row or the column of the same number; infinite where there is none."""
    rows, columns = allowed, allowed
    if beyond is not None:
        rows, columns = allowed & (distance > beyond[:, None]), allowed & (distance > beyond)
    endless = torch.inf
    by_row = distance.masked_fill(~rows, endless).amin(dim=1)
    return torch.minimum(by_row, distance.masked_fill(~columns, endless).amin(dim=0))
