"""One time offset per camera from what pairs of cameras say, such that cycles of cameras close."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

# frames: offsets up to this are the same
SAME = 1.5
# frames: by which the shifts of pairs may miss closing a cycle
_CLOSED = 3.0


@dataclass(frozen=True)
class PairShift:
    """What two views say: frame n + shift of the first shows what frame n of the second does."""

    first: int
    second: int
    # frames
    shift: float
    # how much speaks for it
    weight: float

    def holds(self, offsets: Float[Tensor, "views"]) -> bool:
        """Whether offsets agree with it.

        Args:
            offsets: Frames by which each view started later.
        """
        return abs(float(offsets[self.second] - offsets[self.first]) - self.shift) <= _CLOSED


def consistent_offsets(pairs: Sequence[PairShift], views: int) -> Float[Tensor, "views"]:
    """The time offset of every view that most of the pairs agree with.

    Offsets are chained from the pairs of most weight; where a chain contradicts other pairs, chains without each of its
    shifted pairs, and on time, are tried too, and the one with most weight for it and least against it is taken.

    Args:
        pairs: What pairs of views say.
        views: How many views there are.

    Returns:
        Frames by which each view started later than the first; 0 for one that no pair ties to it.
    """
    shifted = [pair for pair in pairs if abs(pair.shift) > SAME]
    chains = [torch.zeros(views, dtype=torch.float64), _chained(pairs, views)]
    chains += [_chained([pair for pair in pairs if pair is not left_out], views) for left_out in shifted]

    def balance(offsets: Tensor) -> float:
        return float(sum(pair.weight if pair.holds(offsets) else -2 * pair.weight for pair in pairs))

    return max(chains, key=balance)


def _chained(pairs: Sequence[PairShift], views: int) -> Float[Tensor, "views"]:
    """Offsets along a spanning forest of greatest weight; each tree has its earliest view's at 0, or the first's."""
    group, offsets = list(range(views)), torch.zeros(views, dtype=torch.float64)
    for pair in sorted(pairs, key=lambda pair: -pair.weight):
        one, other = group[pair.first], group[pair.second]
        if one == other:
            continue
        move = offsets[pair.first] + pair.shift - offsets[pair.second]
        for view in range(views):
            if group[view] == other:
                offsets[view] += move
                group[view] = one
    tied = torch.tensor([number == group[0] for number in group])
    # a tree without the first view: most of its views are taken to be on time
    for number in set(group) - {group[0]}:
        mine = torch.tensor([each == number for each in group])
        offsets[mine] -= offsets[mine].round().mode().values
    offsets[tied] -= offsets[0].clone()
    return offsets
