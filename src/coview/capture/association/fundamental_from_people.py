"""Fundamental matrices of uncalibrated views from several people who are not matched yet.

Every pairing of tracks of two views gives a fundamental matrix; only the right pairing gives one that the other people
fit as well.
"""

from collections.abc import Iterator
from itertools import chain, combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.capture.association.epipolar_affinity import epipolar_errors, frame_affinity
from coview.capture.association.multicut import greedy_edge_contraction
from coview.geometry.epipolar.fundamental_ransac import robust_fundamental
from coview.geometry.epipolar.relative_pose import eight_point, sampson_distance

# body sizes: epipolar error allowed while cameras are up to a frame out of step
ROUGH = 0.03
# body sizes: epipolar error allowed once people are matched
FINE = 0.015
# body sizes: epipolar error expected of right pairs during the search
_TYPICAL = 0.012
# tracks of each view that are paired with each other
_LONGEST = 5
# of two pairings at once, those that are scored, and the stretches of time in which a joint is one point
_DOUBLES, _STRETCHES = 6, 6
# of these pairings, those that share most frames
_TRIED = 12
# frames that two tracks must share
SHARED_FRAMES = 20
# frames in which the agreement of a pairing is computed
_INSTANTS = 80
# refits of a matrix to the points that it fits, and the fewest points
_REFITS, _FEWEST_POINTS = 3, 16
# pairs of joints that a matrix is first fitted to
_POINTS = 400
# share of the best possible agreement from which on no other pairing is tried
_SURE = 0.75
# correlation of motion that must go with it
_ALIKE = 0.4
# share of the best possible agreement below which two views get no fundamental matrix
_ENOUGH = 0.2

Fundamentals = dict[tuple[int, int], Float[Tensor, "3 3"]]


def search_fundamentals(
    joints: Float[Tensor, "views frames people joints 2"],
    track_ids: Int[Tensor, "views frames people"],
    seed: int = 0,
) -> Fundamentals:
    """Find fundamental matrices of pairs of views by trying which pairing of their tracks makes all people agree.

    Cost does not depend on the number of frames, and is quadratic in views.

    Args:
        joints: 2D detections in body sizes of each view, NaN where not seen.
        track_ids: The track of every detection; no two views share a number; -1: none.
        seed: Seed of the robust fits.

    Returns:
        Per pair of views (a, b), a < b: F with b̃ᵀ F ã = 0; pairs whose people agree on no matrix are left out.
    """
    found = {}
    for a, b in combinations(range(len(joints)), 2):
        matrix = _related(joints[a], joints[b], track_ids[a], track_ids[b], seed)
        if matrix is not None:
            found[a, b] = matrix
    return found


def refit_fundamentals(
    joints: Float[Tensor, "views frames people joints 2"],
    ids: Int[Tensor, "views frames people"],
    seed: int = 0,
) -> Fundamentals:
    """Fit fundamental matrices to people who are (well enough) matched already.

    Args:
        joints: 2D detections in body sizes of each view, NaN where not seen.
        ids: The person of every detection; -1: nobody.
        seed: Seed of the robust fits.

    Returns:
        Per pair of views (a, b), a < b: F with b̃ᵀ F ã = 0; pairs that cannot be fitted are left out.
    """
    found = {}
    for a, b in combinations(range(len(joints)), 2):
        matrix = _fitted(*_paired(joints[a], joints[b], ids[a], ids[b]), FINE, seed, 4 * _POINTS)
        if matrix is not None:
            found[a, b] = matrix
    return found


def fundamental_of_people(
    first: Float[Tensor, "people frames joints 2"],
    second: Float[Tensor, "people frames joints 2"],
    start: Float[Tensor, "3 3"] | None = None,
    seed: int = 0,
) -> Float[Tensor, "3 3"] | None:
    """Fit the fundamental matrix of two views to people who are matched.

    Args:
        first: Every person in the first view, body sizes of the view, NaN where not seen.
        second: The same people at the same instants in the second view.
        start: A matrix that is about right; None: by a robust search.
        seed: Seed of the robust search.

    Returns:
        F with b̃ᵀ F ã = 0; None where the two views share too little.
    """
    both = (first.isfinite() & second.isfinite()).all(dim=-1)
    a, b = first[both], second[both]
    if start is None:
        return _fitted(a, b, FINE, seed, 4 * _POINTS)
    some = torch.linspace(0, max(len(a) - 1, 0), min(len(a), 4 * _POINTS)).long()
    return _refined(start, a[some], b[some], (ROUGH, FINE, FINE))


