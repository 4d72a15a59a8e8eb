"""A batch worked through in parts, so that its gradients fit where the whole batch would not."""

from collections.abc import Iterator

from coview.data.loading import Batches
from coview.sample import MultiView


class Parts:
    """Every batch in `count` equal parts, one after the other."""

    def __init__(self, batches: Batches, count: int) -> None:
        self.batches, self.count = batches, count

    def __len__(self) -> int:
        return len(self.batches) * self.count

    def __iter__(self) -> Iterator[MultiView]:
        for batch in self.batches:
            yield from self._cut(batch)

    def _cut(self, batch: MultiView) -> Iterator[MultiView]:
        if self.count == 1:
            yield batch
            return
        instants = len(batch.held(min(batch.known)))
        size, left = divmod(instants, self.count)
        if left:
            raise ValueError(
                f"a batch of {instants} instants cannot be cut into {self.count} equal parts, and unequal ones would "
                f"not weigh alike. The data may hold less than one batch: choose another batch_size or accumulate."
            )
        for start in range(0, instants, size):
            yield batch[start : start + size]
