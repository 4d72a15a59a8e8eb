"""The normal equations of bundle adjustment, with the points eliminated.

Points meet only through cameras, so their part of the matrix is one 3 × 3 block per point; what
remains after eliminating them is a small dense matrix over the cameras [Triggs00 §6.1].
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.bundle.distance_prior import LowRank, PairRows
from coview.geometry.bundle.residuals import Linearised

_FLOOR = 1e-13  # of the mean curvature of a point: keeps a point that nothing holds from dividing by zero


@dataclass(frozen=True)
class NormalEquations:
    """JᵀJ and −Jᵀr, cameras and points apart."""

    rows: Linearised
    prior: PairRows | None
    camera_blocks: Float[Tensor, "views parameters parameters"]
    camera_rhs: Float[Tensor, "free"]  # views · parameters
    point_blocks: Float[Tensor, "6 points"]  # xx xy xz yy yz zz; without the prior
    point_rhs: Float[Tensor, "3 points"]  # with the prior


def normal_equations(rows: Linearised, prior: PairRows | None) -> NormalEquations:
    """The equations of one linearisation; `prior` joins points in pairs and stays apart."""
    flat = rows.camera_rows.flatten(2)
    x, y, z = rows.point_rows.unbind(1)
    products = [_dot(a, b) for a, b in ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z))]
    rhs = -torch.stack([_dot(axis, rows.weighted_residuals) for axis in (x, y, z)])
    return NormalEquations(
        rows,
        prior,
        camera_blocks=flat @ flat.mT,
        camera_rhs=-(flat @ rows.weighted_residuals.flatten(1)[..., None]).flatten(),
        point_blocks=torch.stack(products),
        point_rhs=rhs if prior is None else rhs + prior.negative_gradient(rhs.shape[1]),
    )


def _dot(a: Float[Tensor, "some few points"], b: Float[Tensor, "some few points"]) -> Float[Tensor, "points"]:
    """Σ a b over the first two axes. Row by row, because sums over short leading axes are slow."""
    total = a.new_zeros(a.shape[-1])
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            total.addcmul_(a[i, j], b[i, j])
    return total


@dataclass(frozen=True)
class ReducedEquations:
    """The cameras' equations after elimination, and what it takes to find the points again."""

    matrix: Float[Tensor, "free free"]
    rhs: Float[Tensor, "free"]
    factor: "Cholesky3"
    coupling: Float[Tensor, "free 3 points"]  # W L⁻ᵀ: cameras against whitened points
    whitened: Float[Tensor, "3 points"]  # L⁻¹ · the points' right-hand side
    correction: LowRank | None

    def points(self, step: Float[Tensor, "free"]) -> Float[Tensor, "3 points"]:
        """The points' step that belongs to the cameras' step."""
        inner = self.whitened - (step @ self.coupling.flatten(1)).view_as(self.whitened)
        if self.correction is not None:
            inner = self.correction.apply(inner[None])[0]
        return self.factor.solve_transposed(inner)

    def point_covariance(self, cameras: Float[Tensor, "free free"]) -> Float[Tensor, "points 3 3"]:
        """Covariance of each point, given the cameras' (their uncertainty included)."""
        coupling = self.coupling if self.correction is None else self.correction.apply(self.coupling)
        product = (cameras @ coupling.flatten(1)).view_as(coupling)
        entries = [[_dot(coupling[:, None, i], product[:, None, j]) for j in range(3)] for i in range(3)]
        inner = torch.stack([torch.stack(row, dim=-1) for row in entries], dim=-2)
        if self.correction is None:
            inner = inner + torch.eye(3, dtype=inner.dtype, device=inner.device)
        else:
            inner = inner + self.correction.blocks(inner.shape[0])
        half = self.factor.solve_transposed(inner.permute(1, 0, 2))  # 3 points 3
        return self.factor.solve_transposed(half.permute(2, 1, 0)).permute(1, 0, 2)


