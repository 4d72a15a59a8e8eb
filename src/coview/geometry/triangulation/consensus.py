"""Which views agree on a point: every pair of views proposes one, all views judge it.

MSAC [Torr00] without chance: as long as a point has no more pairs than allowed, all of them are
tried. With many views a few pairs are tried for all points in one pass; the points that this does not
resolve then get pairs of their own, drawn from the views that see them.

Two departures, both worth a lot where two of four views are wrong. A rejected view costs a little more
the further off it is, since a detector's errors are heavy-tailed: of two pairs that fit equally well, the
one that leaves the others less absurd is more often right. And where another agreement is almost as good
as the best, we say how far away it is, so that the covariance can tell.
"""

import functools
import itertools
import math
import random
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.geometry.triangulation.observations import (
    NEAR,
    CentredObservations,
    contract,
    features,
    nearest_points,
)

_FIRST_ROUND = 8  # pairs tried for every point
_MISSED = (
    1e-3  # a point is resolved when the chance that its pairs overlooked a larger agreement is below this
)
_BLOCK = 1 << 18  # judgements (pairs × views × points) at a time: what a processor's cache holds
_SLOPE, _TAIL = 0.002, 10.0  # a rejected view's cost still grows, this slowly, up to ten thresholds


class Proposal(NamedTuple):
    """The best point that any pair proposed, as the views judged it."""

    cost: Float[Tensor, "sets points"]  # Σ weight² (miss², flattened beyond the threshold), pixels²
    inliers: Bool[Tensor, "sets views points"]
    ambiguity: Float[
        Tensor, "sets 3 points"
    ]  # metres: to the nearest rival, × root of the chance that it is right


@torch.no_grad()
def agreeing_views(
    seen: CentredObservations, threshold: float, sigma: float, max_pairs: int, seed: int
) -> tuple[Bool[Tensor, "sets views points"], Float[Tensor, "sets 3 points"]]:
    """The views within `threshold` pixels of the best proposal (of equal ones the earliest pair's), and
    `Proposal.ambiguity`: zero where no rival is conceivable; `sigma` is the noise that chances are based on.

    A view with weight 0, or with the point behind it, never agrees. Where fewer than two agree,
    the point is unknown."""
    views = seen.squared_weights.shape[1]
    pairs = view_pairs(views, min(max_pairs, _FIRST_ROUND), seed)
    everything = torch.arange(seen.squared_weights.shape[2], device=seen.squared_weights.device)
    parts = _parts(seen, len(pairs), everything)
    best = _joined([_best_of_shared(seen.at(part), pairs, threshold) for part in parts])
    unresolved = _unresolved(seen, best, pairs)
    # a graph's shapes may not depend on its values: an exported one looks at all points again
    retried = everything if torch.compiler.is_compiling() else unresolved.any(dim=0).nonzero()[:, 0]
    if retried.shape[0] == 0:
        return best.inliers, best.ambiguity
    own = torch.tensor(_own_pairs(views, max_pairs, seed), device=seen.squared_weights.device)
    parts = _parts(seen, own.shape[1], retried)
    other = _joined([_best_of_own(seen.at(part), own, threshold, sigma) for part in parts])
    wins = other.cost <= best.cost[:, retried] * (1 + 1e-4)  # the same pair, but for rounding, wins too
    wins = (wins & unresolved[:, retried])[:, None]
    best.inliers[..., retried] = either(wins, other.inliers, best.inliers[..., retried])
    best.ambiguity[..., retried] = torch.where(wins, other.ambiguity, best.ambiguity[..., retried])
    return best.inliers, best.ambiguity


def either(first: Bool[Tensor, "*#n"], a: Bool[Tensor, "*#n"], b: Bool[Tensor, "*#n"]) -> Bool[Tensor, "*#n"]:
    """`a` where `first`, else `b`: onnxruntime has no `where` for booleans."""
    return (first & a) | (~first & b)


def view_pairs(views: int, limit: int, seed: int) -> list[tuple[int, int]]:
    """All pairs of views, or a seeded choice of `limit` of them, in order."""
    pairs = list(itertools.combinations(range(views), 2))
    return pairs if len(pairs) <= limit else sorted(random.Random(seed).sample(pairs, limit))


@functools.lru_cache(maxsize=16)
def _own_pairs(views: int, limit: int, seed: int) -> list[list[tuple[int, int]]]:
    """For a point seen in n = 0, 1, … views: its pairs, as ranks among those n; as many for all n.

    A list, not a tensor: what is made while exporting must not be kept."""
    rows = []
    for n in range(views + 1):
        pairs = view_pairs(n, limit, seed) or [(0, 0)]
        rows.append(list(itertools.islice(itertools.cycle(pairs), min(limit, math.comb(views, 2)))))
    return rows


