"""Precision, memory layout and compilation of networks during training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from coview.errors import InputError

Precision = Literal["32", "bf16"]


# Where convolutions want channels innermost. A processor trains no faster so.
_CHANNELS_LAST_ON = frozenset({"cuda"})
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


@contextmanager
def networks_in(
    precision: Precision, method: nn.Module, device: torch.device, *, compiled: bool = False
) -> Iterator[None]:
    """Context in which the method's networks, its direct submodules, compute in a precision while training.

    Their outputs are float32 again; in evaluation mode they compute in float32 throughout. Images and volumes are laid
    out channels-last where that is faster. Names, precision and layout of the weights do not change.

    Args:
        precision: "32" or "bf16" (autocast).
        method: The method.
        device: Where it trains.
        compiled: Whether networks go through torch.compile.
    """
    if precision == "32" and not compiled and device.type not in _CHANNELS_LAST_ON:
        yield
        return
    networks = list(method.children())
    for network in networks:
        forward = torch.compile(network.forward) if compiled else network.forward
        network.__dict__["forward"] = _learning(network, network.forward, forward, precision, device.type)
    try:
        yield
    finally:
        for network in networks:
            del network.__dict__["forward"]


def check_precision(precision: Precision, device: str) -> None:
    """Check that a device has arithmetic for a precision.

    Args:
        precision: "32" or "bf16".
        device: A device's name; "auto": the one that would be taken.

    Raises:
        InputError: The device can only emulate bfloat16, which is slower than float32.
    """
    kind = _automatic() if device == "auto" else torch.device(device).type
    if precision == "bf16" and not _has_bfloat16(kind):
        raise InputError(
            f"precision 'bf16': this machine's {kind} has no arithmetic for bfloat16, and emulating it is "
            f"slower than float32. Use precision '32', or another device."
        )


def _automatic() -> str:
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else "cpu"


def _has_bfloat16(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu":
        able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in older torch
        return any(has for name, has in able.items() if "bf16" in name)
    return False  # nobody has measured it


def _learning(
    network: nn.Module,
    plain: Callable[..., Any],
    forward: Callable[..., Any],
    precision: Precision,
    device: str,
) -> Callable[..., Any]:
    def cast(*inputs: Any, **named: Any) -> Any:
        if not network.training:
            return plain(*inputs, **named)
        if device in _CHANNELS_LAST_ON:
            inputs, named = tree_map(_channels_last, (inputs, named))
        if precision == "32":
            return forward(*inputs, **named)
        with torch.autocast(device, torch.bfloat16):
            answer = forward(*inputs, **named)
        return tree_map(_single, answer)

    return cast


def _channels_last(value: Any) -> Any:
    layout = _LAYOUTS.get(value.dim()) if isinstance(value, Tensor) else None
    return value.contiguous(memory_format=layout) if layout else value


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