def _related(
    a: Float[Tensor, "frames people joints 2"],
    b: Float[Tensor, "frames others joints 2"],
    in_a: Int[Tensor, "frames people"],
    in_b: Int[Tensor, "frames others"],
    seed: int,
) -> Float[Tensor, "3 3"] | None:
    shared = ((in_a >= 0).any(dim=1) & (in_b >= 0).any(dim=1)).nonzero()[:, 0]
    if len(shared) < SHARED_FRAMES:
        return None
    some = shared[torch.linspace(0, len(shared) - 1, min(len(shared), _INSTANTS)).long()]
    glance = a[some], b[some], in_a[some], in_b[some]
    possible = float(torch.minimum((in_a[some] >= 0).sum(dim=1), (in_b[some] >= 0).sum(dim=1)).sum())
    best, most, leads = None, 0.0, 0.0
    candidates = _candidates(a, b, in_a, in_b)
    single = (
        (_fitted(*_paired(a, b, _only(in_a, one), _only(in_b, other)), ROUGH, seed, _POINTS), alike)
        for one, other, alike in candidates
    )
    for matrix, alike in chain(single, _of_two_pairs(a, b, in_a, in_b, candidates, seed)):
        if matrix is None:
            continue
        matrix, score = _grown(matrix, *glance)
        if score * (0.5 + alike) > leads:
            best, most, leads = matrix, score, score * (0.5 + alike)
        if score >= _SURE * possible and alike >= _ALIKE:
            break
    return best if most >= _ENOUGH * possible else None


def _of_two_pairs(
    a: Float[Tensor, "frames people joints 2"],
    b: Float[Tensor, "frames others joints 2"],
    in_a: Int[Tensor, "frames people"],
    in_b: Int[Tensor, "frames others"],
    candidates: list[tuple[int, int, float]],
    seed: int,
) -> Iterator[tuple[Float[Tensor, "3 3"] | None, float]]:
    """Matrices of two pairings at once, those that fit best first, and how alike the people of the pairings move.

    One person who hardly moves is a few points, which many matrices fit; two of them in different places are enough.
    """
    several = list(combinations(candidates, 2))
    both = [(p, q) for p, q in several if p[0] != q[0] and p[1] != q[1]]
    if not both:
        return
    poses = {track: _mean_poses(a, in_a == track) for track in {one for one, _, _ in candidates}}
    others = {track: _mean_poses(b, in_b == track) for track in {other for _, other, _ in candidates}}
    first = torch.stack([torch.cat([poses[p[0]], poses[q[0]]]) for p, q in both])
    second = torch.stack([torch.cat([others[p[1]], others[q[1]]]) for p, q in both])
    weights = (first.isfinite() & second.isfinite()).all(dim=-1).double()
    matrices = eight_point(first, second, weights)
    for _ in range(_REFITS):
        distance = sampson_distance(matrices, first, second)
        weights = (1 / (1 + (distance / ROUGH).square())).nan_to_num(0.0)
        matrices = eight_point(first, second, weights)
    # the share that does not fit; a mean over few points says little
    away = 1 - weights.sum(dim=1) / weights.shape[1]
    for index in away.argsort()[:_DOUBLES].tolist():
        points = first[index], second[index]
        matrix = robust_fundamental(*points, torch.ones_like(weights[index]), threshold=ROUGH, seed=seed)
        yield matrix, (both[index][0][2] + both[index][1][2]) / 2


def _mean_poses(joints: Float[Tensor, "frames people joints 2"], mine: Tensor) -> Float[Tensor, "points 2"]:
    """Every joint of one person in a few stretches of the recording, by the median over a stretch."""
    row = torch.where(mine[..., None, None], joints, torch.nan).nanmean(dim=1).double()
    return torch.cat([part.nanmedian(dim=0).values for part in row.tensor_split(_STRETCHES)])


def _grown(
    matrix: Float[Tensor, "3 3"], a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor
) -> tuple[Float[Tensor, "3 3"], float]:
    """Fitted again to everybody who fits, as long as that makes more people fit; and how much fits."""
    score, groups = _agreement(matrix, a, b, in_a, in_b)
    for _ in range(3):
        first, second = _paired(a, b, _renamed(in_a, groups), _renamed(in_b, groups))
        some = torch.linspace(0, max(len(first) - 1, 0), min(len(first), _POINTS)).long()
        refitted = _refined(matrix, first[some], second[some], (ROUGH,) * _REFITS)
        if refitted is None:
            break
        better, regrouped = _agreement(refitted, a, b, in_a, in_b)
        if better <= score:
            break
        matrix, score, groups = refitted, better, regrouped
    return matrix, score


def _agreement(
    matrix: Float[Tensor, "3 3"], a: Tensor, b: Tensor, in_a: Tensor, in_b: Tensor
) -> tuple[float, list[list[int]]]:
    """Total affinity of the best grouping of all tracks under a matrix, and that grouping."""
    names, place = torch.cat([in_a.flatten(), in_b.flatten()]).unique(return_inverse=True)
    one, other = place[: in_a.numel()].view_as(in_a), place[in_a.numel() :].view_as(in_b)
    value = frame_affinity(epipolar_errors(matrix, a, b), _TYPICAL).double()
    found = torch.zeros(len(names), len(names), dtype=torch.float64)
    rows, columns = torch.broadcast_tensors(one[:, :, None], other[:, None])
    found.index_put_((rows.flatten(), columns.flatten()), value.flatten(), accumulate=True)
    weights = (found + found.mT).numpy()
    for view in (one, other):
        seen = torch.nn.functional.one_hot(view, len(names)).sum(dim=1).double()
        weights[((seen.mT @ seen) > 0).numpy()] = -np.inf
    weights[names.numpy() < 0] = -np.inf
    weights[:, names.numpy() < 0] = -np.inf
    groups = [group for group in greedy_edge_contraction(weights) if len(group) > 1]
    total = sum(weights[i, j] for group in groups for i in group for j in group if i < j)
    return float(total), [[int(names[index]) for index in group] for group in groups]


