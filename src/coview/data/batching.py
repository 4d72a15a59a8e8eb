"""Which instants form a batch, as a value: shuffled, many times of one subject, or labelled ones mixed in.

What step `n` sees depends on the seed and `n` alone, so that a resumed run sees what it would have seen.
"""

from abc import ABC, abstractmethod
from bisect import bisect, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor

from coview.data.base import Instants
from coview.errors import InputError

Draws = Callable[[int], Int[Tensor, "picked"]]  # from a step to the instants of its batch; on the CPU
SAME = 1e-3  # seconds within which a gap counts as kept: times are float32
_SEEDS = 1_000_003  # between the numbers that two seeds draw with


@dataclass(frozen=True)
class Batching(ABC):
    """How batches are put together."""

    @property
    def reads(self) -> frozenset[str]:
        """Fields of the data that it goes by."""
        return frozenset()

    @abstractmethod
    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        """What each step sees: `size` instants, or all where there are fewer.

        ValueError where the data does not have such batches."""


@dataclass(frozen=True)
class Shuffled(Batching):
    """Every instant once per pass over the data, in an order of its own per pass."""

    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        return _Passes(len(data), min(size, len(data)), seed)


class _Passes:
    """Whole batches of one random order after another; what is left at the end of an order is passed over."""

    def __init__(self, count: int, size: int, seed: int) -> None:
        self.count, self.size, self.seed = count, size, seed
        self.number, self.order = -1, torch.empty(0, dtype=torch.long)

    def __call__(self, step: int) -> Int[Tensor, "picked"]:
        number, place = divmod(step, self.count // self.size)
        if number != self.number:
            self.number, self.order = number, _shuffled(self.count, self.seed, number)
        return self.order[place * self.size : (place + 1) * self.size]


# --- labelled ones mixed in ------------------------------------------------------------------------


@dataclass(frozen=True)
class Mixed(Batching):
    """A fixed share of every batch from labelled instants, the rest from the others; each in passes of its own.

    Where there are few of a kind, some may come twice in a batch. Where all are `labelled`, nothing is left to mix in.
    Where none hides its 2D joints (`labelled2d`), nothing is left to learn from views, and that is refused."""

    share: float = 0.5  # of labelled instants
    by: Literal["labelled2d", "labelled"] = "labelled2d"  # an instant with any labelled view counts

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"Mixed: share is above 0 and below 1 (not per cent), got {self.share}.")

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({self.by})

    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        marked = data.only(self.reads)[: len(data)].stored(self.by).cpu().reshape(len(data), -1).any(dim=-1)
        first, second = marked.nonzero().flatten(), (~marked).nonzero().flatten()
        if self.by == "labelled" and not len(second):
            return Shuffled().draws(data, size, seed)
        many = round(self.share * size)
        for name, part, count in (("with", first, many), ("without", second, size - many)):
            if not (len(part) and count):
                raise InputError(
                    f"Mixed: a batch of {size} instants has {count} {name} {self.by}, and the training data "
                    f"{len(part)}; both are at least 1. Change batching.share, batch_size or labels."
                )

        def draw(step: int) -> Int[Tensor, "picked"]:
            return torch.cat(
                [_stream(first, many, 2 * seed, step), _stream(second, size - many, 2 * seed + 1, step)]
            )

        return draw


