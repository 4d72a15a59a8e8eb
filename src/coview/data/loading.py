"""Which instants each training step sees, and having them ready when it asks."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from coview.data.base import Instants
from coview.data.batching import Batching, Shuffled
from coview.sample import MultiView

SHUFFLED = Shuffled()
_AT_ONCE = 512  # instants of a few numbers each
_PIXELS_AT_ONCE = 2**24  # numbers of images, three per pixel: nine instants of four views of 384 px


class Batches:
    """Whole batches by index, without Python per sample, put together as `batching` says."""

    def __init__(
        self, data: Instants, size: int, seed: int, first: int, last: int, batching: Batching = SHUFFLED
    ) -> None:
        self.data, self.first, self.last = data, first, last
        self._draws = batching.draws(data, size, seed)

    def since(self, step: int) -> "Batches":
        """The same batches, beginning with that of another step."""
        later = copy.copy(self)
        later.first = step
        return later

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[MultiView]:
        device = self.data.device
        batches = (self.data[self._draws(step).to(device)] for step in range(self.first, self.last))
        return ahead(batches) if self.data.slow else batches


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
    return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // data[:1].stored("images").numel()))


def ahead(batches: Iterator[MultiView]) -> Iterator[MultiView]:
    """The same batches, each made in a thread while the one before it is used; what fails there fails here."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = worker.submit(next, batches, None)
            yield batch
