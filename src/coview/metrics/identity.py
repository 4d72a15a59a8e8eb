"""Identity tracking accuracy: share of correctly numbered detections, and identity switches."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor


@dataclass(frozen=True)
class IdentityScore:
    """Found identities against true ones, under the one-to-one assignment of numbers that agrees best."""

    # share of detections of people that carry the right number (IDTP / truth, [Ristani16])
    accuracy: float
    # changes of a person's number between successive detections in one view [Bernardin08]
    switches: int
    # share of detections of people that carry no number
    unassigned: float
    # number of identities found
    people: int


def identity_score(
    found: Int[Tensor, "views frames people"], truth: Int[Tensor, "views frames people"]
) -> IdentityScore:
    """Identity accuracy and switches under the best one-to-one assignment of found to true numbers.

    The assignment holds for all views and frames: a person with different numbers in two cameras is right in at most
    one of them.

    Args:
        found: number of the person of each detection; 0 and less: none.
        truth: true number of the same detections; 0 and less: no person."""
    real = truth > 0
    given = real & (found > 0)
    highest = int(truth.max()), max(int(found.max()), 1)
    votes = torch.zeros(highest[0] + 1, highest[1] + 1, dtype=torch.long)
    votes.index_put_((truth[given], found[given]), torch.ones((), dtype=torch.long), accumulate=True)
    rows, columns = linear_sum_assignment(votes.numpy(), maximize=True)
    total = max(int(real.sum()), 1)
    return IdentityScore(
        accuracy=int(votes[rows, columns].sum()) / total,
        switches=sum(_switches(view, true) for view, true in zip(found, truth, strict=True)),
        unassigned=1 - int(given.sum()) / total,
        people=len(found[given].unique()),
    )


def _switches(found: Int[Tensor, "frames people"], truth: Int[Tensor, "frames people"]) -> int:
    """Changes of number along every true person's detections in one view."""
    count = 0
    for person in truth[truth > 0].unique():
        # in the order of frames
        numbers = found[(truth == person) & (found > 0)]
        count += int((numbers[1:] != numbers[:-1]).sum())
    return count
