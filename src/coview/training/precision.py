"""Networks in half precision while they learn; rotations, losses and weights stay in float32."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

Precision = Literal["32", "bf16"]


@contextmanager
def networks_in(precision: Precision, method: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, the modules directly below `method` (its networks) compute in `precision` while training.

    What they answer is float32 again; in evaluation mode they compute in float32 throughout. Names
    and precision of the weights do not change."""
    if precision == "32":
        yield
        return
    networks = list(method.children())
    for network in networks:
        network.__dict__["forward"] = _in_bfloat16(network, network.forward, device.type)
    try:
        yield
    finally:
        for network in networks:
            del network.__dict__["forward"]


def check_precision(precision: Precision, device: str) -> None:
    """ValueError where `device` ("auto": the one that would be taken) can only emulate bfloat16."""
    kind = _automatic() if device == "auto" else torch.device(device).type
    if precision == "bf16" and not _has_bfloat16(kind):
        raise ValueError(
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


def _in_bfloat16(network: nn.Module, forward: Callable[..., Any], device: str) -> Callable[..., Any]:
    def cast(*inputs: Any, **named: Any) -> Any:
        if not network.training:
            return forward(*inputs, **named)
        with torch.autocast(device, torch.bfloat16):
            answer = forward(*inputs, **named)
        return tree_map(_single, answer)

    return cast


def _single(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
