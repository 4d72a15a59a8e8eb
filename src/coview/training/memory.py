"""Estimates the memory that training needs before it starts, and advises where it does not suffice.

Activations are measured: one instant goes forward and backward, and everything else is arithmetic."""

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from coview.cameras import Cameras
from coview.data.base import Instants
from coview.errors import InputError
from coview.methods.shared.base import Method
from coview.networks.recompute import statistics_kept
from coview.sample import MultiView
from coview.training.recipe import Recipe

# share of the free memory beyond which a training is said not to fit; ours: allocators leave gaps
_USABLE = 0.9
_FULL = ("out of memory", "can't allocate memory", "not enough memory")  # how torch says it, by device


class TooLarge(InputError, RuntimeError):
    """The memory of the device is full: settings are to be changed, found out while running."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes that a training will hold at once."""

    weights: int
    gradients: int
    # Adam's two moments
    optimiser: int
    # of one instant, forward and backward
    activations: int
    # worked through at once
    instants: int
    # that lies on the device
    data: int
    # on the device, before all this; None: not known
    free: int | None
    device: str

    @property
    def total(self) -> int:
        """Bytes that training needs in all."""
        return self.weights + self.gradients + self.optimiser + self.data + self.instants * self.activations

    @property
    def fits(self) -> bool:
        """Whether training fits in the free memory; True where that is not known."""
        return self.free is None or self.total <= _USABLE * self.free

    def at(self, instants: int) -> "MemoryEstimate":
        """The estimate for another number of instants at once.

        Args:
            instants: Instants worked through at once.

        Returns:
            The estimate, otherwise the same.
        """
        return MemoryEstimate(**{**vars(self), "instants": instants})

    def line(self) -> str:
        """The estimate as one line for the user, in gigabytes."""
        parts = {
            "weights": self.weights,
            "gradients": self.gradients,
            "Adam": self.optimiser,
            f"activations of {self.instants} instants": self.instants * self.activations,
            "data": self.data,
        }
        words = ", ".join(f"{name} {_gigabytes(size)}" for name, size in parts.items())
        free = "an unknown amount" if self.free is None else f"{_gigabytes(self.free)} GB"
        return f"memory: about {_gigabytes(self.total)} GB needed ({words}), {free} free on {self.device}"


