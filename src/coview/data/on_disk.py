"""Instants whose images do not fit into memory: labels are held, images are read when indexed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from coview.data.base import InMemory, Instants
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import Skeleton

# Reads the RGB image of an instant (first argument) in a view (second), from any thread.
ReadPicture = Callable[[int, int], UInt8[Tensor, "3 height width"]]


class OnDisk(Instants):
    """Labels in memory, and images of one size read by a function when indexed.

    Errors of the function are raised by the indexing.

    Args:
        labels: without images, with cameras.
        read: reads the RGB image of an instant in a view; called from several threads.
        threads: that read at once.

    Raises:
        ValueError: the labels hold images, or no cameras, which say how many views there are."""

    slow = True

    def __init__(self, labels: InMemory, read: ReadPicture, threads: int = 8) -> None:
        if "images" in labels.fields or "cameras" not in labels.fields:
            raise InputError(
                f"OnDisk: labels need 'cameras', one per view, and no 'images', which are read from disk; "
                f"got {', '.join(sorted(labels.fields))}."
            )
        self.labels, self.read, self.threads = labels, read, threads
        self._shown = labels.fields | {"images"}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Int[Tensor, "*picked"] | slice) -> MultiView:
        """The instants at `index`, with their images read now."""
        labels = self.labels[index].only(self._shown)
        chosen = torch.arange(len(self))[index if isinstance(index, slice) else index.cpu()]
        return labels.replaced(images=self._pictures(chosen))

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields that can be read."""
        return self._shown

    @property
    def skeleton(self) -> Skeleton:
        """Skeleton of the joints."""
        return self.labels.skeleton

    @property
    def device(self) -> torch.device:
        """Device of the batches."""
        return self.labels.device

    def only(self, names: frozenset[str]) -> Instants:
        """The same instants with every other field hidden; without "images" no file is read.

        Args:
            names: fields to keep."""
        shown = self._shown & names
        if "images" not in shown:
            return self.labels.only(shown)
        return self._with(self.labels, shown)

    def to(self, device: torch.device | str) -> "OnDisk":
        """The same instants on another device; images move when they are read.

        Args:
            device: of the result."""
        return self._with(self.labels.to(device), self._shown)

    def replaced(self, **fields: Any) -> "OnDisk":
        """The same instants with labels exchanged or added.

        Args:
            fields: values by name, instants first.

        Raises:
            ValueError: images are given, which are read."""
        return self._with(self.labels.replaced(**fields), self._shown | frozenset(fields))

    def _with(self, labels: InMemory, shown: frozenset[str]) -> "OnDisk":
        made = OnDisk(labels, self.read, self.threads)
        made._shown = shown
        return made

    def _pictures(self, chosen: Int[Tensor, "*picked"]) -> UInt8[Tensor, "*picked views 3 height width"]:
        views = self.labels.instants.cameras.size.shape[1]
        wanted = list(product(chosen.flatten().tolist(), range(views)))
        if not wanted:
            return torch.empty(*chosen.shape, views, 3, 1, 1, dtype=torch.uint8, device=self.device)
        with ThreadPoolExecutor(self.threads) as pool:
            pictures = torch.stack(list(pool.map(self.read, *zip(*wanted, strict=True))))
        return pictures.reshape(*chosen.shape, views, *pictures.shape[1:]).to(self.device)
