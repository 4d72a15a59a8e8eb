"""The best point of two views, and the middle one of many: triangulation pair by pair.

Points are undistorted pixels; F fulfils b̃ᵀ F ã = 0. A match that is moved onto F by the least squared distance
in both images, and then intersected, is the maximum-likelihood point of two views [HartleySturm97].
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.geometry.epipolar.relative_pose import fundamental_from_projections
from coview.geometry.triangulation.undistorted import triangulate_undistorted

_STEPS = 8  # two suffice where the noise is small against the distance to the epipoles
_NEAR = 0.1  # a correction larger than this share of the distance to an epipole may be a local optimum


def corrected_matches(
    fundamental: Float[Tensor, "*#batch 3 3"],
    a: Float[Tensor, "*#batch n 2"],
    b: Float[Tensor, "*#batch n 2"],
) -> tuple[Float[Tensor, "*batch n 2"], Float[Tensor, "*batch n 2"]]:
    """The nearest match (least |a - a'|² + |b - b'|²) that fulfils b̃'ᵀ F ã' = 0; in the unit of the points.

    By the iteration of [Lindstrom10]; the few matches near an epipole, where it may end at another
    optimum, by the sixth-degree polynomial of [HartleySturm97]. A match with a point on its epipole fits as it is. NaN
    where a point is NaN. Computed in float64."""
    kind = torch.promote_types(a.dtype, b.dtype)
    shape = torch.broadcast_shapes(fundamental.shape[:-2], a.shape[:-2], b.shape[:-2])
    matrix = fundamental.double().expand(*shape, 3, 3)
    one = a.double().expand(*shape, *a.shape[-2:])
    other = b.double().expand(*shape, *b.shape[-2:])
    valid = (one.isfinite() & other.isfinite()).all(dim=-1, keepdim=True)
    one, other = torch.where(valid, one, 0.0), torch.where(valid, other, 0.0)
    shift_a, shift_b = _lindstrom(matrix, one, other)
    hard = _near_epipole(matrix, one, other, shift_a, shift_b) & valid[..., 0]
    if bool(hard.any()):
        every = matrix[..., None, :, :].expand(*hard.shape, 3, 3)[hard]
        best_a, best_b = _polynomial(every, one[hard], other[hard])
        shift_a[hard], shift_b[hard] = best_a - one[hard], best_b - other[hard]
    moved = torch.where(valid, one + shift_a, torch.nan), torch.where(valid, other + shift_b, torch.nan)
    return moved[0].to(kind), moved[1].to(kind)


def triangulate_pair(
    projection_a: Float[Tensor, "3 4"],
    projection_b: Float[Tensor, "3 4"],
    a: Float[Tensor, "frames joints 2"],
    b: Float[Tensor, "frames joints 2"],
) -> Float[Tensor, "frames joints 3"]:
    """Points (metres, world) of least squared reprojection error in two views, which may lie behind them.

    NaN where a pixel is NaN or the rays are parallel. Meaningless for cameras with one centre."""
    projections = torch.stack([projection_a, projection_b]).double()
    moved = corrected_matches(fundamental_from_projections(projections[0], projections[1]), a, b)
    pixels = torch.stack([each.double() for each in moved], dim=1)
    return triangulate_undistorted(pixels, projections, pixels.isfinite().all(dim=-1).double())


def vector_median(candidates: Float[Tensor, "*batch candidates 3"]) -> Float[Tensor, "*batch 3"]:
    """The candidate with the least sum of distances to the others [Astola90]; NaN candidates are left out.

    Of two it is the first: two cannot outvote each other. NaN where all are."""
    valid = candidates.isfinite().all(dim=-1)
    points = torch.where(valid[..., None], candidates, 0.0)
    apart = (points[..., :, None, :] - points[..., None, :, :]).norm(dim=-1)
    far = torch.where(valid[..., None, :], apart, 0.0).sum(dim=-1)
    best = torch.where(valid, far, torch.inf).argmin(dim=-1)
    return candidates.gather(-2, best[..., None, None].expand(*best.shape, 1, 3))[..., 0, :]


# --- inside --------------------------------------------------------------------------------------


def _lindstrom(matrix: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Corrections of a and b: along the epipolar normals, whose directions are corrected in turn. [Lindstrom10]"""
    core = matrix[..., :2, :2]
    residual = (_homogeneous(b) @ matrix * _homogeneous(a)).sum(dim=-1)
    first_a, first_b = (_homogeneous(b) @ matrix)[..., :2], (_homogeneous(a) @ matrix.mT)[..., :2]
    normal_a, normal_b = first_a, first_b
    shift_a, shift_b = torch.zeros_like(a), torch.zeros_like(b)
    for _ in range(_STEPS):
        quadratic = (normal_b @ core * normal_a).sum(dim=-1)
        slope = ((normal_a * first_a).sum(dim=-1) + (normal_b * first_b).sum(dim=-1)) / 2
        root = (slope.square() - quadratic * residual).clamp(min=0).sqrt()
        below = slope + torch.where(slope < 0, -root, root)
        step = torch.where(below != 0, residual / torch.where(below != 0, below, 1.0), 0.0)[..., None]
        shift_a, shift_b = -step * normal_a, -step * normal_b
        normal_a, normal_b = first_a + shift_b @ core, first_b + shift_a @ core.mT
    return shift_a, shift_b


