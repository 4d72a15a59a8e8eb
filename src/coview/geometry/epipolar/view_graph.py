"""What pairs of views say of each other, and where all cameras stand by their word.

Every pair of cameras gives a relative pose (five points, robust); rotations are averaged over the
graph of pairs; the lengths of the baselines follow from depths that pairs share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.geometry.epipolar.relative_pose import RelativePose, robust_relative_pose
from coview.geometry.rotations import average_rotations, nearest_rotation, rotation_angle

MIN_SHARED = 30  # correspondences without which a pair says nothing
MIN_INLIERS = 0.3  # share that must fit one relative pose
MIN_PARALLAX = 0.035  # radians (2°) between rays of a pair, without which depth is not determined


class NotDeterminedError(InputError):
    """The data do not determine the cameras; the message says why and what to record instead."""


@dataclass(frozen=True)
class Pair:
    """What two cameras say of each other."""

    first: int
    second: int
    pose: RelativePose  # second-from-first; translation of unit length
    shared: int  # correspondences both cameras saw
    parallax: float  # radians, median angle between the rays of the inliers


def relate_pairs(
    flat: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    threshold: float,
    *,
    names: tuple[str, ...],
    seed: int = 0,
    among: Sequence[tuple[int, int]] | None = None,
) -> tuple[Pair, ...]:
    """The relative pose of every pair of cameras (or only those `among` these) that saw enough together.

    Coordinates at depth one."""
    found = [
        pair
        for first, second in among or combinations(range(flat.shape[1]), 2)
        if (pair := _relate(flat, weights, first, second, threshold, seed)) is not None
    ]
    good = tuple(pair for pair in found if _is_good(pair))
    for view, name in enumerate(names):
        if not any(view in (pair.first, pair.second) for pair in good):
            raise NotDeterminedError(_why_unconnected(view, name, names, found, weights))
    return good


def _relate(
    flat: Tensor, weights: Tensor, first: int, second: int, threshold: float, seed: int
) -> Pair | None:
    both = (weights[:, first] > 0) & (weights[:, second] > 0)
    shared = int(both.sum())
    if shared < MIN_SHARED:
        return None
    a, b = flat[:, first][both], flat[:, second][both]
    weight = (weights[:, first] * weights[:, second])[both].sqrt()
    pose = robust_relative_pose(a, b, weight, threshold=threshold, seed=seed)
    return Pair(first, second, pose, shared, _parallax(pose, a, b))


def _is_good(pair: Pair) -> bool:
    return float(pair.pose.inliers.double().mean()) >= MIN_INLIERS and pair.parallax >= MIN_PARALLAX


def _parallax(pose: RelativePose, a: Tensor, b: Tensor) -> float:
    """Median angle between the two rays to each inlier, radians."""
    if not bool(pose.inliers.any()):
        return 0.0
    one = torch.ones_like(a[:, :1])
    in_first, in_second = torch.cat([a, one], -1), torch.cat([b, one], -1)
    turned = in_first @ pose.rotation.mT
    sine = torch.linalg.cross(turned, in_second).norm(dim=-1)
    angle = torch.atan2(sine, (turned * in_second).sum(-1))
    return float(angle[pose.inliers].median())


def _why_unconnected(view: int, name: str, names: tuple[str, ...], found: list[Pair], weights: Tensor) -> str:
    """Why a camera could not be tied to any other, and what to do."""
    mine = [pair for pair in found if view in (pair.first, pair.second)]
    if not mine:
        seen = int((weights[:, view] > 0).sum())
        return (
            f"camera '{name}' cannot be placed: it shares fewer than {MIN_SHARED} joints with every other "
            f"camera (it saw {seen} joints in all). Record the person where '{name}' and another of "
            f"{', '.join(other for other in names if other != name)} see them at the same time."
        )
    best = max(mine, key=lambda pair: float(pair.pose.inliers.double().mean()))
    other = names[best.second if best.first == view else best.first]
    share = float(best.pose.inliers.double().mean())
    if share < MIN_INLIERS:
        return (
            f"camera '{name}' cannot be placed: with '{other}', its best partner, only {share:.0%} of "
            f"{best.shared} joints fit one camera position (needed: {MIN_INLIERS:.0%}). Usual causes: the videos "
            f"are not synchronised, the cameras follow different people, or the intrinsics are wrong."
        )
    return (
        f"camera '{name}' cannot be placed: it looks from almost the same direction as '{other}' "
        f"({best.parallax * 57.2958:.1f}° between their rays, at least 2° are needed), so depth is not "
        f"determined. Move the cameras apart, or let the person come closer."
    )


# --- places ---------------------------------------------------------------------------------------


def place_cameras(
    pairs: tuple[Pair, ...],
    flat: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    names: tuple[str, ...],
) -> Float[Tensor, "views 3 4"]:
    """Camera-from-world of every view from pairwise poses, up to a similarity; the first is the world.

    Averaged rotations, then baselines with consistent lengths. Raises NotDeterminedError where the
    graph of pairs falls apart."""
    rotations = average_over_pairs(pairs, len(names), names)
    lengths = _baseline_lengths(pairs, flat, weights)
    centres = _centres(pairs, rotations, lengths, len(names))
    return torch.cat([rotations, -(rotations @ centres[..., None])], dim=-1)


def average_over_pairs(
    pairs: tuple[Pair, ...], views: int, names: tuple[str, ...]
) -> Float[Tensor, "views 3 3"]:
    """Camera-from-world rotations that fit all pairwise ones; the first camera's is the identity.

    Along a spanning tree of the best pairs first, then every camera in turn becomes the weighted
    chordal mean of what its neighbours say [Hartley13], with weights that fall for pairs that disagree.
    """
    rotations = _along_tree(pairs, views, names)
    edges = [(p.first, p.second, p.pose.rotation, float(p.pose.inliers.sum())) for p in pairs]
    edges += [(second, first, rotation.mT, weight) for first, second, rotation, weight in edges]
    for _ in range(50):
        for view in range(1, views):
            predicted = torch.stack([rotation @ rotations[a] for a, b, rotation, _ in edges if b == view])
            weight = torch.tensor([t for _, b, _, t in edges if b == view], dtype=predicted.dtype)
            error = rotation_angle(predicted, rotations[view].expand_as(predicted))
            rotations[view] = average_rotations(predicted, weight / (1 + (error / 0.05) ** 2))
    return nearest_rotation(rotations)


def _along_tree(pairs: tuple[Pair, ...], views: int, names: tuple[str, ...]) -> Tensor:
    """Rotations chained from camera to camera through the pairs with the most inliers."""
    rotations = torch.eye(3, dtype=torch.float64).repeat(views, 1, 1)
    placed = {0}
    by_inliers = sorted(pairs, key=lambda pair: -int(pair.pose.inliers.sum()))
    while len(placed) < views:
        pair = next((p for p in by_inliers if (p.first in placed) != (p.second in placed)), None)
        if pair is None:
            apart = [name for view, name in enumerate(names) if view not in placed]
            raise NotDeterminedError(
                f"the cameras fall into groups that share no view of the person: {', '.join(apart)} cannot be "
                f"tied to {', '.join(names[view] for view in sorted(placed))}. Record the person where both see them."
            )
        if pair.first in placed:
            rotations[pair.second] = pair.pose.rotation @ rotations[pair.first]
            placed.add(pair.second)
        else:
            rotations[pair.first] = pair.pose.rotation.mT @ rotations[pair.second]
            placed.add(pair.first)
    return rotations


def _baseline_lengths(pairs: tuple[Pair, ...], flat: Tensor, weights: Tensor) -> Tensor:
    """Length of every pair's baseline, up to one common factor.

    Two pairs that share a camera see the same depths there, each in units of its own baseline; the
    median ratio of these depths is the ratio of the baselines. Least squares in logarithms.
    """
    depths = [_depths(pair, flat, weights) for pair in pairs]
    rows, ratios = [torch.eye(len(pairs), dtype=torch.float64)[0]], [torch.zeros((), dtype=torch.float64)]
    for (e, one), (f, other) in combinations(enumerate(pairs), 2):
        for view in {one.first, one.second} & {other.first, other.second}:
            ratio = (depths[f][view] / depths[e][view]).log()
            ratio = ratio[ratio.isfinite()]
            if ratio.numel() < 10:
                continue
            weight = ratio.numel() ** 0.5 / (0.05 + float((ratio - ratio.median()).abs().median()))
            row = torch.zeros(len(pairs), dtype=torch.float64)
            row[e], row[f] = weight, -weight
            rows.append(row)
            ratios.append(weight * ratio.median())
    return _robust_solution(torch.stack(rows), torch.stack(ratios)[:, None], fixed=1)[:, 0].exp()


def _depths(pair: Pair, flat: Tensor, weights: Tensor) -> dict[int, Tensor]:
    """Depth of every joint in both cameras of a pair, in baselines; NaN where unknown. Mid-point method."""
    views = [pair.first, pair.second]
    one = torch.ones_like(flat[:, 0, :, :1])
    a, b = (torch.cat([flat[:, view], one], dim=-1) for view in views)
    turned = a @ pair.pose.rotation.mT  # s · turned + t = u · b
    aa, bb, ab = (turned * turned).sum(-1), (b * b).sum(-1), (turned * b).sum(-1)
    at, bt = (turned * pair.pose.translation).sum(-1), (b * pair.pose.translation).sum(-1)
    determinant = aa * bb - ab * ab
    first, second = (ab * bt - bb * at) / determinant, (aa * bt - ab * at) / determinant
    seen = (weights[:, views] > 0).all(dim=1) & (first > 0) & (second > 0)
    return {
        pair.first: torch.where(seen, first, torch.nan),
        pair.second: torch.where(seen, second, torch.nan),
    }


def _centres(pairs: tuple[Pair, ...], rotations: Tensor, lengths: Tensor, views: int) -> Tensor:
    """Camera centres whose differences are the pairs' baselines; the first at the origin."""
    rows, targets = [torch.zeros(views, dtype=torch.float64)], [torch.zeros(3, dtype=torch.float64)]
    rows[0][0] = 1e3
    for pair, length in zip(pairs, lengths, strict=True):
        weight = float(pair.pose.inliers.sum()) ** 0.5 / float(length)
        row = torch.zeros(views, dtype=torch.float64)
        row[pair.second], row[pair.first] = weight, -weight
        rows.append(row)
        targets.append(-weight * length * (rotations[pair.second].mT @ pair.pose.translation))
    return _robust_solution(torch.stack(rows), torch.stack(targets), fixed=1)


def _robust_solution(
    rows: Float[Tensor, "equations unknowns"], targets: Float[Tensor, "equations dims"], fixed: int
) -> Float[Tensor, "unknowns dims"]:
    """Least squares whose equations lose weight as they disagree (Cauchy, at twice the median residual).

    The first `fixed` equations keep theirs: they hold the gauge. One wrong pair must not move every camera."""
    weights = torch.ones(len(rows), 1, dtype=rows.dtype)
    for _ in range(20):
        solution = torch.linalg.lstsq(weights * rows, weights * targets, driver="gelsd").solution
        error = (rows @ solution - targets).norm(dim=-1, keepdim=True)
        scale = 2 * error[fixed:].median().clamp(min=1e-9) if len(error) > fixed else 1.0
        weights = (1 + (error / scale).square()).rsqrt()
        weights[:fixed] = 1
    return solution
