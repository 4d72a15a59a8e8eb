"""Which instants each training step sees, and having them ready when it asks."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Int
from torch import Tensor

from coview.data.base import Instants
from coview.sample import MultiView

_AT_ONCE = 512  # instants of a few numbers each
_PIXELS_AT_ONCE = 2**24  # numbers of images, three per pixel: nine instants of four views of 384 px


class Batches:
    """Whole batches by random index, without Python per sample; every instant once per pass over the data."""

    def __init__(self, data: Instants, size: int, seed: int, first: int, last: int) -> None:
        self.data, self.size, self.seed, self.first, self.last = data, min(size, len(data)), seed, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[MultiView]:
        batches = (self.data[index] for index in self._indices())
        return ahead(batches) if self.data.slow else batches

    def _indices(self) -> Iterator[Int[Tensor, "picked"]]:
        per_pass = len(self.data) // self.size
        order, current = torch.empty(0, dtype=torch.long), -1
        for step in range(self.first, self.last):
            number, place = divmod(step, per_pass)
            if number != current:
                current, order = number, self._order(number)
            yield order[place * self.size : (place + 1) * self.size]

    def _order(self, number: int) -> Int[Tensor, "instants"]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        return torch.randperm(len(self.data), generator=generator).to(self.data.device)


class InOrder:
    """Every instant once, in order, as often as it is gone through; from disk, where the data is there."""

    def __init__(self, data: Instants, size: int) -> None:
        self.data, self.size = data, size

    def __len__(self) -> int:
        return -(-len(self.data) // self.size)

    def __iter__(self) -> Iterator[MultiView]:
        batches = self.data.batches(self.size)
        return ahead(batches) if self.data.slow else batches


def at_once(data: Instants) -> int:
    """How many instants to predict at a time: fewer where images would fill the memory."""
    if "images" not in data.fields or not len(data):
        return _AT_ONCE
    return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // data[:1].held("images").numel()))


def ahead(batches: Iterator[MultiView]) -> Iterator[MultiView]:
    """The same batches, each made in a thread while the one before it is used; what fails there fails here."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = worker.submit(next, batches, None)
            yield batch
