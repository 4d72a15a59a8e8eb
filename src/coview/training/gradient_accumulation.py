"""Splits batches into equal parts, for gradient accumulation and for several devices.

Lightning's `accumulate_grad_batches` counts batches of the loader: with it alone, `accumulate` 4 would make an update
of four batches. A recipe says how many instants an update sees, so the loader cuts each of its batches into that many
parts and Lightning accumulates their gradients. Several devices share the parts among them in the same way: neither
changes what an update sees, or what is drawn for it."""

from collections.abc import Iterator

from coview.data.loading import Batches
from coview.errors import InputError
from coview.sample import MultiView


class Parts:
    """Every batch in `count` × `ranks` equal parts, of which one process works through `count`, one after the other.

    Its length counts all parts, those before a resumed step too, as Lightning expects of a loader with state."""

    def __init__(self, batches: Batches, count: int, rank: int = 0, ranks: int = 1) -> None:
        self.batches, self.count, self.rank, self.ranks = batches, count, rank, ranks
        self._length = len(batches) * count

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[MultiView]:
        for batch in self.batches:
            yield from self._cut(batch)

    def state_dict(self) -> dict[str, int]:
        """Where iterating begins."""
        return {"step": self.batches.first}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume with the batch of another step.

        Args:
            state: "step": the first step.
        """
        self.batches = self.batches.since(state["step"])

    def _cut(self, batch: MultiView) -> Iterator[MultiView]:
        parts = self.count * self.ranks
        if parts == 1:
            yield batch
            return
        instants = len(batch.stored(min(batch.fields)))
        size, left = divmod(instants, parts)
        if left:
            raise InputError(
                f"a batch of {instants} instants cannot be cut into {parts} equal parts, and unequal ones would "
                f"not weigh alike. The data may hold less than one batch: choose another batch_size, accumulate or "
                f"devices."
            )
        for part in range(self.rank * self.count, (self.rank + 1) * self.count):
            yield batch[part * size : (part + 1) * size]
