"""Volumes worked on as slabs along their first axis, where nothing is learnt: the memory of one volume, not of three.

A slab is forgotten as soon as the next layer has read it; cells that the next slab needs too are kept."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Slabs = Iterable[Float[Tensor, "b channels _ y z"]]

# of a slab. Each of the five residual blocks of full size takes two cells from the first, and even numbers stay even
_CELLS = 12


def slabs(volume: Float[Tensor, "b channels x y z"]) -> list[Float[Tensor, "b channels _ y z"]]:
    """Parts of the volume that do not keep the whole."""
    if volume.shape[2] <= _CELLS:
        return [volume]
    return [part.clone() for part in volume.split(_CELLS, dim=2)]


def pop_each(volumes: list[Tensor]) -> Iterator[Tensor]:
    """Each, in turn, and the list lets go of it."""
    while volumes:
        yield volumes.pop(0)


def convolved(layers: nn.Sequential, volume: Slabs, cells: int) -> Iterator[Float[Tensor, "b outputs _ y z"]]:
    """A convolution of 3³ cells padded by one, and what follows it cell by cell: the slabs' borders do not show.

    The first slab is one cell thinner than what comes in, and the last, which makes `cells` full, one thicker."""
    convolution, after = layers[0], layers[1:]
    # what the next cells of the output are made of
    context: Tensor | None = None
    read = 0
    # a variable would hold the slab while the next layer works
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