def _candidates(
    a: Float[Tensor, "frames people joints 2"],
    b: Float[Tensor, "frames others joints 2"],
    in_a: Int[Tensor, "frames people"],
    in_b: Int[Tensor, "frames others"],
) -> list[tuple[int, int, float]]:
    """Pairings of long tracks and how alike they move, those first that move most alike for longest.

    A motionless person fits many matrices with anybody, but moves like nobody."""
    pairs = []
    for one in _long(in_a):
        for other in _long(in_b):
            both = (in_a == one).any(dim=1) & (in_b == other).any(dim=1)
            if int(both.sum()) >= SHARED_FRAMES:
                heights = [
                    _heights(points, track_ids == track_id)[both]
                    for points, track_ids, track_id in ((a, in_a, one), (b, in_b, other))
                ]
                pairs.append((one, other, _alike(*heights), int(both.sum())))
    ranked = sorted(pairs, key=lambda pair: -(0.5 + pair[2]) * pair[3])
    return [pair[:3] for pair in ranked[:_TRIED]]


def _heights(points: Tensor, mine: Tensor) -> Float[Tensor, "frames joints"]:
    """How high each joint of one person is in the image against the others: much the same from every side."""
    row = torch.where(mine[..., None], points[..., 1], torch.nan).nanmean(dim=1)
    return row - row.nanmedian(dim=1, keepdim=True).values


def _alike(one: Float[Tensor, "frames joints"], other: Float[Tensor, "frames joints"]) -> float:
    """Mean over joints of the correlation over time, 0 to 1; 0 where there is nothing to correlate."""
    both = one.isfinite() & other.isfinite()
    first, second = (torch.where(both, each, torch.nan) for each in (one, other))
    first, second = (each - each.nanmean(dim=0) for each in (first, second))
    norm = (first.square().nansum(dim=0) * second.square().nansum(dim=0)).sqrt()
    each = torch.where(norm > 0, (first * second).nansum(dim=0) / norm.clamp(min=1e-12), torch.nan)
    mean = float(each[both.sum(dim=0) >= SHARED_FRAMES // 2].nanmean())
    return max(mean, 0.0) if mean == mean else 0.0


def _long(track_ids: Int[Tensor, "frames people"]) -> list[int]:
    names, counts = track_ids[track_ids >= 0].unique(return_counts=True)
    return [int(name) for name in names[counts.argsort(descending=True)[:_LONGEST]]]


def _only(track_ids: Tensor, track_id: int) -> Tensor:
    return torch.where(track_ids == track_id, 0, -1)


def _renamed(track_ids: Tensor, groups: list[list[int]]) -> Tensor:
    renamed = torch.full_like(track_ids, -1)
    for number, group in enumerate(groups):
        renamed[torch.isin(track_ids, torch.tensor(group))] = number
    return renamed


def _paired(
    a: Float[Tensor, "frames people joints 2"],
    b: Float[Tensor, "frames others joints 2"],
    in_a: Int[Tensor, "frames people"],
    in_b: Int[Tensor, "frames others"],
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """Joints of detections with the same number in the same frame."""
    frame, one, other = ((in_a[:, :, None] == in_b[:, None]) & (in_a >= 0)[:, :, None]).nonzero(as_tuple=True)
    first, second = a[frame, one].flatten(0, 1), b[frame, other].flatten(0, 1)
    valid = (first.isfinite() & second.isfinite()).all(dim=-1)
    return first[valid], second[valid]


def _fitted(
    a: Float[Tensor, "n 2"], b: Float[Tensor, "n 2"], threshold: float, seed: int, most: int
) -> Float[Tensor, "3 3"] | None:
    some = torch.linspace(0, max(len(a) - 1, 0), min(len(a), most)).long()
    return robust_fundamental(
        a[some], b[some], torch.ones(len(some), dtype=a.dtype), threshold=threshold, seed=seed
    )


def _refined(
    matrix: Float[Tensor, "3 3"],
    a: Float[Tensor, "n 2"],
    b: Float[Tensor, "n 2"],
    thresholds: tuple[float, ...],
) -> Float[Tensor, "3 3"] | None:
    """A matrix fitted again to the points that are near their lines, which costs less than a search."""
    for threshold in thresholds:
        near = sampson_distance(matrix, a, b) <= threshold
        if int(near.sum()) < _FEWEST_POINTS:
            return None
        matrix = eight_point(a, b, near.to(a.dtype))
    return matrix