def estimate(method: Method[Any], recipe: Recipe, data: Instants, device: torch.device) -> MemoryEstimate:
    """Memory that training will take: one instant is run forward and backward, the rest is arithmetic.

    The method is left as it was: its gradients are cleared, its running statistics and the random generators restored.

    Args:
        method: The method, on the device it will train on.
        recipe: Batch size, accumulation and augmentation.
        data: The training data, where it will lie while training.
        device: The device.

    Returns:
        Bytes by purpose.
    """
    parameters = list(method.parameters())
    weights = sum(_size(each) for each in (*parameters, *method.buffers()))
    learnt = sum(_size(each) for each in parameters if each.requires_grad)
    there, free = held_bytes(data) if data.device.type == device.type else 0, free_memory(device)
    peak = _peak(method, recipe, data[:1], device)
    return MemoryEstimate(
        weights=weights,
        gradients=learnt,
        optimiser=2 * learnt,
        activations=max(peak - learnt, 0),
        instants=max(1, min(recipe.batch_size, len(data)) // recipe.accumulate),
        data=there,
        free=None if free is None else free + weights + there,  # these lie there already
        device=device.type,
    )


def advice(recipe: Recipe, expected: MemoryEstimate | None = None) -> list[str]:
    """Settings to change where memory is short, those with the least side effects first.

    Args:
        recipe: The recipe.
        expected: The estimate, from which the needed accumulation follows; None: not known.

    Returns:
        Phrases, each naming a flag and its effect; at least one.
    """
    words = []
    if parts := _parts(recipe, expected):
        words.append(f"--accumulate {parts} (the same batches, worked through in {parts} parts)")
    if getattr(recipe.method, "checkpointing", None) is False:
        words.append("--method.checkpointing (activations computed twice: far less memory, a third slower)")
    if recipe.precision == "32" and (expected is None or expected.device == "cuda"):
        words.append("--precision bf16 (half the activations; for a GPU)")
    for name, what in (
        ("size", "pixels of the crops; the data's size too"),
        ("cells", "along a side of the volume"),
    ):
        if hasattr(recipe.method, name):
            words.append(f"a smaller --method.{name} than {getattr(recipe.method, name)} ({what})")
    if recipe.batch_size > 1:
        words.append(f"a smaller --batch-size than {recipe.batch_size} (which changes what is learnt)")
    return words or ["a smaller network"]


@contextmanager
def explained(recipe: Recipe, expected: MemoryEstimate | None) -> Iterator[None]:
    """Context in which running out of memory raises TooLarge with advice.

    Args:
        recipe: The recipe in training.
        expected: The estimate made before training, or None.

    Raises:
        TooLarge: Memory ran out inside.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _FULL):
            raise
        told = f" ({expected.line()})" if expected else ""
        raise TooLarge(
            f"the memory is full after all{told}. What was learnt until the last checkpoint is kept, but a changed "
            f"recipe begins anew. Change one of these: {'; '.join(advice(recipe, expected))}."
        ) from error


def free_memory(device: torch.device) -> int | None:
    """Bytes available on a device.

    Args:
        device: The device.

    Returns:
        Bytes; None where the system does not tell.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return _available() if device.type == "cpu" else None


def fits_beside(data: Instants, device: torch.device) -> bool:
    """Whether a data set may be moved to the device as a whole: it takes at most a quarter of the free memory.

    Args:
        data: The data.
        device: The device.

    Returns:
        True on the CPU, for data read from disk as needed, and where the free memory is not known.
    """
    free = free_memory(device)
    return device.type == "cpu" or data.slow or free is None or 4 * held_bytes(data) <= free


def held_bytes(data: Instants) -> int:
    """Bytes of a data set's instants in memory.

    Args:
        data: The data.

    Returns:
        Bytes; 0 for data that is read from disk as needed.
    """
    return 0 if data.slow or not len(data) else len(data) * _instant_bytes(data[:1])


def _instant_bytes(instant: MultiView) -> int:
    stored = [instant.stored(name) for name in instant.fields]
    tensors = [t for each in stored for t in (_tensors(each) if isinstance(each, Cameras) else [each])]
    return sum(_size(tensor) for tensor in tensors)


def _tensors(cameras: Cameras) -> list[Tensor]:
    return [getattr(cameras, field.name) for field in fields(cameras)]


def _parts(recipe: Recipe, expected: MemoryEstimate | None) -> int | None:
    """In how many parts a batch would fit; without an estimate, the next number of parts; None where none helps."""
    possible = [n for n in range(recipe.accumulate + 1, recipe.batch_size + 1) if recipe.batch_size % n == 0]
    if expected is None or expected.fits:
        return possible[0] if possible else None
    return next((n for n in possible if expected.at(recipe.batch_size // n).fits), None)


def _peak(method: Method[Any], recipe: Recipe, instant: MultiView, device: torch.device) -> int:
    """Bytes alive at once, at most, while one instant is learnt from, beyond those alive before."""
    was_training = method.training
    cuda = [device] if device.type == "cuda" else []
    eager = torch.compiler.set_stance("force_eager") if recipe.compile else nullcontext()
    with eager, torch.random.fork_rng(devices=cuda), statistics_kept(method), _Alive() as alive:
        method.train()
        if cuda:
            torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) if cuda else 0
        batch = recipe.augment(instant.to(device)).only(method.needs)
        terms = method.losses(method(batch.only(method.inputs)), batch)
        torch.stack(list(terms.values())).sum().backward()
        peak = torch.cuda.max_memory_allocated(device) - before if cuda else alive.peak
    method.zero_grad(set_to_none=True)
    method.train(was_training)
    return peak


class _Alive(TorchDispatchMode):
    """Counts the bytes of all tensors made inside that are alive, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.peak, self._known = 0, 0, set[int]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {_key(each) for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)}
        answer = func(*args, **(kwargs or {}))
        for each in tree_flatten(answer)[0]:
            if isinstance(each, Tensor) and _key(each) not in given | self._known:
                self._add(each)
        return answer

    def _add(self, made: Tensor) -> None:
        storage, key = made.untyped_storage(), _key(made)
        size = storage.nbytes()
        self._known.add(key)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.bytes -= size


def _key(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _available() -> int | None:
    """Of the computer, or of the container, whichever is less."""
    limits = []
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(1024 * int(lines["MemAvailable"].split()[0]))
    except (OSError, KeyError, ValueError):
        if hasattr(os, "sysconf") and "SC_AVPHYS_PAGES" in os.sysconf_names:
            limits.append(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        group = Path("/sys/fs/cgroup")
        used = int((group / "memory.current").read_text())
        limits.append(int((group / "memory.max").read_text()) - used)
    except (OSError, ValueError):
        pass  # no limit
    return min(limits) if limits else None


def _size(tensor: Tensor | nn.Parameter) -> int:
    return tensor.numel() * tensor.element_size()


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f}" if size < 1e10 else f"{size / 1e9:.0f}"
