"""Several processes that train together, one per device: which of them writes, and how they stay alike."""

import os
from typing import Any

from torch import Tensor, distributed


def leads(devices: int) -> bool:
    """Whether this process writes files and speaks to the user: of a run on several devices, the first one.

    The rank is read from the environment, because it is asked for before Lightning starts."""
    return devices == 1 or int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def gathered(value: Any) -> list[Any]:
    """Plain values of all processes, by rank; to be called by all of them."""
    if not _several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def same_everywhere(tensors: dict[str, Tensor]) -> None:
    """Give all processes the tensors of the first one, in place; to be called by all of them."""
    if _several():
        for tensor in tensors.values():
            distributed.broadcast(tensor, src=0)


def part_ways() -> None:
    """End what the processes share: after a training the first one works on alone, without waiting for the others."""
    if _several():
        distributed.destroy_process_group()


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