def eliminate(equations: NormalEquations, damping: float) -> ReducedEquations:
    """Schur complement S = U − W V⁻¹ Wᵀ, diagonals of U and V first grown by `damping`."""
    rows = equations.rows
    factor = Cholesky3.of(equations.point_blocks, damping)
    white = factor.solve(rows.point_rows.transpose(0, 1))  # 3 views 2 points
    coupling = rows.camera_rows[:, :, 0, None] * white[None, :, :, 0].permute(2, 0, 1, 3)
    coupling.addcmul_(rows.camera_rows[:, :, 1, None], white[None, :, :, 1].permute(2, 0, 1, 3))
    coupling = coupling.flatten(0, 1)
    whitened = factor.solve(equations.point_rhs)
    matrix = torch.block_diag(*damped(equations.camera_blocks, damping))
    flat = coupling.flatten(1)
    matrix = matrix - flat @ flat.mT
    correction, inner = None, whitened
    if equations.prior is not None:
        ends = equations.prior.ends
        white_pairs = [factor.at(ends[e]).solve(equations.prior.rows[e]) for e in range(2)]
        correction = LowRank(ends, torch.stack(white_pairs))
        inner = correction.apply(whitened[None])[0]
        met = correction.rows_times(coupling)
        matrix = matrix + met @ torch.cholesky_solve(met.mT, correction.factor)
    rhs = equations.camera_rhs - flat @ inner.flatten()
    return ReducedEquations(matrix, rhs, factor, coupling, whitened, correction)


def damped(
    blocks: Float[Tensor, "views parameters parameters"], damping: float
) -> Float[Tensor, "views parameters parameters"]:
    """Diagonals grown by the share `damping`."""
    return blocks + damping * torch.diag_embed(blocks.diagonal(dim1=1, dim2=2))


@dataclass(frozen=True)
class Cholesky3:
    """V = L Lᵀ for many 3 × 3 blocks at once, in closed form; the diagonal of L is kept inverted."""

    a: Float[Tensor, "points"]
    b: Float[Tensor, "points"]
    c: Float[Tensor, "points"]
    ab: Float[Tensor, "points"]
    ac: Float[Tensor, "points"]
    bc: Float[Tensor, "points"]

    @staticmethod
    def of(blocks: Float[Tensor, "6 points"], damping: float) -> "Cholesky3":
        """Factor of xx xy xz yy yz zz with the diagonal grown by the share `damping`."""
        xx, xy, xz, yy, yz, zz = blocks.unbind(0)
        floor = _FLOOR * (xx + yy + zz).mean().clamp(min=1e-30)
        a = (xx * (1 + damping) + floor).rsqrt()
        ab, ac = xy * a, xz * a
        b = (yy * (1 + damping) + floor - ab * ab).clamp(min=float(floor)).rsqrt()
        bc = (yz - ab * ac) * b
        c = (zz * (1 + damping) + floor - ac * ac - bc * bc).clamp(min=float(floor)).rsqrt()
        return Cholesky3(a, b, c, ab, ac, bc)

    def at(self, index: Tensor) -> "Cholesky3":
        """The factors of some points."""
        return Cholesky3(*(part[index] for part in (self.a, self.b, self.c, self.ab, self.ac, self.bc)))

    def solve(self, vectors: Float[Tensor, "3 *more points"]) -> Float[Tensor, "3 *more points"]:
        """L⁻¹ x."""
        out = torch.empty_like(vectors, memory_format=torch.contiguous_format)
        torch.mul(vectors[0], self.a, out=out[0])
        torch.addcmul(vectors[1], out[0], self.ab, value=-1, out=out[1]).mul_(self.b)
        torch.addcmul(vectors[2], out[0], self.ac, value=-1, out=out[2])
        out[2].addcmul_(out[1], self.bc, value=-1).mul_(self.c)
        return out

    def solve_transposed(self, vectors: Float[Tensor, "3 *more"]) -> Float[Tensor, "3 *more"]:
        """L⁻ᵀ x; a further axis may follow the points'."""
        a, b, c, ab, ac, bc = (
            part.view(-1, *[1] * (vectors.ndim - 2))
            for part in (self.a, self.b, self.c, self.ab, self.ac, self.bc)
        )
        z = vectors[2] * c
        y = (vectors[1] - bc * z) * b
        x = (vectors[0] - ab * y - ac * z) * a
        return torch.stack([x, y, z])
