"""Rotations of three-space: ways to write them, the angle between them, their mean.

A rotation is a 3×3 matrix with orthonormal columns and determinant +1; angles are in radians.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError

_SMALL = 1e-4  # squared angle below which three terms of a series are exact in float64


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The matrix [v]× with [v]× w = v × w. [HZ04 eq. A4.5]"""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def rotation_from_axis_angle(axis_angle: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Exponential map of so(3): the axis times the angle (radians) in, the rotation out.

    Rodrigues' formula [HZ04 §A4.3]; first and second derivatives are finite everywhere, also at zero."""
    squared = axis_angle.square().sum(dim=-1)[..., None, None]
    small = squared < _SMALL
    angle = torch.where(small, 1.0, squared).sqrt()
    sine = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    half = (angle / 2).sin() / (angle / 2)  # (1 - cos θ)/θ² without its cancellation
    cosine = torch.where(small, 0.5 - squared / 24 + squared**2 / 720, half.square() / 2)
    cross = skew(axis_angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + sine * cross + cosine * (cross @ cross)


def axis_angle_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Logarithm of a rotation: the axis times the angle (radians, at most π).

    At an angle of exactly π the axis and its opposite mean the same; one of them is returned.
    Accurate to rounding from zero to π; gradients are finite everywhere."""
    quaternion = quaternion_wxyz_from_rotation(rotation)
    cosine, vector = quaternion[..., :1], quaternion[..., 1:]  # of half the angle; cosine ≥ 0
    squared = vector.square().sum(dim=-1, keepdim=True)
    small = squared < _SMALL
    sine = torch.where(small, 1.0, squared).sqrt()
    # asin(s)/s of a small s, so that no square root of zero is differentiated
    series = 1 + squared / 6 + squared**2 * (3 / 40) + squared**3 * (15 / 336)
    return 2 * vector * torch.where(small, series, torch.atan2(sine, cosine) / sine)


def rotation_from_six_d(six_d: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """The continuous 6D code: two vectors, made orthonormal, are the first two *columns*. [Zhou19]

    Numbers 0-2 are the first column, 3-5 the second. Any size is allowed; the answer is NaN
    where the first vector is zero or the two are parallel."""
    first, second = six_d[..., :3], six_d[..., 3:]
    x = first / first.norm(dim=-1, keepdim=True)
    rest = second - (x * second).sum(dim=-1, keepdim=True) * x
    y = rest / rest.norm(dim=-1, keepdim=True)
    return torch.stack([x, y, torch.linalg.cross(x, y)], dim=-1)


def six_d_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """The first two columns of a rotation, one after the other. [Zhou19]"""
    return rotation[..., :2].mT.flatten(-2)


def rotation_from_quaternion_wxyz(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation of a quaternion with its real part first; it need not have unit norm.

    NaN for the zero quaternion, which is no rotation."""
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quaternion_wxyz_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Unit quaternion, real part first and not negative; q and -q are the same rotation.

    The four products 4·q_i·q are linear in the matrix; the one with the largest q_i is used, so that
    nothing is divided by a small number and gradients stay finite."""
    (a, b, c), (d, e, f), (g, h, i) = (row.unbind(-1) for row in rotation.unbind(-2))
    products = torch.stack(
        [
            torch.stack([1 + a + e + i, h - f, c - g, d - b], dim=-1),
            torch.stack([h - f, 1 + a - e - i, b + d, c + g], dim=-1),
            torch.stack([c - g, b + d, 1 - a + e - i, f + h], dim=-1),
            torch.stack([d - b, c + g, f + h, 1 - a - e + i], dim=-1),
        ],
        dim=-2,
    )
    best = products.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)[..., None, None]
    quaternion = products.take_along_dim(best, dim=-2)[..., 0, :]
    quaternion = quaternion / quaternion.norm(dim=-1, keepdim=True)
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotation_angle(
    a: Float[Tensor, "*#batch 3 3"], b: Float[Tensor, "*#batch 3 3"]
) -> Float[Tensor, "*batch"]:
    """Geodesic distance: the angle (radians, 0 to π) of the rotation from `a` to `b`. [Hartley13]

    From sine and cosine, since the arc cosine alone loses half the digits of small angles. The
    gradient is zero, not infinite, where the angle is exactly 0 or π."""
    relative = a.mT @ b
    sine = _axial(relative).norm(dim=-1) / 2
    cosine = (relative.diagonal(dim1=-2, dim2=-1).sum(dim=-1) - 1) / 2
    return torch.atan2(sine, cosine)


def nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation R (determinant +1, always) that maximises trace(Rᵀ M). [Umeyama91] lemma

    Also the nearest one in the Frobenius norm. NaN where the matrix holds NaN. Not unique, thus
    meaningless, where the two smallest singular values are equal and the determinant is not
    positive (rank one, a reflection of a sphere). The first derivative is exact and finite, also for
    equal singular values, where that of the SVD is not; second derivatives are not provided."""
    finite = matrix.isfinite().all(dim=-1).all(dim=-1)[..., None, None]
    identity = torch.eye(3, dtype=matrix.dtype, device=matrix.device)
    safe = torch.where(finite, matrix, identity)
    with torch.no_grad():
        u, stretch, vt = torch.linalg.svd(safe)
        sign = torch.ones_like(stretch)
        sign[..., 2] = torch.linalg.det(u @ vt).sign()
        start = u * sign[..., None, :] @ vt
    # One Newton step from the optimum moves nothing, but its derivative is the optimum's. The
    # Hessian is diagonal in the singular vectors: sums of two signed singular values.
    stretch = stretch * sign
    hessian = stretch.sum(dim=-1, keepdim=True) - stretch
    determined = hessian > 1e2 * torch.finfo(matrix.dtype).eps * stretch[..., :1]
    inverse = torch.where(determined, 1 / torch.where(determined, hessian, 1.0), 0.0)
    step = vt.mT @ (inverse[..., None] * (vt @ _axial(start.mT @ safe)[..., None]))
    rotation = start @ rotation_from_axis_angle(step[..., 0])
    return torch.where(finite, rotation, torch.nan)


def average_rotations(
    rotations: Float[Tensor, "*batch n 3 3"], weights: Float[Tensor, "*batch n"]
) -> Float[Tensor, "*batch 3 3"]:
    """The weighted mean in the chordal L2 sense: the rotation nearest to the mean matrix. [Hartley13]

    A rotation of weight 0 is ignored, NaN or not; NaN where all weights are 0. The mean is not robust: give
    outliers small weights. Meaningless where the rotations cancel (two half turns apart)."""
    given = (weights > 0)[..., None, None]
    safe = torch.where(given, rotations, torch.zeros_like(rotations))
    total = (weights[..., None, None] * safe).sum(dim=-3)
    return nearest_rotation(torch.where(given.any(dim=-3), total, torch.nan))


def check_rotation(matrix: Float[Tensor, "*batch 3 3"], what: str, tolerance: float = 1e-3) -> None:
    """Raise ValueError where a matrix is no rotation; `what` says whose it is, such as a camera's name.

    Left-handed matrices (determinant -1) get their own explanation. `tolerance` is the largest
    entry of |RᵀR - I| that rounding in a file may cause."""
    for single in matrix.detach().double().reshape(-1, 3, 3).cpu():
        miss = float((single.mT @ single - torch.eye(3, dtype=torch.float64)).abs().max())
        determinant = float(torch.linalg.det(single))
        if not miss <= tolerance:  # NaN fails too
            raise InputError(
                f"{what}: this matrix is no rotation: its columns are not of unit length and at right "
                f"angles (off by {miss:.2g}, rounding explains {tolerance:g}; determinant "
                f"{determinant:.4f}). Points would be sheared or scaled. Check which numbers of the file "
                f"were read, and that no scale is mixed in: {single.tolist()}."
            )
        if determinant < 0:
            raise InputError(
                f"{what}: this rotation is left-handed (determinant {determinant:.4f}, must be +1). With it "
                f"the world is seen in a mirror: left and right limbs swap. Often an axis was negated "
                f"when converting from software with left-handed axes; negate one axis of the *world* "
                f"for all cameras, or export with right-handed axes."
            )


def _axial(matrix: Tensor) -> Tensor:
    """The vector of the antisymmetric part M - Mᵀ; for a rotation 2 sin θ times its axis."""
    anti = matrix - matrix.mT
    return torch.stack([anti[..., 2, 1], anti[..., 0, 2], anti[..., 1, 0]], dim=-1)