def _stream(members: Int[Tensor, "members"], size: int, seed: int, step: int) -> Int[Tensor, "size"]:
    """Part `step` of the members in one random order after another, nothing left out."""
    start, stop, count = step * size, (step + 1) * size, len(members)
    passes = range(start // count, (stop - 1) // count + 1)
    order = torch.cat([_shuffled(count, seed, number) for number in passes])
    return members[order[start - passes[0] * count : stop - passes[0] * count]]


# --- many times of one subject ---------------------------------------------------------------------


@dataclass(frozen=True)
class SubjectTimes(Batching):
    """Instants of one subject, no two of a sequence nearer than `gap` in time, then some labelled ones of anybody.

    The views of an instant are its positives and the other instants its negatives [Mitra20]. Subjects take turns at
    random, as often as they have instants so far apart. One who has too few for a batch is joined by others: as few
    as it takes. Where fewer labelled instants exist than a batch has, some come twice."""

    gap: float = 0.5  # seconds; nearer frames show the same pose. 0: any
    labelled: int = 32  # of a batch's instants

    def __post_init__(self) -> None:
        if self.gap < 0 or self.labelled < 0:
            raise InputError(
                f"SubjectTimes: gap (seconds) and labelled (instants) are 0 or more, got {self.gap} and "
                f"{self.labelled}."
            )

    @property
    def reads(self) -> frozenset[str]:
        return frozenset({"subject", "sequence", "time"} | ({"labelled"} if self.labelled else set()))

    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        return _Turns(self, data, size, seed)


class _Turns:
    """Of whom, and at which times, each batch is."""

    def __init__(self, config: SubjectTimes, data: Instants, size: int, seed: int) -> None:
        seen = data.only(config.reads)[: len(data)].to("cpu")
        self.gap, self.seed, self.wanted = config.gap, seed, size - config.labelled
        if self.wanted < 2:
            raise InputError(
                f"SubjectTimes: {config.labelled} of the batch's {size} instants are the labelled ones, and at least 2 "
                f"more are needed to tell apart. Raise batch_size or lower batching.labelled."
            )
        self.sequence, self.time = seen.sequence.tolist(), seen.time.tolist()
        self.members = [(seen.subject == who).nonzero().flatten() for who in seen.subject.unique()]
        self.apart = [self._apart(self._in_order(members)) for members in self.members]
        self.room = torch.tensor([float(len(apart)) for apart in self.apart])
        if self.room.max() < 2:
            raise InputError(
                f"SubjectTimes: no subject of the training data has two instants of {self.gap} s or more between them, "
                f"so nobody's poses could be told apart. Lower batching.gap (seconds), or use longer recordings."
            )
        known = seen.labelled.nonzero().flatten() if config.labelled else torch.empty(0, dtype=torch.long)
        if config.labelled and not len(known):
            raise InputError(
                f"SubjectTimes: {config.labelled} instants of every batch are to have labels, and no instant of the "
                f"training data has. Show some (labels.split, labels.share), or set batching.labelled to 0."
            )
        self.labelled, self.known = config.labelled, known

    def __call__(self, step: int) -> Int[Tensor, "picked"]:
        generator = torch.Generator().manual_seed(self.seed * _SEEDS + step)
        picked: list[int] = []
        for who in torch.multinomial(self.room, int((self.room > 0).sum()), generator=generator).tolist():
            picked += self._times(who, self.wanted - len(picked), generator)
            if len(picked) == self.wanted:
                break
        parts = [torch.tensor(picked)]
        if self.labelled:
            rounds = -(-self.labelled // len(self.known))
            order = [torch.randperm(len(self.known), generator=generator) for _ in range(rounds)]
            parts.append(self.known[torch.cat(order)[: self.labelled]])
        return torch.cat(parts)

    def _times(self, who: int, wanted: int, generator: torch.Generator) -> list[int]:
        """So many instants of a subject at random, or as many as there is room for."""
        members, most = self.members[who], min(wanted, len(self.apart[who]))
        shuffled = members[torch.randperm(len(members), generator=generator)].tolist()
        found = self._apart(shuffled, most)
        if len(found) < most:  # what was taken first left gaps too small to use
            tight = torch.tensor(self.apart[who])
            found = tight[torch.randperm(len(tight), generator=generator)[:most]].tolist()
        return found

    def _apart(self, candidates: Iterable[int], most: int = -1) -> list[int]:
        """The candidates, one after another, that keep the gap to all taken before; `most` of them, if given."""
        taken: dict[int, list[float]] = defaultdict(list)
        found: list[int] = []
        least = self.gap - SAME
        for instant in candidates:
            if len(found) == most:
                break
            times, now = taken[self.sequence[instant]], self.time[instant]
            place = bisect(times, now)
            if all(abs(other - now) >= least for other in times[max(0, place - 1) : place + 1]):
                insort(times, now)
                found.append(instant)
        return found

    def _in_order(self, members: Int[Tensor, "members"]) -> list[int]:
        """By time: going through them so leaves most room."""
        return sorted(members.tolist(), key=lambda instant: self.time[instant])


def _shuffled(count: int, seed: int, number: int) -> Int[Tensor, "count"]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * _SEEDS + number))
