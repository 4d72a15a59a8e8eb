"""Devices that a recipe can name, and whether this machine has them."""

from typing import Literal, get_args

import torch

from coview.errors import InputError

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[str, ...] = get_args(Device)  # auto: a GPU where there is one


def check_device(device: str) -> None:
    """Check that this machine has a device.

    Args:
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        InputError: The name is unknown, or the machine lacks the device; the text lists those that it has.
    """
    there = [name for name in DEVICES if _has(name)]
    if device not in there:
        problem = "is not on this machine" if device in DEVICES else "is no device that coview knows"
        raise InputError(f"device '{device}' {problem}. Choose with --device among: {', '.join(there)}.")


def resolved(device: str) -> torch.device:
    """The torch device that a recipe's `device` means on this machine.

    Args:
        device: A name of `DEVICES`. "auto", and a device that this machine lacks, mean a GPU where there is one.

    Returns:
        The device to compute on.
    """
    there = [name for name in ("cuda", "mps") if _has(name)]
    return torch.device(device if device != "auto" and _has(device) else there[0] if there else "cpu")


def _has(name: str) -> bool:
    if name == "cuda":
        return torch.cuda.is_available()
    return name != "mps" or torch.backends.mps.is_available()
