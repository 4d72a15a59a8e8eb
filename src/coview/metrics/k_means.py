"""k-means in float64: Lloyd's iterations from k-means++ starts, the best of several. [Arthur07]"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError


def k_means(
    points: Float[Tensor, "n dims"], k: int, *, seed: int = 0, starts: int = 10, rounds: int = 300
) -> Float[Tensor, "k dims"]:
    """Centres of least summed square distance, of `starts` tries; each ends when no point changes its centre.

    The same seed gives the same centres on the same machine; elsewhere sums may round differently, so centres that
    numbers depend on are to be kept. ValueError for fewer than `k` different points, or points that are not finite."""
    points = points.double()
    _check(points, k)
    generator = torch.Generator().manual_seed(seed)
    tries = [_lloyd(points, plus_plus(points, k, generator), rounds) for _ in range(starts)]
    return min(tries, key=lambda found: float(found[1]))[0]


def plus_plus(points: Float[Tensor, "n dims"], k: int, generator: torch.Generator) -> Float[Tensor, "k dims"]:
    """Starting centres: points, each drawn with the square distance to those before it as its weight."""
    chosen = [int(_uniform(generator) * len(points))]
    nearest = (points - points[chosen[0]]).square().sum(dim=-1)
    while len(chosen) < k:
        summed = nearest.cumsum(dim=0)
        place = int(torch.searchsorted(summed, _uniform(generator) * summed[-1], right=True))
        chosen.append(min(place, len(points) - 1))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(dim=-1))
    return points[chosen]


def nearest_centre(
    points: Float[Tensor, "n dims"], centres: Float[Tensor, "k dims"]
) -> tuple[Int[Tensor, "n"], Float[Tensor, "n"]]:
    """Which centre is nearest, the first of equals, and its square distance up to rounding."""
    # |p - c|² = |p|² - 2 p·c + |c|²
    found = torch.addmm(centres.square().sum(dim=-1), points, centres.mT, alpha=-2).min(dim=-1)
    return found.indices, (found.values + points.square().sum(dim=-1)).clamp_min(0)


def _lloyd(points: Tensor, centres: Tensor, rounds: int) -> tuple[Tensor, Tensor]:
    """Centres and the summed square distance to them."""
    assigned, distance = nearest_centre(points, centres)
    for _ in range(rounds):
        centres = _means(points, assigned, distance, len(centres))
        before = assigned
        assigned, distance = nearest_centre(points, centres)
        if torch.equal(before, assigned):
            break
    return centres, distance.sum()


def _means(points: Tensor, assigned: Tensor, distance: Tensor, k: int) -> Tensor:
    """The mean of the points of each centre; one without points moves to the point that is farthest from its own."""
    count = torch.bincount(assigned, minlength=k)
    total = points.new_zeros(k, points.shape[1]).index_add_(0, assigned, points)
    centres = total / count.clamp_min(1)[:, None]
    empty = (count == 0).nonzero()[:, 0]
    if len(empty):
        centres[empty] = points[distance.topk(len(empty)).indices]
    return centres


def _uniform(generator: torch.Generator) -> Tensor:
    return torch.rand((), generator=generator, dtype=torch.float64)


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
