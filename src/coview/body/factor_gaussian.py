"""Gaussians over poses with a low-rank covariance: posteriors of many poses by inverting small matrices only.

A pose is y = μ + F z + e with z ~ N(0, 1) and e independent between joints; it is observed with noise of covariance
B, independent between joints too. With P = (rest + B)⁻¹, one 3×3 matrix per joint, the only matrix left to invert per
pose is 1 + Fᵀ P F (Woodbury identity [GL13 §2.1.4]). It is linear in P, and the posterior blocks are linear in its
inverse with the same coefficients: one table per Gaussian turns both into matrix products over all poses.
The pose axis is last (`joints 3 3 poses`), so that one entry of all poses is contiguous in memory.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.linalg import inverse_symmetric

# rank of the factors, of 51: full rank would be 0.03 mm better on mocap4, 24 0.1 mm worse
FACTORS = 28
# iterations of factors and rest
_ROUNDS = 10
# m²: least variance of a joint's rest: a millimetre
_LEAST = 1e-6
# upper triangle of a 3×3 matrix
_FIRST, _SECOND = [0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2]
# nine entries to six and back
_UPPER, _FULL = [0, 1, 2, 4, 5, 8], [0, 1, 2, 1, 3, 4, 2, 4, 5]
# multiplicity of an entry of the triangle in the full symmetric matrix
_TIMES = (1.0, 2.0, 2.0, 1.0, 2.0, 1.0)


@dataclass(frozen=True)
class PoseFactors:
    """A Gaussian over poses, in metres: mean, low-rank factors and a block-diagonal rest."""

    # metres
    mean: Float[Tensor, "joints 3"]
    # F, metres; numbers = joints × 3
    factors: Float[Tensor, "numbers factors"]
    # covariance of e, m²; one block per joint
    rest: Float[Tensor, "joints 3 3"]
    # coefficients of the map between upper triangles of P and entries of Fᵀ P F
    table: Float[Tensor, "joints_times_6 factors_squared"]

    @staticmethod
    def from_covariance(
        mean: Float[Tensor, "joints 3"], covariance: Float[Tensor, "numbers numbers"]
    ) -> "PoseFactors":
        """Low-rank approximation of a Gaussian by principal factor analysis, iterated with the rest. [Harman76]

        Each joint's own 3×3 block of the covariance is approximated as well as the whole.

        Args:
            mean: metres.
            covariance: of all coordinates, joint by joint, m²."""
        joints, covariance = len(mean), covariance.double()
        count = min(FACTORS, len(covariance))
        smallest = torch.linalg.eigvalsh(covariance)[: max(1, len(covariance) - count)].mean()
        rest = smallest * torch.eye(len(covariance)).to(covariance)
        for _ in range(_ROUNDS):
            values, vectors = torch.linalg.eigh(covariance - rest)
            factors = vectors[:, -count:] * values[-count:].clamp(min=0).sqrt()
            residual = (covariance - factors @ factors.mT).unflatten(0, (joints, 3)).unflatten(2, (joints, 3))
            values, vectors = torch.linalg.eigh(residual.diagonal(dim1=0, dim2=2).permute(2, 0, 1))
            own = (vectors * values.clamp(min=_LEAST)[:, None]) @ vectors.mT
            rest = torch.block_diag(*own)
        rows = factors.unflatten(0, (joints, 3))
        outer = rows[:, _FIRST, :, None] * rows[:, _SECOND, None, :]
        times = torch.tensor(_TIMES, dtype=torch.float64)[:, None, None]
        table = (times * (outer + outer.mT) / 2).flatten(0, 1).flatten(1)
        return PoseFactors(mean.float(), factors.float(), own.float(), table.float())

    def covariance(self) -> Float[Tensor, "numbers numbers"]:
        """The covariance F Fᵀ + rest, m²."""
        return self.factors @ self.factors.mT + torch.block_diag(*self.rest)

    def posterior(
        self, poses: Float[Tensor, "joints 3 poses"], noise: Float[Tensor, "joints 3 3 poses"]
    ) -> tuple[Float[Tensor, "joints 3 poses"], Float[Tensor, "joints 3 3 poses"]]:
        """Posterior mean and per-joint covariance of noisy poses.

        With G = B P, the mean is y - G (y - μ - F z) and the covariance B - G (B - F K⁻¹ Fᵀ Gᵀ), of which only each
        joint's own block is computed; K = 1 + Fᵀ P F, z = K⁻¹ Fᵀ P (y - μ).

        Args:
            poses: observed joints, metres, in the frame of the mean.
            noise: covariance of the observation of each joint, m²; finite, positive definite.

        Returns:
            Posterior joints in metres, and their covariance in m²."""
        off = poses - self.mean[..., None]
        total = (noise + self.rest[..., None]).flatten(1, 2)[:, _UPPER]
        sixes, _ = inverse_symmetric(total)
        gain = product(noise, sixes[:, _FULL].unflatten(1, (3, 3)))
        inverse = self._inverse(sixes.flatten(0, 1))
        weighed = product(sixes[:, _FULL].unflatten(1, (3, 3)), off[:, :, None]).flatten(0, 2)
        z = (inverse @ (weighed.mT @ self.factors)[..., None])[..., 0]
        drawn = (self.factors @ z.mT).unflatten(0, off.shape[:2])
        found = poses - product(gain, (off - drawn)[:, :, None])[:, :, 0]
        both = (self.table @ inverse.flatten(1).mT).unflatten(0, (-1, 6))
        both = (both / both.new_tensor(_TIMES)[:, None])[:, _FULL].unflatten(1, (3, 3))
        return found, noise - product(gain, noise - product(both, gain.transpose(1, 2)))

    def _inverse(self, precision: Float[Tensor, "joints_times_6 poses"]) -> Float[Tensor, "poses n n"]:
        """(1 + Fᵀ P F)⁻¹, which is positive definite whatever is seen."""
        count = self.factors.shape[1]
        eye = torch.eye(count).to(precision)
        matrix = torch.addmm(eye.flatten(), precision.mT, self.table).unflatten(1, (count, count))
        factor, _ = torch.linalg.cholesky_ex(matrix)
        root = torch.linalg.solve_triangular(factor, eye.expand_as(factor), upper=False)
        return root.mT @ root


def product(
    a: Float[Tensor, "#joints rows 3 poses"], b: Float[Tensor, "#joints 3 columns poses"]
) -> Float[Tensor, "joints rows columns poses"]:
    """Matrix products of many small matrices whose batch axis is last.

    Args:
        a: left factors.
        b: right factors, with three rows."""
    first = a[:, :, 0, None] * b[:, None, 0]
    second = torch.addcmul(first, a[:, :, 1, None], b[:, None, 1])
    return torch.addcmul(second, a[:, :, 2, None], b[:, None, 2])
