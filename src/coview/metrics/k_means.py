"""k-means clustering: the best of several runs of SciPy's Lloyd iterations from k-means++ starts. [Arthur07]"""

import warnings

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError

# iterations between two checks whether the assignment still changes
_BLOCK = 10


def k_means(
    points: Float[Tensor, "n dims"], k: int, *, seed: int = 0, starts: int = 10, rounds: int = 300
) -> Float[Tensor, "k dims"]:
    """Cluster centres of least summed squared distance to the points, in float64.

    Args:
        points: finite coordinates, of any unit.
        k: how many centres; at least as many different points are needed.
        seed: of the k-means++ draws. The same seed gives the same centres on the same machine; elsewhere sums may
            round differently, so centres that published numbers depend on are to be kept as a file.
        starts: runs, of which the one with the least sum is returned.
        rounds: Lloyd iterations per run at most; a run ends earlier when no point changes its centre.

    Returns:
        The centres, in the unit of the points, in no particular order.

    Raises:
        ValueError: for fewer than `k` different points, or points that are not finite."""
    _check(points, k)
    data = points.double().cpu().numpy()
    draw = np.random.default_rng(seed)
    tries = [_lloyd(data, k, draw, rounds) for _ in range(starts)]
    centres, _ = min(tries, key=lambda found: found[1])
    return torch.from_numpy(centres).to(points.device)


def _lloyd(data: np.ndarray, k: int, draw: np.random.Generator, rounds: int) -> tuple[np.ndarray, float]:
    """Centres of one run, and the summed squared distance to them."""
    from scipy.cluster.vq import kmeans2, vq

    with warnings.catch_warnings():
        # A centre that loses all its points stays where it is, and the run is unlikely to be the best.
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centres, assigned = kmeans2(data, k, iter=_BLOCK, minit="++", rng=draw)
        for _ in range(_BLOCK, rounds, _BLOCK):
            before = assigned
            centres, assigned = kmeans2(data, centres, iter=_BLOCK, minit="matrix")
            if np.array_equal(before, assigned):
                break
    return centres, float(np.square(vq(data, centres)[1]).sum())


def _check(points: Tensor, k: int) -> None:
    if not bool(points.isfinite().all()):
        raise InputError(
            "k_means: some points are not finite, and would make every centre NaN. Leave them out."
        )
    different = len(points.unique(dim=0)) if len(points) else 0
    if not 1 <= k <= different:
        raise InputError(
            f"k_means: {k} centres need as many different points at least; there are {different}."
        )
