"""Two views of the same points: epipolar distances, essential matrices, and the pose between the views.

Unless said otherwise points are undistorted and in normalised image coordinates (x/z, y/z; no unit),
the pose is b-from-a, and matrices fulfil b̃ᵀ E ã = 0.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.geometry.epipolar.essential_ransac import Pairs, find_essential
from coview.geometry.epipolar.five_point import (
    five_point as five_point,  # also found here: it belongs to the topic
)
from coview.geometry.rotations import skew


@dataclass(frozen=True)
class RelativePose:
    """How two views stand to each other, up to the length of the baseline."""

    rotation: Float[Tensor, "3 3"]  # b_from_a
    translation: Float[Tensor, "3"]  # unit length: the centre of a as seen from b
    inliers: Bool[Tensor, "n"]  # weight above 0 and within the threshold
    in_front: float  # share of the inliers that lie in front of both cameras; near 1 when all is well


def sampson_distance(
    matrix: Float[Tensor, "*#batch 3 3"], a: Float[Tensor, "*#batch n 2"], b: Float[Tensor, "*#batch n 2"]
) -> Float[Tensor, "*batch n"]:
    """How far each pair of points is, to first order, from fulfilling b̃ᵀ F ã = 0. [HZ04 eq. 11.9]

    Not squared, never negative; in the units of the points: pixels with a fundamental matrix,
    normalised units with an essential one. NaN for a pair with NaN, whose gradients are zero.
    Differentiable, but with a kink at distance zero."""
    valid = (a.isfinite() & b.isfinite()).all(dim=-1)
    a, b = (_homogeneous(torch.where(valid[..., None], points, 0.0)) for points in (a, b))
    line_b, line_a = a @ matrix.mT, b @ matrix
    slope = line_a[..., :2].square().sum(dim=-1) + line_b[..., :2].square().sum(dim=-1)
    safe = torch.where(slope > 0, slope, 1.0)  # zero where both are epipoles: there any pair fits
    return torch.where(valid, (line_b * b).sum(dim=-1).abs() / safe.sqrt(), torch.nan)


def fundamental_from_projections(
    projection_a: Float[Tensor, "*#batch 3 4"], projection_b: Float[Tensor, "*#batch 3 4"]
) -> Float[Tensor, "*batch 3 3"]:
    """Fundamental matrix of two projections, of unit norm: b̃ᵀ F ã = 0 in their pixels. [HZ04 eq. 17.3]

    Meaningless (NaN, or rounding noise) where both cameras have the same centre."""
    # Entry (j, i) is the determinant of projection_a without row i above projection_b without row j.
    pairs = torch.tensor([[1, 2], [2, 0], [0, 1]], device=projection_a.device)
    top, bottom = torch.broadcast_tensors(
        projection_a[..., None, pairs, :], projection_b[..., pairs, :].unsqueeze(-3)
    )
    matrix = torch.linalg.det(torch.cat([top, bottom], dim=-2))
    return matrix / matrix.norm(dim=(-2, -1), keepdim=True)


def essential_from_pose(
    rotation: Float[Tensor, "*batch 3 3"], translation: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3 3"]:
    """E = [t]× R of the pose b-from-a; its scale is that of the translation. [HZ04 eq. 9.12]"""
    return skew(translation) @ rotation


def eight_point(
    a: Float[Tensor, "*batch n 2"], b: Float[Tensor, "*batch n 2"], weights: Float[Tensor, "*batch n"]
) -> Float[Tensor, "*batch 3 3"]:
    """Weighted least-squares fundamental matrix of rank two and unit norm. [Hartley97; HZ04 alg. 11.1]

    Any unit: pixels give a fundamental matrix, normalised coordinates an essential one (bring it
    onto the essential matrices with `nearest_essential`). Points of weight 0 are ignored, NaN or
    not. NaN with fewer than eight weighted pairs, or NaN at a positive weight. Meaningless for points
    in a plane or on a line, and for views from one centre. Computed in float64, differentiable."""
    kept = weights > 0
    enough = kept.sum(dim=-1) >= 8
    a, b = (torch.where(kept[..., None], points, 0.0).double() for points in (a, b))
    share = torch.where(kept, weights, 0.0).double()
    share = share / torch.where(enough, share.sum(dim=-1), 1.0)[..., None]
    a, from_a = _hartley_normalised(a, share)
    b, from_b = _hartley_normalised(b, share)
    rows = (_homogeneous(b)[..., :, None] * _homogeneous(a)[..., None, :]).flatten(-2)
    gram = rows.mT @ (share[..., None] * rows)
    distinct = torch.diag(torch.arange(1.0, 10.0)).to(gram)  # a finite gradient where there is no answer
    enough = enough & gram.isfinite().all(dim=-1).all(dim=-1)
    gram = torch.where(enough[..., None, None], gram, distinct)
    matrix = torch.linalg.eigh(gram).eigenvectors[..., 0].unflatten(-1, (3, 3))
    matrix = from_b.mT @ _rank_two(matrix) @ from_a
    matrix = matrix / matrix.norm(dim=(-2, -1), keepdim=True)
    return torch.where(enough[..., None, None], matrix, torch.nan).to(weights.dtype)


def nearest_essential(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The essential matrix of unit norm (singular values equal, equal, zero) nearest to `matrix`.

    [HZ04 §11.7.3]. Meaningless where the two smaller singular values are equal."""
    u, _, vt = torch.linalg.svd(matrix)
    return u[..., :2] @ vt[..., :2, :] / 2**0.5


