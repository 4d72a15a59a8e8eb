"""The batches of a training run, prepared ahead of their use."""

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from coview.data.base import Instants
from coview.data.batching import Batching, Shuffled
from coview.sample import MultiView

SHUFFLED = Shuffled()
# instants without images that are predicted at a time
_AT_ONCE = 512
# values of images (three per pixel) that are predicted at a time: nine instants of four views of 384 px
_PIXELS_AT_ONCE = 2**24


class Batches:
    """Training batches of the steps `first` to `last`, without Python code per sample.

    Args:
        data: training instants.
        size: instants per batch.
        seed: of the random order.
        first: first step.
        last: step after the last one.
        batching: how batches are put together."""

    def __init__(
        self, data: Instants, size: int, seed: int, first: int, last: int, batching: Batching = SHUFFLED
    ) -> None:
        self.data, self.first, self.last = data, first, last
        self._draws = batching.draws(data, size, seed)

    def since(self, step: int) -> "Batches":
        """The same batches from another step on.

        Args:
            step: first step."""
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
    """Every instant once, in order; may be iterated repeatedly.

    Args:
        data: instants.
        size: instants per batch."""

    def __init__(self, data: Instants, size: int) -> None:
        self.data, self.size = data, size

    def __len__(self) -> int:
        return -(-len(self.data) // self.size)

    def __iter__(self) -> Iterator[MultiView]:
        batches = self.data.batches(self.size)
        return ahead(batches) if self.data.slow else batches


def at_once(data: Instants) -> int:
    """Number of instants to predict at a time: fewer where images would fill the memory.

    Args:
        data: instants."""
    if "images" not in data.fields or not len(data):
        return _AT_ONCE
    return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // data[:1].stored("images").numel()))


def ahead(batches: Iterator[MultiView]) -> Iterator[MultiView]:
    """The same batches, each prepared in a thread while the one before it is used; errors of the thread are raised
    here.

    Args:
        batches: to be prepared."""
    with ThreadPoolExecutor(1) as worker:
        coming = worker.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = worker.submit(next, batches, None)
            yield batch
