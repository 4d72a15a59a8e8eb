"""Poses from adjacent pairs of views, as EpipolarPose makes its labels [Kocabas19 §3.2].

Cameras are adjacent in a ring. Essential matrices from joints pooled over many instants (five-point RANSAC),
cheirality, and pairs chained into one rig without bundle adjustment; then optimal two-view triangulation of every
pair, and the vector median over the pairs.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.metric_rig import PlacedRig, to_metric_upright
from coview.cameras import Cameras
from coview.geometry.epipolar.view_graph import NotDeterminedError, Pair, place_cameras, relate_pairs
from coview.geometry.triangulation.optimal_two_view import triangulate_pair, vector_median
from coview.skeletons import Skeleton

# share of a pair's inliers that must lie in front of both cameras
_IN_FRONT = 0.75


def neighbours(views: int) -> list[tuple[int, int]]:
    """Pairs of adjacent views in a ring: (0, 1), (1, 2), … and, where it is another pair, (0, last).

    Args:
        views: number of views."""
    return [(view, view + 1) for view in range(views - 1)] + ([(0, views - 1)] if views > 2 else [])


def cameras_from_pairs(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    skeleton: Skeleton,
    *,
    names: tuple[str, ...],
    threshold: float,
    seed: int,
) -> PlacedRig:
    """Extrinsics from adjacent pairs alone; scale and vertical as in `cameras_from_people`.

    Args:
        cameras: intrinsics of each view, without distortion; the extrinsics are ignored.
        pixels: 2D joints.
        weights: of the 2D joints; 0: not used.
        skeleton: of the joints.
        names: of the views, for messages.
        threshold: inlier threshold in pixels.
        seed: of the robust search.

    Raises:
        NotDeterminedError: a pair does not determine its relative pose; names the view."""
    flat = cameras.normalise(torch.nan_to_num(pixels))
    limit = threshold / float(cameras.focal.mean())
    pairs = relate_pairs(flat, weights, limit, names=names, seed=seed, among=neighbours(len(cameras)))
    _check_in_front(pairs, names)
    chained = replace(cameras, cam_from_world=place_cameras(pairs, flat, weights, names))
    points = points_from_pairs(chained, pixels, weights)
    facts = {
        "pairs": [[pair.first, pair.second] for pair in pairs],
        "pair_inliers": [float(pair.pose.inliers.double().mean()) for pair in pairs],
    }
    return to_metric_upright(chained, points, skeleton, facts)


def _check_in_front(pairs: tuple[Pair, ...], names: tuple[str, ...]) -> None:
    """Cheirality: mirrored images and exchanged axes also fit an essential matrix, with the people behind a camera."""
    for pair in pairs:
        if not pair.pose.in_front >= _IN_FRONT:
            raise NotDeterminedError(
                f"'{names[pair.first]}' and '{names[pair.second]}' do not fit: only {pair.pose.in_front:.0%} of the "
                f"joints that agree on how the two stand would be in front of both (needed: {_IN_FRONT:.0%}). Usual "
                f"causes: a mirrored picture, x and y exchanged, or views from one place."
            )


def points_from_pairs(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
) -> Float[Tensor, "frames joints 3"]:
    """Vector median over the optimal two-view points of all adjacent pairs.

    No view is rejected otherwise: the paper relies on the median, which two wrong views of four defeat.

    Args:
        cameras: without distortion.
        pixels: 2D joints.
        weights: of the 2D joints; those of weight 0 are ignored.

    Returns:
        Joints; NaN where no pair has the joint in front of both cameras."""
    seen = torch.where((weights > 0)[..., None], pixels, torch.nan).double()
    projections = cameras.pixels_from_world
    candidates = []
    for first, second in neighbours(len(cameras)):
        found = triangulate_pair(projections[first], projections[second], seen[:, first], seen[:, second])
        depths = cameras[[first, second]].to_camera(found[:, None])[..., 2]
        in_front = (depths > 0).all(dim=1)[..., None]
        candidates.append(torch.where(in_front, found, torch.nan))
    return vector_median(torch.stack(candidates, dim=-2))
