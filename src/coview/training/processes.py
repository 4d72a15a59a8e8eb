"""Helpers for distributed training, one process per device: rank, gathering, broadcasting."""

import os
from typing import Any

from torch import Tensor, distributed


def leads(devices: int) -> bool:
    """Whether this process writes files and messages: on several devices, the one of rank 0.

    The rank is read from the environment, because it is needed before Lightning starts.

    Args:
        devices: Number of devices of the run.

    Returns:
        True for the process of rank 0, and always on one device.
    """
    return devices == 1 or int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def gathered(value: Any) -> list[Any]:
    """A value of every process; all processes must call it.

    Args:
        value: Anything that can be pickled.

    Returns:
        The values, by rank; of one process, its own alone.
    """
    if not _several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def same_everywhere(tensors: dict[str, Tensor]) -> None:
    """Broadcast the tensors of rank 0 to all processes, in place; all processes must call it.

    Args:
        tensors: The tensors, by name; every process has the same names and shapes.
    """
    if _several():
        for tensor in tensors.values():
            distributed.broadcast(tensor, src=0)


def part_ways() -> None:
    """Destroy the process group: after a training the process of rank 0 goes on alone."""
    if _several():
        distributed.destroy_process_group()


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
