"""The essential matrix that most pairs of points agree on: random samples, then descent.

Points are homogeneous normalised image coordinates in float64; nothing here has gradients.
`coview.geometry.epipolar.relative_pose.robust_relative_pose` is the door to this file.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.epipolar.five_point import five_point
from coview.geometry.rotations import rotation_from_axis_angle, skew

_CHUNK = 2_000_000  # distances computed at once, to bound memory
_GLANCE = 500  # pairs on which all hypotheses are scored first
_SHORTLIST = 64  # hypotheses then scored on all pairs
_ROUNDS = ((8, 4), (2, 10))  # how many of the best descend, by how many steps


@dataclass(frozen=True)
class Pairs:
    """Corresponding points in two views, with positive weights."""

    a: Float[Tensor, "n 3"]
    b: Float[Tensor, "n 3"]
    weights: Float[Tensor, "n"]

    def some(self, index: Tensor) -> "Pairs":
        return Pairs(self.a[index], self.b[index], self.weights[index])


def find_essential(pairs: Pairs, threshold: float, hypotheses: int, seed: int) -> Float[Tensor, "3 3"] | None:
    """The essential matrix of least cost; None where no sample of five pairs determines any.

    The cost is the sum of weighted squared Sampson distances, each at most the threshold's (MSAC,
    [Torr00]). The best hypotheses are optimised locally on their inliers, as in [Chum03]."""
    sample = samples(len(pairs.weights), 5, hypotheses, seed).to(pairs.a.device)
    found, valid = five_point(pairs.a[sample, :2], pairs.b[sample, :2])
    candidates = found[valid]
    if len(candidates) == 0:
        return None
    glance = pairs.some(sample.flatten()[:_GLANCE])  # the samples are random already
    candidates = _best(candidates, msac_cost(candidates, glance, threshold), _SHORTLIST)
    for count, steps in _ROUNDS:
        candidates = _best(candidates, msac_cost(candidates, pairs, threshold), count)
        candidates = _descended(candidates, pairs, threshold, steps)
    return _best(candidates, msac_cost(candidates, pairs, threshold), 1)[0]


def msac_cost(
    essentials: Float[Tensor, "hypotheses 3 3"], pairs: Pairs, threshold: float
) -> Float[Tensor, "hypotheses"]:
    """Sum of weighted squared Sampson distances, each at most threshold², per essential matrix."""
    # Numerator and denominator are linear in products of coordinates: two matrix products for all.
    products = [(pairs.b, pairs.a), (pairs.a, pairs.a), (pairs.b, pairs.b)]
    outer = [(p[:, :, None] * q[:, None, :]).flatten(1) for p, q in products]
    bilinear, quadratic = outer[0].mT, torch.cat(outer[1:], dim=-1).mT
    costs = []
    for some in essentials.split(max(1, _CHUNK // len(pairs.weights))):
        top, left = some[:, :2], some[:, :, :2]
        squares = torch.cat([(top.mT @ top).flatten(1), (left @ left.mT).flatten(1)], dim=-1)
        slope = (squares @ quadratic).clamp_min(1e-300)  # zero at the epipoles, as is the numerator
        squared = (some.flatten(1) @ bilinear).square() / slope
        costs.append(squared.clamp_max(threshold**2) @ pairs.weights)
    return torch.cat(costs)


def samples(count: int, size: int, hypotheses: int, seed: int) -> Tensor:
    """`size` different numbers below `count` per hypothesis, by Floyd's method."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.full((hypotheses, 0), -1)
    for last in range(count - size, count):
        drawn = torch.randint(last + 1, (hypotheses, 1), generator=generator)
        drawn = torch.where((chosen == drawn).any(dim=-1, keepdim=True), last, drawn)
        chosen = torch.cat([chosen, drawn], dim=-1)
    return chosen


def _best(essentials: Tensor, cost: Tensor, count: int) -> Tensor:
    return essentials[cost.topk(min(count, len(cost)), largest=False).indices]


def _descended(essentials: Tensor, pairs: Pairs, threshold: float, steps: int) -> Tensor:
    """Levenberg-Marquardt on every essential matrix at once; no cost ever rises.

    Not `levenberg_marquardt`, which follows one cost: these are hundreds of hypotheses in step with each other, each
    with its own damping, for a fixed number of steps, of which only the best few are kept.

    An essential matrix is U diag(1, 1, 0) Vᵀ; U and V turn, V not about z, which U does for both."""
    u, _, vt = torch.linalg.svd(essentials)
    v, flat = vt.mT, essentials.new_tensor([1.0, 1.0, 0.0])
    turns = skew(torch.eye(3, dtype=u.dtype, device=u.device))
    moves = torch.cat([turns * flat, -flat[:, None] * turns[:2]])  # dE per unknown is U move Vᵀ
    cost = msac_cost((u * flat) @ vt, pairs, threshold)
    damping = torch.full_like(cost, 1e-3)
    for _ in range(steps):
        slopes = (u[:, None] @ moves @ v[:, None].mT).flatten(2)
        step = _gauss_newton_step((u * flat) @ v.mT, slopes, pairs, threshold, damping)
        new_u = u @ rotation_from_axis_angle(step[:, :3])
        new_v = v @ rotation_from_axis_angle(torch.nn.functional.pad(step[:, 3:], (0, 1)))
        new_cost = msac_cost((new_u * flat) @ new_v.mT, pairs, threshold)
        better = new_cost < cost
        u, v = (torch.where(better[:, None, None], new, old) for new, old in ((new_u, u), (new_v, v)))
        cost = torch.where(better, new_cost, cost)
        damping = torch.where(better, damping / 10, damping * 10)
    return (u * flat) @ v.mT


def _gauss_newton_step(
    essential: Tensor, slopes: Tensor, pairs: Pairs, threshold: float, damping: Tensor
) -> Tensor:
    """The damped step of each essential matrix's five unknowns on the distances of its inliers."""
    residual, by_entry = _sampson_with_slope(essential, pairs)
    jacobian = by_entry @ slopes.mT
    weight = pairs.weights[:, None] * (residual.abs() < threshold)
    normal = jacobian.mT @ (weight * jacobian)
    diagonal = normal.diagonal(dim1=-2, dim2=-1)
    normal = normal + torch.diag_embed(diagonal * damping[:, None] + 1e-12)
    return -torch.linalg.solve(normal, jacobian.mT @ (weight * residual))[..., 0]


def _sampson_with_slope(essential: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Signed Sampson distances (hypotheses × n × 1) and their derivatives by the nine entries of E."""
    line_b, line_a = pairs.a @ essential.mT, pairs.b @ essential
    flat = line_a.new_tensor([1.0, 1.0, 0.0])
    squared = (flat * (line_a.square() + line_b.square())).sum(dim=-1, keepdim=True).clamp_min(1e-300)
    residual = (line_b * pairs.b).sum(dim=-1, keepdim=True) / squared.sqrt()
    share = residual / squared
    left = pairs.b / squared.sqrt() - share * flat * line_b
    slope = left[..., :, None] * pairs.a[:, None, :]
    slope = slope - (share * pairs.b)[..., :, None] * (flat * line_a)[..., None, :]
    return residual, slope.flatten(2)
