"""Textures of patterns that mix two colours on cloth, floors and walls."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

# patterns; they are referred to by index
KINDS = ("plain", "rings", "checks", "clouds", "stripes", "blobs")
# periods of each pattern along a side of its texture, which is periodic
PERIODS = 8
_SIDE = 256


def patterns() -> UInt8[np.ndarray, "kinds side side"]:
    """One layer for each of `KINDS`: 0 for the first colour, 255 for the second. Deterministic."""
    half = (torch.arange(_SIDE) * 2 * PERIODS // _SIDE) % 2
    rows, columns = torch.meshgrid(half, half, indexing="ij")
    clouds = (_noise(PERIODS, 1) + 0.5 * _noise(2 * PERIODS, 2) + 0.25 * _noise(4 * PERIODS, 3)) / 1.75
    blobs = ((_noise(PERIODS, 4) - 0.42) * 8).clamp(0, 1)
    layers = [torch.zeros_like(rows), rows, (rows + columns) % 2, clouds, columns, blobs]
    return torch.stack([(255 * layer).round().to(torch.uint8) for layer in layers]).numpy()


def _noise(cells: int, seed: int) -> Tensor:
    """Smooth periodic noise in [0, 1] with `cells` independent values along a side."""
    lattice = torch.rand(cells, cells, generator=torch.Generator().manual_seed(seed))
    place = (torch.arange(_SIDE) + 0.5) * cells / _SIDE
    low = place.long() % cells
    share = place - place.floor()
    share = share * share * (3 - 2 * share)
    rows = torch.lerp(lattice[low], lattice[(low + 1) % cells], share[:, None])
    return torch.lerp(rows[:, low], rows[:, (low + 1) % cells], share)
