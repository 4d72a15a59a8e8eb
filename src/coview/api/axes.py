"""What the axes of an array must be, checked at every call, and in words which mistake explains a wrong shape.

Axes are given from the back, as everywhere in coview: any number of leading batch axes (frames, people, none), then the
named ones. A shape alone often tells what went wrong: the expected one with two axes exchanged, or reversed.
"""

import itertools
from typing import NamedTuple

from torch import Tensor

from coview.errors import InputError


class Axis(NamedTuple):
    """One expected axis."""

    # "" for coordinates, which are just a number
    name: str
    # None: any
    size: int | None = None

    @property
    def words(self) -> str:
        sized = "" if self.size is None else str(self.size)
        return "=".join(filter(None, (self.name, sized)))


def expect(name: str, values: Tensor, *axes: Axis, more: str = "", batch: bool = True) -> None:
    """Compare the last axes of an array with what they must be.

    Args:
        name: Of the argument, as the caller knows it.
        values: The array.
        axes: The expected last axes; whatever comes before is batch.
        batch: Whether anything may come before.
        more: What else explains a mismatch, where the axes' order does not.

    Raises:
        InputError: They differ; the message names the axes and, where one is evident, the mistake."""
    shape = tuple(values.shape)
    if _fits(shape, axes) and (batch or len(shape) == len(axes)):
        return
    wanted = ", ".join([*["*batch"] * batch, *(axis.words for axis in axes)])
    raise InputError(
        f"{name}: expected ({wanted}), got {shape}: "
        + (_count(shape, axes, batch) or _mistake(name, shape, axes) or more or _plain(shape, axes))
    )


def expect_equal(
    name: str, values: Tensor, other_name: str, shape: tuple[int, ...], axes: tuple[str, ...]
) -> None:
    """InputError where an array has not exactly the `shape` that another one asks for; `axes` are its last ones."""
    if tuple(values.shape) == shape:
        return
    sized = [Axis(axis, size) for axis, size in zip(axes, shape[len(shape) - len(axes) :], strict=True)]
    batch = [Axis("batch", size) for size in shape[: len(shape) - len(axes)]]
    mistake = _mistake(name, tuple(values.shape), (*batch, *sized)) if values.ndim == len(shape) else ""
    wanted = ", ".join(axis.words for axis in (*batch, *sized))
    raise InputError(
        f"{name}: expected ({wanted}) to go with {other_name}, got {tuple(values.shape)}"
        + (f": {mistake}" if mistake else ".")
    )


def _fits(shape: tuple[int, ...], axes: tuple[Axis, ...]) -> bool:
    if len(shape) < len(axes):
        return False
    last = shape[len(shape) - len(axes) :]
    return all(axis.size in (None, size) for axis, size in zip(axes, last, strict=True))


def _count(shape: tuple[int, ...], axes: tuple[Axis, ...], batch: bool) -> str:
    """That there are too few axes, or too many; nothing where there are as many as there should be."""
    enough = len(shape) >= len(axes) if batch else len(shape) == len(axes)
    return "" if enough else f"it has {len(shape)} {'axis' if len(shape) == 1 else 'axes'}."


def _plain(shape: tuple[int, ...], axes: tuple[Axis, ...]) -> str:
    """What is wrong, where no other order of the axes would be right."""
    last = shape[len(shape) - len(axes) :]
    wrong = [
        f"the axis of {axis.name or 'coordinates'} has length {size}, not {axis.size}"
        for axis, size in zip(axes, last, strict=True)
        if axis.size not in (None, size)
    ]
    return f"{' and '.join(wrong)}."


def _mistake(name: str, shape: tuple[int, ...], axes: tuple[Axis, ...]) -> str:
    """The order in which the axes seem to be instead; nothing where no order fits."""
    count = len(shape)
    if count > 6:
        return ""
    pairs = sorted(itertools.combinations(range(-count, 0), 2), key=lambda pair: (-pair[0], -pair[1]))
    for first, second in pairs:
        order = list(range(count))
        order[first], order[second] = order[second], order[first]
        if _fits(tuple(shape[axis] for axis in order), axes):
            named = [_named(axis, axes) for axis in (first, second)]
            return f"{named[0]} and {named[1]} are swapped. Pass {name}.swapaxes({first}, {second})."
    if _fits(shape[::-1], axes):
        return (
            f"the array is transposed, its axes are in the reverse order. Pass {name}.T, or permute its axes."
        )
    if any(
        _fits(tuple(shape[axis] for axis in other), axes) for other in itertools.permutations(range(count))
    ):
        return "its axes are in another order."
    return ""


def _named(place: int, axes: tuple[Axis, ...]) -> str:
    """An axis, counted from the back, by the name of what belongs there."""
    if -place > len(axes):
        return "batch"
    return axes[place].name or "coordinates"
