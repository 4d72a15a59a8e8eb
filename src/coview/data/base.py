"""A data set as indexable instants, and the frozen config that describes one."""

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
    """Many instants, indexed in batches: the interface of a data set to training and evaluation."""

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
        """Names of the fields that can be read."""

    @property
    @abstractmethod
    def skeleton(self) -> Skeleton:
        """Skeleton of the joints."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Device of the batches, and of an index."""

    @abstractmethod
    def only(self, names: frozenset[str]) -> "Instants":
        """The same instants with every other field hidden.

        Args:
            names: fields to keep."""

    @abstractmethod
    def to(self, device: torch.device | str) -> "Instants":
        """The same instants on another device.

        Args:
            device: of the result."""

    @abstractmethod
    def replaced(self, **fields: Any) -> "Instants":
        """The same instants with fields exchanged or added, e.g. `base_point`.

        Args:
            fields: values by name, instants first."""

    def batches(self, size: int) -> Iterator[MultiView]:
        """Every instant once, in order; the last batch may be smaller.

        Args:
            size: instants per batch."""
        for start in range(0, len(self), size):
            yield self[start : start + size]


class InMemory(Instants):
    """Instants held in memory as one `MultiView` whose first axis counts them.

    Args:
        instants: all of them.

    Raises:
        ValueError: it has no fields, or they count different numbers of instants."""

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
        """Names of the fields that can be read."""
        return self.instants.fields

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the joints."""
        return self.instants.skeleton

    @property
    def device(self) -> torch.device:
        """Device of the fields."""
        return self.instants.stored(sorted(self.fields)[0]).device

    def only(self, names: frozenset[str]) -> "InMemory":
        """The same instants with every other field hidden.

        Args:
            names: fields to keep."""
        return InMemory(self.instants.only(names))

    def to(self, device: torch.device | str) -> "InMemory":
        """The same instants on another device.

        Args:
            device: of the result."""
        return InMemory(self.instants.to(device))

    def replaced(self, **fields: Any) -> "InMemory":
        """The same instants with fields exchanged or added.

        Args:
            fields: values by name, instants first."""
        return InMemory(self.instants.replaced(**fields))


@dataclass(frozen=True)
class DataConfig(ABC):
    """Which data a recipe uses. Nothing is read before `train` or `validation`."""

    @property
    @abstractmethod
    def provides(self) -> frozenset[str]:
        """Fields that every training instant will have, known without loading anything."""

    def remedy(self, field: str) -> str:
        """What a user can do where a needed field is not provided, as a sentence.

        Args:
            field: name of the field.

        Returns:
            The sentence; empty where there is no remedy."""
        return ""

    @abstractmethod
    def train(self) -> Instants:
        """The instants to learn from."""

    @abstractmethod
    def validation(self) -> Instants:
        """Instants that training never sees; with `joints3d` and `cameras` where the truth is known."""


def joined(parts: list[MultiView]) -> MultiView:
    """Several batches concatenated along the instants; fields that one of them lacks are left out.

    Args:
        parts: batches of one skeleton.

    Raises:
        ValueError: the parts have different skeletons."""
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
