"""Where a run computes: which devices a recipe can name, and whether this machine has them."""

from typing import Literal, get_args

import torch

from coview.errors import InputError

Device = Literal["auto", "cpu", "cuda", "mps"]
DEVICES: tuple[str, ...] = get_args(Device)  # auto: a GPU where there is one


def check_device(device: str) -> None:
    """ValueError naming what there is, where this machine lacks `device` or nobody knows it."""
    there = [name for name in DEVICES if _has(name)]
    if device not in there:
        problem = "is not on this machine" if device in DEVICES else "is no device that coview knows"
        raise InputError(f"device '{device}' {problem}. Choose with --device among: {', '.join(there)}.")


def resolved(device: str) -> torch.device:
    """What a recipe's `device` means here; "auto" is a GPU where there is one, and so is one that is not here."""
    there = [name for name in ("cuda", "mps") if _has(name)]
    return torch.device(device if device != "auto" and _has(device) else there[0] if there else "cpu")


def _has(name: str) -> bool:
    if name == "cuda":
        return torch.cuda.is_available()
    return name != "mps" or torch.backends.mps.is_available()
