"""3D convolutions slab by slab along the first axis at inference: the memory of one volume instead of three.

A slab is freed as soon as the next layer has read it; only the cells that the next slab needs too are kept.
"""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Slabs = Iterable[Float[Tensor, "b channels _ y z"]]

# cells of a slab: even, and each of the five residual blocks of full size takes two from the first slab
_CELLS = 12


def slabs(volume: Float[Tensor, "b channels x y z"]) -> list[Float[Tensor, "b channels _ y z"]]:
    """Parts of a volume along its first axis, copied so that they do not keep the whole alive.

    Args:
        volume: to be cut."""
    if volume.shape[2] <= _CELLS:
        return [volume]
    return [part.clone() for part in volume.split(_CELLS, dim=2)]


def pop_each(volumes: list[Tensor]) -> Iterator[Tensor]:
    """Yields the volumes in order and removes each from the list, so that its memory can be freed.

    Args:
        volumes: list that is emptied."""
    while volumes:
        yield volumes.pop(0)


def convolved(layers: nn.Sequential, volume: Slabs, cells: int) -> Iterator[Float[Tensor, "b outputs _ y z"]]:
    """A 3³ convolution with padding 1 and the pointwise layers after it, over slabs; equal to the whole volume's
    result.

    The first slab is one cell thinner than the one that comes in, the last, which completes `cells`, one thicker.

    Args:
        layers: the convolution, then pointwise layers.
        volume: slabs in order.
        cells: length of the whole volume along the first axis."""
    convolution, after = layers[0], layers[1:]
    # input cells that the next output cells need
    context: Tensor | None = None
    read = 0
    # popped when yielded: a variable would keep the slab alive while the next layer works
    ready: list[Tensor] = []
    for slab in volume:
        read += slab.shape[2]
        beyond = torch.zeros_like(slab[:, :, :1])
        context = torch.cat(
            [beyond if context is None else context, slab, *([beyond] if read == cells else [])], dim=2
        )
        del slab
        ready.append(after(_within(convolution, context)))
        context = context[:, :, -2:].clone()
        yield ready.pop()


def _within(convolution: nn.Module, volume: Tensor) -> Tensor:
    weight, bias = convolution.parameters()
    if volume.dtype == torch.float32 and torch.backends.mkldnn.is_available():
        # what conv3d takes for large volumes; it would unfold small ones to 27 times their size
        return torch.mkldnn_convolution(volume, weight, bias, (0, 1, 1), (1, 1, 1), (1, 1, 1), 1)
    return functional.conv3d(volume, weight, bias, padding=(0, 1, 1))
