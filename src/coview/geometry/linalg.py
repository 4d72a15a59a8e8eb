"""Three by three linear algebra in closed form: differentiable, exportable, fast on many small systems.

`torch.linalg.solve` and `svd` cannot be exported to ONNX, and cost microseconds per matrix; written out,
the same solve costs nanoseconds and gives a finite gradient whatever the matrix.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# a pivot below this is called zero whatever the matrix's size: its square still fits in float32
_FLOOR = 1e-15


def inverse_3x3(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Inverses by cofactors.

    The matrix is first scaled to its largest entry, so that determinants neither overflow nor vanish. Good to about
    1e-7 × its condition number in float32.

    Args:
        matrix: (*batch, 3, 3).

    Returns:
        (*batch, 3, 3); NaN for a singular matrix (with zero gradients there)."""
    scale = matrix.detach().abs().amax(dim=(-2, -1), keepdim=True)
    scale = torch.where(scale > 0, scale, 1.0)
    first, second, third = (matrix / scale).unbind(-2)
    cofactors = torch.stack([_cross(second, third), _cross(third, first), _cross(first, second)], dim=-1)
    determinant = (first * cofactors[..., 0]).sum(dim=-1)[..., None, None]
    regular = determinant.abs() > 4 * torch.finfo(matrix.dtype).eps ** 2
    inverse = cofactors / torch.where(regular, determinant, 1.0) / scale
    return torch.where(regular, inverse, torch.nan)


def solve_3x3(
    matrix: Float[Tensor, "*batch 3 3"], vector: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Solutions x of `matrix` x = `vector`, by cofactors.

    Args:
        matrix: (*batch, 3, 3).
        vector: (*batch, 3).

    Returns:
        (*batch, 3); NaN for a singular matrix (with zero gradients there)."""
    return (inverse_3x3(matrix) * vector[..., None, :]).sum(dim=-1)


def solve_symmetric(
    matrix: Float[Tensor, "*batch 6 systems"], vector: Float[Tensor, "*batch 3 systems"]
) -> tuple[Float[Tensor, "*batch 3 systems"], Bool[Tensor, "*batch systems"]]:
    """Solutions of many positive definite 3×3 systems side by side, by LDLᵀ [GL13 §4.1].

    Args:
        matrix: upper triangles (xx xy xz yy yz zz) *before* the axis of the systems, (*batch, 6, systems): each entry
            is then one contiguous run, several times faster than (systems, 3, 3).
        vector: (*batch, 3, systems).

    Returns:
        Solutions (*batch, 3, systems), and which are determined. Where a system is not (not positive definite, or
        condition number near 1 / eps) the solution is finite, meaningless, and has finite gradients."""
    solution, determined = solve_rows(matrix.unbind(-2), vector.unbind(-2))
    return torch.stack(solution, dim=-2), determined


def solve_rows(
    matrix: Sequence[Tensor], vector: Sequence[Tensor]
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """`solve_symmetric` with the entries as separate tensors, which saves the hot loops a copy.

    Args:
        matrix: xx, xy, xz, yy, yz and zz, of one shape.
        vector: x, y and z, of that shape.

    Returns:
        x, y and z of the solutions, and which systems are determined."""
    factor = _factor(matrix)
    x, y, z = vector
    y = torch.addcmul(y, factor.xy, x, value=-1)
    z = torch.addcmul(torch.addcmul(z, factor.xz, x, value=-1), factor.yz, y, value=-1)
    z = z * factor.third
    y = torch.addcmul(y * factor.second, factor.yz, z, value=-1)
    x = torch.addcmul(torch.addcmul(x * factor.first, factor.xy, y, value=-1), factor.xz, z, value=-1)
    return (x, y, z), factor.determined


def inverse_symmetric(
    matrix: Float[Tensor, "*batch 6 systems"],
) -> tuple[Float[Tensor, "*batch 6 systems"], Bool[Tensor, "*batch systems"]]:
    """Inverses of many positive definite 3×3 matrices; see `solve_symmetric`.

    Args:
        matrix: upper triangles, (*batch, 6, systems).

    Returns:
        Upper triangles of the inverses (*batch, 6, systems), and which are determined."""
    factor = _factor(matrix.unbind(-2))
    corner = factor.xy * factor.yz - factor.xz  # entry (3, 1) of L⁻¹
    xx = factor.first + factor.xy.square() * factor.second + corner.square() * factor.third
    xy = -factor.xy * factor.second - factor.yz * corner * factor.third
    xz = corner * factor.third
    yy = factor.second + factor.yz.square() * factor.third
    yz = -factor.yz * factor.third
    return torch.stack([xx, xy, xz, yy, yz, factor.third], dim=-2), factor.determined


class _Factor(NamedTuple):
    """LDLᵀ: the unit lower triangle L and the inverted pivots."""

    xy: Tensor
    xz: Tensor
    yz: Tensor
    first: Tensor
    second: Tensor
    third: Tensor
    determined: Tensor


def _factor(matrix: Sequence[Tensor]) -> _Factor:
    xx, xy, xz, yy, yz, zz = matrix
    least = (xx + yy + zz).detach() * (32 * torch.finfo(xx.dtype).eps) + _FLOOR
    # A pivot that is not positive is replaced before the division: the gradient stays finite.
    good = xx > least
    first = torch.where(good, xx, 1.0).reciprocal()
    l_xy, l_xz = xy * first, xz * first
    pivot = torch.addcmul(yy, l_xy, xy, value=-1)
    good = good & (pivot > least)
    second = torch.where(good, pivot, 1.0).reciprocal()
    rest = torch.addcmul(yz, l_xz, xy, value=-1)
    l_yz = rest * second
    pivot = torch.addcmul(torch.addcmul(zz, l_xz, xz, value=-1), l_yz, rest, value=-1)
    good = good & (pivot > least)
    third = torch.where(good, pivot, 1.0).reciprocal()
    return _Factor(l_xy, l_xz, l_yz, first, second, third, good)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    ax, ay, az = a.unbind(-1)
    bx, by, bz = b.unbind(-1)
    return torch.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], dim=-1)
