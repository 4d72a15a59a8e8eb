"""Which instants each training step sees, and having them ready when it asks."""

from collections.abc import Iterator

import torch
from torch import Tensor

from coview.data.base import InMemory
from coview.sample import MultiView


class Batches:
    """Whole batches by random index, without Python per sample; every instant once per pass over the data."""

    def __init__(self, data: InMemory, size: int, seed: int, first: int, last: int) -> None:
        self.data, self.size, self.seed, self.first, self.last = data, min(size, len(data)), seed, first, last

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[MultiView]:
        per_pass = len(self.data) // self.size
        order, current = torch.empty(0, dtype=torch.long), -1
        for step in range(self.first, self.last):
            number, place = divmod(step, per_pass)
            if number != current:
                current, order = number, self._order(number)
            yield self.data[order[place * self.size : (place + 1) * self.size]]

    def _order(self, number: int) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        device = getattr(self.data.instants, sorted(self.data.fields)[0]).device
        return torch.randperm(len(self.data), generator=generator).to(device)