def _parts(seen: CentredObservations, pairs: int, points: Tensor) -> tuple[Tensor, ...]:
    sets, views, _ = seen.squared_weights.shape
    if torch.compiler.is_compiling():
        return (points,)
    return points.split(max(64, _BLOCK // (sets * views * pairs)))


def _joined(parts: list[Proposal]) -> Proposal:
    return Proposal(*(torch.cat(field, dim=-1) for field in zip(*parts, strict=True)))


def _unresolved(
    seen: CentredObservations, best: Proposal, pairs: list[tuple[int, int]]
) -> Bool[Tensor, "sets points"]:
    """The points for which the pairs tried so far may have overlooked a larger agreement, or an equal rival.

    With k of n views agreeing, a pair is not within them with probability 1 - k(k-1) / (n(n-1)) [FB81]."""
    there = seen.squared_weights > 0
    first, second = torch.tensor(pairs, device=there.device).unbind(-1)
    tried = (there[:, first] & there[:, second]).sum(dim=1)
    n, k = there.sum(dim=1), best.inliers.sum(dim=1)
    possible = n * (n - 1)
    hit = k * (k - 1) / possible.clamp(min=1)
    complete = (2 * tried >= possible) | (tried * torch.log1p(-hit) < math.log(_MISSED))
    contested = (n > 2) & ((k == 2) | (2 * k <= n)) & (k > 1)
    return ~complete | contested


def _normal_per_view(seen: CentredObservations) -> Float[Tensor, "sets views 10 points"]:
    u, v = seen.pixels.unbind(1)
    table = seen.rig.table.permute(0, 3, 1, 2)
    return contract(table, features(u, v, seen.squared_weights).transpose(1, 2))


def _best_of_shared(seen: CentredObservations, pairs: list[tuple[int, int]], threshold: float) -> Proposal:
    normal = _normal_per_view(seen)
    first, second = torch.tensor(pairs, device=normal.device).unbind(-1)
    found, determined = nearest_points(normal[:, first] + normal[:, second])
    cost, agrees = _judge(_squared_errors(found, determined, seen), seen, threshold)
    least, best = cost.min(dim=1)
    return Proposal(least, _of(best, agrees), torch.zeros_like(found[:, 0]))


def _best_of_own(seen: CentredObservations, own: Tensor, threshold: float, sigma: float) -> Proposal:
    normal = _normal_per_view(seen)
    there = seen.squared_weights > 0
    views = torch.arange(there.shape[1], device=there.device)[:, None]
    order = torch.where(there, views, views + len(views)).argsort(dim=1)  # the views that see it come first
    ranks = own[there.sum(dim=1)].permute(0, 2, 3, 1)  # sets, pairs, 2, points
    chosen = order.gather(1, ranks.flatten(1, 2))[:, :, None].expand(-1, -1, 10, -1)
    first, second = normal.gather(1, chosen).unflatten(1, (-1, 2)).unbind(2)
    found, determined = nearest_points(first + second)
    cost, agrees = _judge(_squared_errors(found, determined, seen), seen, threshold)
    least, best = cost.min(dim=1)
    inliers = _of(best, agrees)
    ambiguity = _ambiguity(cost, agrees, found.transpose(1, 2), best, inliers, sigma)
    return Proposal(least, inliers, ambiguity)


def _ambiguity(
    cost: Tensor,
    agrees: Tensor,
    found: Float[Tensor, "sets 3 pairs points"],
    best: Tensor,
    inliers: Tensor,
    sigma: float,
) -> Float[Tensor, "sets 3 points"]:
    """How far away the best rival is, an agreement that shares at most one view with the best.

    Its chance follows from the two likelihoods; this × the distance² is what it adds to the
    covariance, the second moment of a mixture."""
    rivals = ((agrees & inliers[:, :, None]).sum(dim=1) < 2) & (agrees.sum(dim=1) > 1)
    rival_cost, rival = torch.where(rivals, cost, torch.inf).min(dim=1)
    chance = torch.sigmoid((cost.amin(dim=1) - rival_cost) / (2 * sigma**2))
    apart = (_of(rival, found) - _of(best, found)) * chance.sqrt()[:, None]
    return torch.where((chance > 0)[:, None], apart, 0.0)


def _of(pair: Int[Tensor, "sets points"], values: Tensor) -> Tensor:
    """(sets, any, pairs, points) at one pair per point."""
    return values.gather(2, pair[:, None, None].expand(-1, values.shape[1], -1, -1))[:, :, 0]


def _judge(squared_errors: Tensor, seen: CentredObservations, threshold: float) -> tuple[Tensor, Tensor]:
    """Cost of every proposal ("sets pairs points"), and which views agree with it."""
    limit, squared_weights = threshold**2, seen.squared_weights[:, :, None]
    tail = squared_errors.clamp(max=limit * _TAIL**2)
    cost = squared_errors.clamp(max=limit).add_(tail, alpha=_SLOPE).mul_(squared_weights).sum(dim=1)
    return cost, (squared_errors < limit) & (squared_weights > 0)


def _squared_errors(
    found: Float[Tensor, "sets pairs 3 points"],
    determined: Bool[Tensor, "sets pairs points"],
    seen: CentredObservations,
) -> Float[Tensor, "sets views pairs points"]:
    """Squared pixels between sightings and proposals; inf where a proposal is not in front of the camera
    or its pair determines none. The hot loop: memory is reused."""
    image = seen.rig.image(found.transpose(1, 2).flatten(2))
    across, down, depth = (each.unflatten(2, determined.shape[1:]) for each in image)
    behind = (depth <= NEAR).logical_or_(~determined[:, None])
    u, v = seen.pixels[:, :, :, None].unbind(1)
    across.div_(depth).sub_(u).square_()
    return down.div_(depth).sub_(v).square_().add_(across).masked_fill_(behind, torch.inf)
