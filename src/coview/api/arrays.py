"""Arrays of any kind in, the same kind out: NumPy, torch, nested lists; floats and integers; any memory layout.

| what came in | computed in | what goes out |
|---|---|---|
| NumPy float32, float64 | that type | NumPy, that type |
| torch float32, float64 | that type, on that device, with its gradient | torch, that type, on that device |
| integers | float64 | NumPy or torch float64 |
| nested lists and tuples of numbers | float64 | NumPy float64 (a list of tensors: torch) |
| float16, bfloat16 | float32 | float32: half a type cannot hold a pixel of a wide image |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from coview.errors import InputError

# What the public functions accept as numbers: a NumPy array, a torch tensor or nested sequences of numbers. It is `Any`
# because every value is looked at by `read`, whose messages say more than a type checker's.
ArrayLike: TypeAlias = Any
# One number; 30 is as good as 30.0.
Number: TypeAlias = float | int


@dataclass(frozen=True)
class Kind:
    """Of which kind an array was, so that the answer can be of the same."""

    numpy: bool
    # of the answer, where it holds numbers that are not whole
    dtype: torch.dtype
    device: torch.device

    def give(self, values: Tensor) -> Any:
        """`values` in this kind; truth values keep their type. A NumPy answer of one number is a NumPy scalar."""
        if values.is_floating_point():
            values = values.to(self.dtype)
        return values.detach().cpu().numpy()[()] if self.numpy else values.to(self.device)

    def joined(self, other: "Kind") -> "Kind":
        """For an answer that rests on two arrays alike: the kind of the first, in the finer of both types."""
        return Kind(self.numpy, torch.promote_types(self.dtype, other.dtype), self.device)


def read(name: str, values: ArrayLike) -> tuple[Tensor, Kind]:
    """Numbers as a floating tensor, and of which kind they were.

    Args:
        name: What the caller calls them; begins every message.
        values: A NumPy array, a torch tensor, or nested lists of numbers. Never changed.

    Returns:
        A tensor of float32 or float64 that may share memory with `values`, and its `Kind`.

    Raises:
        InputError: They are no numbers, complex, truth values, or lists of unequal length."""
    if isinstance(values, Sequence) and len(values) and isinstance(values[0], Tensor):
        values = _stacked(name, values)
    if isinstance(values, Tensor):
        tensor = values.to(_floating(name, values.dtype))
        return tensor, Kind(False, tensor.dtype, tensor.device)
    tensor = _from_numpy(name, _as_numpy(name, values))
    return tensor, Kind(True, tensor.dtype, tensor.device)


def as_float(number: Number | None) -> float | None:
    """The same number as a float; None stays None."""
    return None if number is None else float(number)


def read_beside(name: str, values: ArrayLike, beside: Tensor) -> Tensor:
    """As `read`, on the device of a tensor that it will be computed with."""
    return read(name, values)[0].to(beside.device)


def _stacked(name: str, values: Sequence[Any]) -> Tensor:
    try:
        return torch.stack(list(values))
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"{name}: a list of tensors of unequal shapes or kinds cannot be one array: {error}."
        ) from error


def _floating(name: str, dtype: torch.dtype) -> torch.dtype:
    """The type that numbers of `dtype` are computed in."""
    if dtype.is_complex or dtype == torch.bool:
        raise InputError(f"{name}: numbers are needed, and these are {_called(dtype)}.")
    if not dtype.is_floating_point:
        return torch.float64
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32


def _called(dtype: torch.dtype) -> str:
    return "truth values (bool)" if dtype == torch.bool else f"complex ({str(dtype).removeprefix('torch.')})"


def _as_numpy(name: str, values: Any) -> np.ndarray:
    """Any array-like as an array of float32 or float64."""
    if isinstance(values, str | bytes | dict | set) or values is None:
        raise InputError(
            f"{name}: a NumPy array, a torch tensor or nested lists of numbers are needed, got {type(values).__name__}."
        )
    try:
        array = (
            np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
            if np.ma.isMA(values)
            else np.asarray(values)
        )
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{name}: this {type(values).__name__} is no regular array of numbers ({error}). Every list in it must "
            f"have the same length; write NaN where a number is not known."
        ) from error
    if array.dtype.kind in "iu":
        return array.astype(np.float64)
    if array.dtype.kind != "f":
        what = {"b": "truth values (bool)", "c": "complex", "O": "objects"}.get(
            array.dtype.kind, str(array.dtype)
        )
        hint = " Write NaN, not None, where a number is not known." if array.dtype.kind == "O" else ""
        raise InputError(f"{name}: numbers are needed, and these are {what}.{hint}")
    return array.astype(np.float64 if array.dtype.itemsize >= 8 else np.float32, copy=False)


def _from_numpy(name: str, array: np.ndarray) -> Tensor:
    """Without copying where torch can read the memory as it lies: forwards, native byte order, writable."""
    array = np.asarray(array, dtype=array.dtype.newbyteorder("="))
    if any(stride < 0 for stride in array.strides) or not array.flags.writeable:
        array = array.copy()
    return torch.from_numpy(array)
