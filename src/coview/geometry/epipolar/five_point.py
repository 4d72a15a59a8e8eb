"""The essential matrices through five pairs of points, for many samples at once.

Points are normalised image coordinates (x/z, y/z; no unit); an essential matrix E fulfils b̃ᵀ E ã = 0.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# Monomials in x, y, z. The ten of degree three come first, then the ten that span the quotient ring.
_LINEAR = ("x", "y", "z", "")
_QUADRATIC = ("xx", "xy", "xz", "yy", "yz", "zz", "x", "y", "z", "")
_CUBIC = ("xxx", "xxy", "xxz", "xyy", "xyz", "xzz", "yyy", "yyz", "yzz", "zzz", *_QUADRATIC)


def five_point(
    a: Float[Tensor, "*batch 5 2"], b: Float[Tensor, "*batch 5 2"]
) -> tuple[Float[Tensor, "*batch 10 3 3"], Bool[Tensor, "*batch 10"]]:
    """Up to ten essential matrices through five pairs of points, and which of the ten are real.

    [Nister04] for the equations, [Stewenius06] for the solution by eigenvectors: the four-dimensional null space of the
    epipolar constraints, the ten cubic constraints det E = 0 and 2EEᵀE - tr(EEᵀ)E = 0 in its coordinates, and the
    multiplication by x as a 10×10 matrix. Computed in float64, without gradients.

    Args:
        a: normalised image coordinates in the first view, (*batch, 5, 2).
        b: in the second view, (*batch, 5, 2).

    Returns:
        Essential matrices of unit Frobenius norm, (*batch, 10, 3, 3), NaN where not valid; and which are valid,
        (*batch, 10): none where the input is NaN or the five points repeat themselves."""
    with torch.no_grad():
        basis = _null_space(a.double(), b.double())
        action, solvable = _action_matrix(_constraints(basis))
        values, vectors = torch.linalg.eig(action)
        real = values.imag.abs() < 1e-8 * (1 + values.real.abs())
        homogeneous = vectors.real[..., 6:, :].mT  # x y z 1 up to scale, one row per solution
        coordinates = homogeneous / homogeneous[..., 3:]
        essentials = torch.einsum("...sk,...kij->...sij", coordinates, basis)
        essentials = essentials / essentials.norm(dim=(-2, -1), keepdim=True)
        valid = real & solvable[..., None] & essentials.isfinite().all(dim=-1).all(dim=-1)
        return torch.where(valid[..., None, None], essentials, torch.nan).to(a.dtype), valid


def _null_space(a: Tensor, b: Tensor) -> Tensor:
    """The four 3×3 matrices X, Y, Z, W that fulfil all five constraints, orthonormal.

    NaN where the constraints are fewer than five because points are NaN or repeat themselves."""
    a, b = (torch.nn.functional.pad(points, (0, 1), value=1.0) for points in (a, b))
    rows = (b[..., :, None] * a[..., None, :]).flatten(-2)  # 5 × 9
    finite = rows.isfinite().all(dim=-1).all(dim=-1)[..., None, None]
    complete, triangle = torch.linalg.qr(torch.where(finite, rows, 0.0).mT, mode="complete")
    pivots = triangle.diagonal(dim1=-2, dim2=-1).abs()
    independent = (pivots.amin(dim=-1) > 1e-12 * pivots.amax(dim=-1))[..., None, None]
    basis = complete[..., 5:].mT.unflatten(-1, (3, 3))
    return torch.where((finite & independent)[..., None], basis, torch.nan)


def _constraints(basis: Tensor) -> Tensor:
    """The 10×20 coefficients of the cubic constraints on E = xX + yY + zZ + W."""
    linear = basis.movedim(-3, -1)  # 3 × 3 entries, each a polynomial x y z 1
    squares = _product(linear[..., :, None, :, :], linear[..., None, :, :, :], 2).sum(dim=-2)  # E Eᵀ
    trace = squares.diagonal(dim1=-3, dim2=-2).sum(dim=-1)
    identity = torch.eye(3, dtype=basis.dtype, device=basis.device)[..., None]
    balance = 2 * squares - identity * trace[..., None, None, :]
    cubics = _product(balance[..., :, :, None, :], linear[..., None, :, :, :], 3).sum(dim=-3)
    first, second, third = linear.unbind(-3)
    minors = _product(first.roll(-1, -2), second.roll(-2, -2), 2) - _product(
        first.roll(-2, -2), second.roll(-1, -2), 2
    )
    determinant = _product(minors, third, 3).sum(dim=-2)
    return torch.cat([cubics.flatten(-3, -2), determinant[..., None, :]], dim=-2)


def _action_matrix(constraints: Tensor) -> tuple[Tensor, Tensor]:
    """The matrix A with A m = x m at each solution, m the ten low monomials; and where it exists."""
    high, low = constraints[..., :10], constraints[..., 10:]
    identity = torch.eye(10, dtype=high.dtype, device=high.device)
    finite = constraints.isfinite().all(dim=-1).all(dim=-1)
    reduced, failure = torch.linalg.solve_ex(torch.where(finite[..., None, None], high, identity), low)
    solvable = finite & (failure == 0) & reduced.isfinite().all(dim=-1).all(dim=-1)
    shifts = identity.new_zeros(4, 10)  # x·x, x·y, x·z and x·1 are low monomials themselves
    shifts[torch.arange(4), torch.tensor([0, 1, 2, 6])] = 1
    action = torch.cat([-reduced[..., :6, :], shifts.expand(*reduced.shape[:-2], 4, 10)], dim=-2)
    return torch.where(solvable[..., None, None], action, identity), solvable


def _product(p: Tensor, q: Tensor, degree: int) -> Tensor:
    """Coefficients of p·q for polynomials along the last axis; q is linear, the result of `degree`."""
    products = (p[..., :, None] * q[..., None, :]).flatten(-2)
    return products @ _product_table(degree).to(products)


def _product_table(degree: int) -> Tensor:
    """Which monomial each product of two monomials is, as a matrix of zeros and ones."""
    left, out = (_LINEAR, _QUADRATIC) if degree == 2 else (_QUADRATIC, _CUBIC)
    table = torch.zeros(len(left) * 4, len(out))
    for row, product in enumerate("".join(sorted(p + q)) for p in left for q in _LINEAR):
        table[row, out.index(product)] = 1
    return table
