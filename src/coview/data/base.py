"""A data set as instants to be indexed, and the frozen value that describes one."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import Skeleton


class Instants(ABC):
    """Many instants, counted; a batch is one indexing. What a data set is to training and scoring."""

    # whether indexing waits for files, so that the next batch should be on its way while this one is used
    slow = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Int[Tensor, "*picked"] | slice) -> MultiView:
        """The instants at `index`; the index lies on `device`."""

    @property
    @abstractmethod
    def fields(self) -> frozenset[str]:
        """The names of the fields that can be read."""

    @property
    @abstractmethod
    def skeleton(self) -> Skeleton: ...

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where batches lie, and where an index must."""

    @abstractmethod
    def only(self, names: frozenset[str]) -> "Instants":
        """The same instants with every field outside `names` hidden."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "Instants":
        """The same instants on `device`."""

    @abstractmethod
    def having(self, **fields: Any) -> "Instants":
        """The same instants with fields exchanged or added, e.g. `base_point`."""

    def batches(self, size: int) -> Iterator[MultiView]:
        """Every instant once, in order; the last batch may be smaller."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


class InMemory(Instants):
    """Many instants held as one `MultiView` whose first axis counts them."""

    def __init__(self, instants: MultiView) -> None:
        lengths = {name: len(instants.stored(name)) for name in sorted(instants.fields)}
        if not lengths:
            raise InputError("InMemory: the sample has no fields at all, so it holds no instants.")
        if len(set(lengths.values())) > 1:
            raise InputError(
                f"InMemory: the fields count different numbers of instants: {lengths}. "
                f"Every field needs the instants as its first axis."
            )
        self.instants = instants
        self._length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Int[Tensor, "*picked"] | slice) -> MultiView:
        """The instants at `index`, gathered in one operation per field."""
        return self.instants[index]

    @property
    def fields(self) -> frozenset[str]:
        return self.instants.fields

    @property
    def skeleton(self) -> Skeleton:
        return self.instants.skeleton

    @property
    def device(self) -> torch.device:
        return self.instants.stored(sorted(self.fields)[0]).device

    def only(self, names: frozenset[str]) -> "InMemory":
        return InMemory(self.instants.only(names))

    def to(self, device: torch.device | str) -> "InMemory":
        return InMemory(self.instants.to(device))

    def having(self, **fields: Any) -> "InMemory":
        return InMemory(self.instants.replaced(**fields))


@dataclass(frozen=True)
class DataConfig(ABC):
    """Which data, as a value: what a recipe holds. Nothing is read before `train` or `validation`."""

    @property
    @abstractmethod
    def provides(self) -> frozenset[str]:
        """Fields that every training instant will have, known without loading anything."""

    def remedy(self, field: str) -> str:
        """What a user can do where `field` is needed and not provided, as a sentence; empty where there is nothing."""
        return ""

    @abstractmethod
    def train(self) -> Instants:
        """The instants to learn from."""

    @abstractmethod
    def validation(self) -> Instants:
        """Instants that training never sees; with `joints3d` and `cameras` where the truth is known."""


def joined(parts: list[MultiView]) -> MultiView:
    """Several batches of instants one after another; a field missing anywhere is missing everywhere.

    Raises ValueError for parts of different skeletons."""
    names = sorted({part.skeleton.name for part in parts})
    if len(names) != 1:
        raise InputError(
            f"cannot join instants of different skeletons: {', '.join(names) or 'no parts given'}."
        )
    shared = frozenset.intersection(*(part.fields for part in parts))
    return MultiView(parts[0].skeleton, **{name: _cat([p.stored(name) for p in parts]) for name in shared})


def _cat(column: list[Any]) -> Any:
    if isinstance(column[0], Cameras):
        names = [field.name for field in fields(Cameras)]
        return Cameras(*(torch.cat([getattr(cameras, name) for cameras in column]) for name in names))
    return torch.cat(column)