def decompose_essential(
    essential: Float[Tensor, "*batch 3 3"],
) -> tuple[Float[Tensor, "*batch 4 3 3"], Float[Tensor, "*batch 4 3"]]:
    """The four poses (rotation, unit translation) that share an essential matrix. [HZ04 result 9.19]

    In the order (R, t), (R, -t), (R', t), (R', -t); `relative_pose_from_essential` picks the one
    that has the points in front of both views."""
    u, _, vt = torch.linalg.svd(essential)
    u, vt = (side * torch.linalg.det(side)[..., None, None].sign() for side in (u, vt))
    quarter_turn = essential.new_tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    one, other = u @ quarter_turn @ vt, u @ quarter_turn.mT @ vt
    away = u[..., 2]
    return torch.stack([one, one, other, other], dim=-3), torch.stack([away, -away, away, -away], dim=-2)


def relative_pose_from_essential(
    essential: Float[Tensor, "3 3"],
    a: Float[Tensor, "n 2"],
    b: Float[Tensor, "n 2"],
    weights: Float[Tensor, "n"],
    *,
    threshold: float = float("inf"),
) -> RelativePose:
    """The pose behind an essential matrix that has most of the points in front of both views.

    Votes are weighted; only points of weight above 0 whose Sampson distance (normalised units) is
    below `threshold` vote, and they are the answer's inliers. `in_front` near ½ means that the
    points do not tell (far away, or no inliers: NaN): then the pose is meaningless."""
    inliers = (weights > 0) & (sampson_distance(essential, a, b) <= threshold)
    rotations, translations = decompose_essential(essential)
    depth_a, depth_b = _depths(rotations, translations, a[inliers], b[inliers])
    in_front = ((depth_a > 0) & (depth_b > 0)).to(weights.dtype)
    votes = in_front @ weights[inliers]
    best = int(votes.argmax())
    return RelativePose(rotations[best], translations[best], inliers, float(in_front[best].mean()))


def robust_relative_pose(
    a: Float[Tensor, "n 2"],
    b: Float[Tensor, "n 2"],
    weights: Float[Tensor, "n"],
    *,
    threshold: float,
    hypotheses: int = 512,
    seed: int = 0,
) -> RelativePose:
    """Pose between two calibrated views from pairs of points of which some are wrong.

    Five-point hypotheses from random samples, scored by truncated squared Sampson distances (MSAC)
    [Torr00] with `weights`, the best few refined by Levenberg-Marquardt on all inliers [Chum03],
    then cheirality. `threshold` is in normalised units (pixels / focal length), about three standard
    deviations of a good pair. The same seed gives the same answer. No gradients.

    Pairs of weight 0 or with NaN are ignored. ValueError with fewer than six others: five always
    fit. Meaningless for views from one centre (the translation is then noise) and when more than
    about two thirds of the pairs are wrong: look at the share of inliers and at `in_front`."""
    used = (weights > 0) & a.isfinite().all(dim=-1) & b.isfinite().all(dim=-1)
    if int(used.sum()) < 6:
        raise InputError(
            f"robust_relative_pose: {int(used.sum())} of {len(a)} pairs of points have a weight above 0 in "
            f"both views; at least 6 are needed (five fit always). Use more frames, or give this pair of "
            f"cameras up and connect them through others."
        )
    with torch.no_grad():
        kept_a, kept_b = (_homogeneous(points[used].double()) for points in (a, b))
        pairs = Pairs(kept_a, kept_b, weights[used].double())
        essential = find_essential(pairs, threshold, hypotheses, seed)
        if essential is None:
            raise InputError(
                f"robust_relative_pose: none of {hypotheses} samples of five pairs determines a pose. Do "
                f"all points of a view coincide? Check its detections."
            )
        clean = torch.where(used, weights, 0.0)
        return relative_pose_from_essential(essential.to(a.dtype), a, b, clean, threshold=threshold)


# --- inside --------------------------------------------------------------------------------------


def _homogeneous(points: Tensor) -> Tensor:
    return torch.nn.functional.pad(points, (0, 1), value=1.0)


def _hartley_normalised(points: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Points with mean 0 and mean square distance 2, and the matrix that made them so."""
    mean = (share[..., None] * points).sum(dim=-2, keepdim=True)
    variance = (share * (points - mean).square().sum(dim=-1)).sum(dim=-1)
    scale = (2 / torch.where(variance > 0, variance, 2.0)).sqrt()[..., None]
    one, zero = torch.ones_like(scale), torch.zeros_like(scale)
    shift = -scale * mean[..., 0, :]
    rows = torch.cat([scale, zero, shift[..., :1], zero, scale, shift[..., 1:], zero, zero, one], dim=-1)
    return (points - mean) * scale[..., None], rows.unflatten(-1, (3, 3))


def _rank_two(matrix: Tensor) -> Tensor:
    """The nearest matrix of rank two. [HZ04 §11.1.1]"""
    u, values, vt = torch.linalg.svd(matrix)
    return matrix - values[..., 2, None, None] * u[..., :, 2:] @ vt[..., 2:, :]


def _depths(rotation: Tensor, translation: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Depths λ in both views where the rays come closest: λ_b b̃ - λ_a R ã ≈ t. n per pose."""
    ray_a, ray_b = _homogeneous(a) @ rotation.mT, _homogeneous(b).expand(*rotation.shape[:-2], -1, 3)
    aa, bb, ab = ray_a.square().sum(-1), ray_b.square().sum(-1), (ray_a * ray_b).sum(-1)
    at, bt = ((ray * translation[..., None, :]).sum(-1) for ray in (ray_a, ray_b))
    parallax = (aa * bb - ab * ab).clamp_min(torch.finfo(a.dtype).tiny)
    return (ab * bt - bb * at) / parallax, (aa * bt - ab * at) / parallax