def _near_epipole(
    matrix: Tensor, a: Tensor, b: Tensor, shift_a: Tensor, shift_b: Tensor
) -> Bool[Tensor, "*batch n"]:
    """Where a correction is large against the distance to the epipole, or leaves the match off F."""
    left, _, right = torch.linalg.svd(matrix)
    hard = torch.zeros(a.shape[:-1], dtype=torch.bool)
    for points, shift, epipole in ((a, shift_a, right[..., 2, :]), (b, shift_b, left[..., 2])):
        # |w p - e| and |w| |shift|: no division, since the epipole may be at infinity
        depth = epipole[..., None, 2:]
        away = (depth * points - epipole[..., None, :2]).norm(dim=-1)
        hard = hard | (shift.norm(dim=-1) * depth[..., 0].abs() > _NEAR * away)
    fits = (_homogeneous(b + shift_b) @ matrix * _homogeneous(a + shift_a)).sum(dim=-1).abs()
    size = (_homogeneous(b) @ matrix * _homogeneous(a)).sum(dim=-1).abs()
    return hard | (fits > 1e-9 * size)


def _polynomial(
    matrix: Float[Tensor, "n 3 3"], a: Float[Tensor, "n 2"], b: Float[Tensor, "n 2"]
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """The global optimum [HZ04 alg. 12.1]: both points at their origins, both epipoles on the x axes."""
    centred = _shift(b).mT @ matrix @ _shift(a)
    left, _, right = torch.linalg.svd(centred)
    rotation_a, far_a = _towards(right[:, 2])
    rotation_b, far_b = _towards(left[:, :, 2])
    reach = 1 / torch.maximum(far_a.abs(), far_b.abs()).clamp(min=1e-9)  # the unit: to the nearer epipole
    far_a, far_b = far_a * reach, far_b * reach
    unit = (rotation_b @ centred @ rotation_a.mT)[:, 1:, 1:]
    scale = torch.stack([reach, torch.ones_like(reach)], dim=-1)
    unit = (unit * scale[:, :, None] * scale[:, None]).flatten(1)
    p, q, r, s = (unit / unit.norm(dim=-1, keepdim=True)).unbind(-1)
    t = _candidates(p, q, r, s, far_a, far_b)
    above, beside = r[:, None] * t + s[:, None], p[:, None] * t + q[:, None]
    cost = t.square() / (1 + (far_a[:, None] * t).square()) + above.square() / (
        beside.square() + (far_b[:, None] * above).square()
    )
    best = torch.where(cost.isfinite(), cost, torch.inf).argmin(dim=-1, keepdim=True)
    t, above, beside = (each.gather(1, best)[:, 0] for each in (t, above, beside))
    line_a = torch.stack([t * far_a, torch.ones_like(t), -t], dim=-1)
    line_b = torch.stack([-far_b * above, beside, above], dim=-1)
    return a + reach[:, None] * _foot(line_a, rotation_a), b + reach[:, None] * _foot(line_b, rotation_b)


def _candidates(p: Tensor, q: Tensor, r: Tensor, s: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """Where the derivative of the cost vanishes, and "infinity": parameters of the epipolar line.

    t ((p t + q)² + g² (r t + s)²)² - (p s - q r) (1 + f² t²)² (p t + q) (r t + s) = 0."""
    beside, above = torch.stack([p, q], -1), torch.stack([r, s], -1)
    square = _times(beside, beside) + g[:, None].square() * _times(above, above)
    zero, one = torch.zeros_like(p), torch.ones_like(p)
    bow = torch.stack([f.square(), zero, one], -1)
    first = torch.nn.functional.pad(_times(square, square), (1, 1))  # times t, as degree six
    second = (p * s - q * r)[:, None] * _times(_times(bow, bow), _times(beside, above))
    whole = first - second
    lead = whole[:, :1]
    least = 1e-14 * whole.abs().amax(dim=-1, keepdim=True).clamp(min=1e-300)
    lead = torch.where(lead.abs() < least, least, lead)
    companion = torch.diag(torch.ones(5, dtype=p.dtype), -1).repeat(len(p), 1, 1)
    companion[:, 0] = -whole[:, 1:] / lead
    roots = torch.linalg.eigvals(companion).real
    return torch.cat([roots, torch.full_like(roots[:, :1], 1e12), torch.zeros_like(roots[:, :1])], dim=-1)


def _times(a: Tensor, b: Tensor) -> Tensor:
    """Products of polynomials, highest power first."""
    whole = a.new_zeros(len(a), a.shape[1] + b.shape[1] - 1)
    for power in range(a.shape[1]):
        whole[:, power : power + b.shape[1]] += a[:, power, None] * b
    return whole


def _foot(line: Float[Tensor, "n 3"], rotation: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 2"]:
    """The point of a line that is nearest to the origin, turned back."""
    across, down, off = line.unbind(-1)
    point = torch.stack([-across * off, -down * off], dim=-1) / (across.square() + down.square())[:, None]
    return (point[:, None] @ rotation[:, :2, :2])[:, 0]


def _shift(points: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3 3"]:
    """What brings the origin to the points."""
    matrix = torch.eye(3, dtype=points.dtype).repeat(len(points), 1, 1)
    matrix[:, :2, 2] = points
    return matrix


def _towards(epipole: Float[Tensor, "n 3"]) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n"]]:
    """The turn that brings an epipole to (1, 0, f), and f."""
    reach = epipole[:, :2].norm(dim=-1)
    safe = torch.where(reach > 0, reach, 1.0)
    cosine = torch.where(reach > 0, epipole[:, 0] / safe, 1.0)
    sine = epipole[:, 1] / safe
    rotation = torch.eye(3, dtype=epipole.dtype).repeat(len(epipole), 1, 1)
    rotation[:, 0, 0], rotation[:, 0, 1], rotation[:, 1, 0], rotation[:, 1, 1] = cosine, sine, -sine, cosine
    return rotation, epipole[:, 2] / safe


def _homogeneous(points: Tensor) -> Tensor:
    return torch.nn.functional.pad(points, (0, 1), value=1.0)
