"""Known distances between points: what gives a reconstruction its scale in metres."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError


@dataclass(frozen=True)
class DistancePrior:
    """Distances known before looking: |point[first] − point[second]| = metres ± sigma."""

    first: Int[Tensor, "pairs"]  # indices of points
    second: Int[Tensor, "pairs"]
    metres: Float[Tensor, "pairs"]
    sigma: Float[Tensor, "pairs"]  # metres, one standard deviation

    def __post_init__(self) -> None:
        bad = (self.metres <= 0) | (self.sigma <= 0) | ~(self.metres + self.sigma).isfinite()
        if bool((bad | (self.first == self.second)).any()):
            pair = int((bad | (self.first == self.second)).nonzero()[0, 0])
            raise InputError(
                f"DistancePrior: pair {pair} joins points {int(self.first[pair])} and "
                f"{int(self.second[pair])} at {float(self.metres[pair])} ± {float(self.sigma[pair])} m. "
                "Give two different points, and a positive distance and sigma."
            )

    def lengths(self, points: Float[Tensor, "3 points"]) -> Float[Tensor, "pairs"]:
        """The distances as they are, metres."""
        return (points[:, self.first] - points[:, self.second]).norm(dim=0)


@dataclass(frozen=True)
class PairRows:
    """The prior's residuals and derivatives at one scene, in units of the pixel residuals."""

    ends: Int[Tensor, "2 pairs"]
    residuals: Float[Tensor, "pairs"]
    rows: Float[Tensor, "2 3 pairs"]  # by the first and by the second point

    @property
    def cost(self) -> float:
        return 0.5 * float(self.residuals.square().sum())

    def negative_gradient(self, points: int) -> Float[Tensor, "3 points"]:
        """Minus the gradient of the prior's cost by the points."""
        total = self.rows.new_zeros(3, points)
        for end in range(2):
            total.index_add_(1, self.ends[end], -self.rows[end] * self.residuals)
        return total


def linearise_prior(prior: DistancePrior, points: Float[Tensor, "3 points"], pixel_sigma: float) -> PairRows:
    """Rows worth `pixel_sigma` pixels for one standard deviation of the distance."""
    difference = points[:, prior.first] - points[:, prior.second]
    length = difference.norm(dim=0).clamp(min=1e-12)
    scale = pixel_sigma / prior.sigma
    direction = difference / length * scale
    return PairRows(
        torch.stack([prior.first, prior.second]),
        (length - prior.metres) * scale,
        torch.stack([direction, -direction]),
    )


class LowRank:
    """M = (I + AᵀA)⁻¹ for the few rows A of a prior, by Woodbury's identity: I − Aᵀ (I + AAᵀ)⁻¹ A.

    The prior joins pairs of points, so without it the points' system would no longer fall
    into blocks of 3 × 3. A is given by its two nonzero 3-vectors per row."""

    def __init__(self, ends: Int[Tensor, "2 pairs"], rows: Float[Tensor, "2 3 pairs"]) -> None:
        self.ends, self.rows = ends, rows
        gram = torch.eye(ends.shape[1], dtype=rows.dtype, device=rows.device)
        for a in range(2):
            for b in range(2):
                gram = gram + self._meet(a, b) * (rows[a].mT @ rows[b])
        self.factor = torch.linalg.cholesky(gram)

    def _meet(self, a: int, b: int) -> Tensor:
        return self.ends[a][:, None] == self.ends[b]

    def rows_times(self, columns: Float[Tensor, "many 3 points"]) -> Float[Tensor, "many pairs"]:
        """A x for each x of `columns`."""
        return sum((columns[:, :, self.ends[e]] * self.rows[e]).sum(dim=1) for e in range(2))  # type: ignore[return-value]  # sum() of tensors is a tensor, not the 0 it starts with

    def apply(self, columns: Float[Tensor, "many 3 points"]) -> Float[Tensor, "many 3 points"]:
        """M x for each x of `columns`."""
        inner = torch.cholesky_solve(self.rows_times(columns).mT, self.factor).mT
        result = columns.clone()
        for end in range(2):
            result.index_add_(2, self.ends[end], -self.rows[end] * inner[:, None])
        return result

    def blocks(self, points: int) -> Float[Tensor, "points 3 3"]:
        """The 3 × 3 blocks on the diagonal of M."""
        inverse = torch.cholesky_inverse(self.factor)
        blocks = torch.eye(3, dtype=inverse.dtype, device=inverse.device).repeat(points, 1, 1)
        for a in range(2):
            for b in range(2):
                k, l = self._meet(a, b).nonzero().unbind(1)
                outer = self.rows[a][:, k].mT[:, :, None] * self.rows[b][:, l].mT[:, None]
                blocks.index_add_(0, self.ends[a][k], -outer * inverse[k, l, None, None])
        return blocks
