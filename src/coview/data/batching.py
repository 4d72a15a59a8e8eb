"""Which instants form a batch: shuffled, many times of one subject, or a fixed share of labelled ones.

The batch of step `n` depends on the seed and on `n` alone, so that a resumed run sees the same batches.
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

# maps a step to the instants of its batch; on the CPU
Draws = Callable[[int], Int[Tensor, "picked"]]
# tolerance of a gap in seconds: times are float32
SAME = 1e-3
# distance between the generator seeds of two seeds
_SEEDS = 1_000_003


@dataclass(frozen=True)
class Batching(ABC):
    """How batches are put together."""

    @property
    def reads(self) -> frozenset[str]:
        """Fields of the data that the choice depends on."""
        return frozenset()

    @abstractmethod
    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        """The function from a step to the instants of its batch.

        Args:
            data: training instants.
            size: instants per batch; all of them where there are fewer.
            seed: of the random order.

        Raises:
            ValueError: the data cannot form such batches."""


@dataclass(frozen=True)
class Shuffled(Batching):
    """Every instant once per epoch, in a new random order per epoch."""

    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        """The function from a step to the instants of its batch.

        Args:
            data: training instants.
            size: instants per batch; all of them where there are fewer.
            seed: of the random order."""
        return _Passes(len(data), min(size, len(data)), seed)


class _Passes:
    """Whole batches of one random order per epoch; an incomplete batch at the end of an epoch is dropped."""

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
    """A fixed share of every batch from labelled instants, the rest from the others; each in epochs of its own.

    Instants of a kind that is rare may occur twice in a batch. Where all are `labelled`, batches are just shuffled.
    Where all have 2D labels (`labelled2d`), nothing is left to learn from views, and that is refused."""

    # share of a batch's instants that are labelled
    share: float = 0.5
    # field that marks labelled instants; of `labelled2d`, any labelled view counts
    by: Literal["labelled2d", "labelled"] = "labelled2d"

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise InputError(f"Mixed: share is above 0 and below 1 (not per cent), got {self.share}.")

    @property
    def reads(self) -> frozenset[str]:
        """The field that says which instants are labelled."""
        return frozenset({self.by})

    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        """The function from a step to the instants of its batch.

        Args:
            data: training instants.
            size: instants per batch.
            seed: of the random order.

        Raises:
            ValueError: the data or the batch has no labelled or no other instants."""
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
    """Part `step` of the members in one random order after another, without gaps."""
    start, stop, count = step * size, (step + 1) * size, len(members)
    passes = range(start // count, (stop - 1) // count + 1)
    order = torch.cat([_shuffled(count, seed, number) for number in passes])
    return members[order[start - passes[0] * count : stop - passes[0] * count]]


# --- many times of one subject ---------------------------------------------------------------------


@dataclass(frozen=True)
class SubjectTimes(Batching):
    """Batches of one subject at times at least `gap` apart, followed by labelled instants of any subject.

    The views of an instant are its positives and the other instants its negatives [Mitra20]. Subjects are drawn in
    proportion to the number of their instants that far apart. Subjects with too few for a batch are joined by as few
    others as necessary. Where fewer labelled instants exist than a batch needs, some occur twice."""

    # seconds between two instants of a sequence, at least: nearer frames show the same pose; 0: any
    gap: float = 0.5
    # labelled instants per batch
    labelled: int = 32

    def __post_init__(self) -> None:
        if self.gap < 0 or self.labelled < 0:
            raise InputError(
                f"SubjectTimes: gap (seconds) and labelled (instants) are 0 or more, got {self.gap} and "
                f"{self.labelled}."
            )

    @property
    def reads(self) -> frozenset[str]:
        """Subject, sequence and time, and which instants are labelled if any are wanted."""
        return frozenset({"subject", "sequence", "time"} | ({"labelled"} if self.labelled else set()))

    def draws(self, data: Instants, size: int, seed: int) -> Draws:
        """The function from a step to the instants of its batch.

        Args:
            data: training instants.
            size: instants per batch.
            seed: of the random choice.

        Raises:
            ValueError: no subject has two instants that far apart, none is labelled, or too few of a batch are left."""
        return _Turns(self, data, size, seed)


class _Turns:
    """Chooses subjects and times of each batch."""

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
        labelled_instants = (
            seen.labelled.nonzero().flatten() if config.labelled else torch.empty(0, dtype=torch.long)
        )
        if config.labelled and not len(labelled_instants):
            raise InputError(
                f"SubjectTimes: {config.labelled} instants of every batch are to have labels, and no instant of the "
                f"training data has. Show some (labels.split, labels.share), or set batching.labelled to 0."
            )
        self.labelled, self.labelled_instants = config.labelled, labelled_instants

    def __call__(self, step: int) -> Int[Tensor, "picked"]:
        generator = torch.Generator().manual_seed(self.seed * _SEEDS + step)
        picked: list[int] = []
        for who in torch.multinomial(self.room, int((self.room > 0).sum()), generator=generator).tolist():
            picked += self._times(who, self.wanted - len(picked), generator)
            if len(picked) == self.wanted:
                break
        parts = [torch.tensor(picked)]
        if self.labelled:
            rounds = -(-self.labelled // len(self.labelled_instants))
            order = [torch.randperm(len(self.labelled_instants), generator=generator) for _ in range(rounds)]
            parts.append(self.labelled_instants[torch.cat(order)[: self.labelled]])
        return torch.cat(parts)

    def _times(self, who: int, wanted: int, generator: torch.Generator) -> list[int]:
        """Random instants of a subject, as many as wanted or as there is room for."""
        members, most = self.members[who], min(wanted, len(self.apart[who]))
        shuffled = members[torch.randperm(len(members), generator=generator)].tolist()
        found = self._apart(shuffled, most)
        # what was taken first left gaps too small to use
        if len(found) < most:
            tight = torch.tensor(self.apart[who])
            found = tight[torch.randperm(len(tight), generator=generator)[:most]].tolist()
        return found

    def _apart(self, candidates: Iterable[int], most: int = -1) -> list[int]:
        """Greedy selection of candidates that keep the gap to all selected before; at most `most`, if given."""
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
        """In order of time, for which the greedy selection finds the most."""
        return sorted(members.tolist(), key=lambda instant: self.time[instant])


def _shuffled(count: int, seed: int, number: int) -> Int[Tensor, "count"]:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * _SEEDS + number))
