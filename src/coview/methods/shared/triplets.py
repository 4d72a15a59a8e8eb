"""Metric learning on a sphere: distances of unit vectors, triplets with hard negatives, softmax loss. [Mishchuk17]

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
    """Per anchor, the distances to its positive and to its chosen negative; of unit vectors, 0 to 2."""

    positive: Float[Tensor, "pairs"]
    # 0 where no negative is admissible
    negative: Float[Tensor, "pairs"]
    # whether a negative is admissible
    valid: Bool[Tensor, "pairs"]


def distances(
    anchors: Float[Tensor, "pairs features"], positives: Float[Tensor, "pairs features"]
) -> Float[Tensor, "pairs pairs"]:
    """Euclidean distances of unit vectors. [Mishchuk17]

    Args:
        anchors: Unit vectors of one view per pair.
        positives: Unit vectors of the other view.

    Returns:
        Distance of each anchor (rows) from each positive (columns), 0 to 2; a finite gradient everywhere.
    """
    return (2 - 2 * anchors @ positives.mT + _TINY).clamp_min(_TINY).sqrt()


def hard_triplets(
    distance: Float[Tensor, "pairs pairs"], negative: Bool[Tensor, "pairs pairs"], *, semi_hard: bool
) -> Triplets:
    """The nearest negative among those of the anchor (row) and those of its positive (column). [Mishchuk17]

    Distances below 0.008 are of the same pose and are not used, unless all are: a constant embedding must cost the
    margin.

    Args:
        distance: As `distances` gives them; positives on the diagonal.
        negative: Which pairs may be each other's negatives.
        semi_hard: Whether to take the nearest that is farther than the positive; where there is none, the nearest.

    Returns:
        One triplet per pair, not valid where a pair has no negative.
    """
    positive = distance.diagonal()
    allowed = negative & (distance >= _DUPLICATE)
    nearest = _nearest(distance, allowed)
    if semi_hard:
        farther = _nearest(distance, allowed, beyond=positive)
        nearest = torch.where(farther.isfinite(), farther, nearest)
    nearest = torch.where(nearest.isfinite(), nearest, _nearest(distance, negative))
    valid = nearest.isfinite()
    return Triplets(positive, torch.where(valid, nearest, 0.0), valid)


def random_triplets(
    distance: Float[Tensor, "pairs pairs"], negative: Bool[Tensor, "pairs pairs"]
) -> Triplets:
    """A random negative per anchor, the baseline for hard ones; draws from torch's global generator.

    Args:
        distance: As `distances` gives them; positives on the diagonal.
        negative: Which pairs may be each other's negatives.

    Returns:
        One triplet per pair, not valid where a pair has no negative.
    """
    chance = torch.rand_like(distance).masked_fill(~negative, -1.0)
    valid, chosen = negative.any(dim=-1), chance.argmax(dim=-1)
    found = distance.gather(-1, chosen[:, None])[:, 0]
    return Triplets(distance.diagonal(), torch.where(valid, found, 0.0), valid)


def softmax_loss(
    distance: Float[Tensor, "pairs pairs"], negative: Bool[Tensor, "pairs pairs"], temperature: float
) -> Float[Tensor, "pairs"]:
    """Cross-entropy of picking the positive among all negatives of the anchor, and of the positive; the mean of both.

    Every negative counts, near ones most: [Oord18] with cosines, 1 − d²/2.

    Args:
        distance: As `distances` gives them; positives on the diagonal.
        negative: Which pairs may be each other's negatives.
        temperature: Divides the cosines; above 0.

    Returns:
        One loss per pair, in nats.
    """
    cosine = (1 - distance.square() / 2) / temperature
    kept = negative | torch.eye(len(distance), dtype=torch.bool, device=distance.device)
    masked = cosine.masked_fill(~kept, -torch.inf)
    both = masked.logsumexp(dim=1) + masked.logsumexp(dim=0)
    return both / 2 - cosine.diagonal()


def rms_deviation(embedding: Float[Tensor, "many features"]) -> Float[Tensor, ""]:
    """Root-mean-square distance of unit vectors from their mean.

    Args:
        embedding: Unit vectors; NaN is left out.

    Returns:
        0 where all vectors are equal, at most 1.
    """
    return (1 - embedding.nanmean(dim=0).square().sum()).clamp_min(0).sqrt()


def _nearest(distance: Tensor, allowed: Tensor, beyond: Tensor | None = None) -> Tensor:
    """Least allowed distance in each row or the column of the same index; infinite where there is none."""
    rows, columns = allowed, allowed
    if beyond is not None:
        rows, columns = allowed & (distance > beyond[:, None]), allowed & (distance > beyond)
    endless = torch.inf
    by_row = distance.masked_fill(~rows, endless).amin(dim=1)
    return torch.minimum(by_row, distance.masked_fill(~columns, endless).amin(dim=0))
