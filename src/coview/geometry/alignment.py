"""The rigid motion or similarity that lays one set of points best onto another (Procrustes)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.geometry.rotations import nearest_rotation, rotation_from_axis_angle


@dataclass(frozen=True)
class Similarity:
    """target = scale · rotation · source + translation; a rigid motion has scale 1."""

    rotation: Float[Tensor, "*batch 3 3"]  # target_from_source, determinant +1
    translation: Float[Tensor, "*batch 3"]  # in the unit of the target
    scale: Float[Tensor, "*batch"]  # target units per source unit

    def apply(self, points: Float[Tensor, "*#points n 3"]) -> Float[Tensor, "*#out n 3"]:
        """Source points in the frame and unit of the target; batches broadcast.

        NaN where the similarity is; such points get the gradient zero, not NaN."""
        valid = self.scale.isfinite()[..., None, None]  # replaced first: zero times NaN is NaN
        rotation, scale = (
            torch.where(valid, part, 0.0) for part in (self.rotation, self.scale[..., None, None])
        )
        moved = scale * (points @ rotation.mT) + self.translation[..., None, :]
        return torch.where(valid, moved, torch.nan)

    def inverse(self) -> "Similarity":
        """The way back, from target to source. Infinite where the scale is 0."""
        back = (self.rotation.mT @ self.translation[..., None])[..., 0]
        return Similarity(self.rotation.mT, -back / self.scale[..., None], 1 / self.scale)


def rigid_alignment(
    source: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Similarity:
    """Rotation and translation of least weighted square distance from source to target. [Kabsch76]

    Everything said of `similarity_alignment` holds here; the scale is 1."""
    return _aligned(source, target, weights, with_scale=False)


def upright_alignment(
    source: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Similarity:
    """The rigid motion of least weighted square distance that turns about the z axis alone.

    For clouds that agree on where up is: one angle is found more surely than three. Weights, NaN and left and right are
    as in `similarity_alignment`; the scale is 1. Not determined, and then not turned, where one cloud is a point seen
    from above; near that, and where the two have nothing in common from above, the gradient grows without bound."""
    return _aligned(source, target, weights, with_scale=False, nearest=_nearest_about_z)


def similarity_alignment(
    source: Float[Tensor, "*batch n 3"],
    target: Float[Tensor, "*batch n 3"],
    weights: Float[Tensor, "*batch n"] | None = None,
) -> Similarity:
    """Rotation, translation and scale of least weighted square distance. [Umeyama91] eq. 40-42

    Any unit. The determinant is +1 even where a mirror image would fit better, so left and right
    never swap. Points of weight 0 are ignored, NaN or not; NaN at a positive weight makes the whole
    answer NaN, as do fewer than three weighted points. Meaningless where the rotation is not
    determined: points on one line, or two clouds of which one is a point. Differentiable once, with
    finite gradients also for coplanar and symmetric points, where those of an SVD are not."""
    return _aligned(source, target, weights, with_scale=True)


def _aligned(
    source: Tensor,
    target: Tensor,
    weights: Tensor | None,
    with_scale: bool,
    nearest: Callable[[Tensor], Tensor] = nearest_rotation,
) -> Similarity:
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    kept = weights > 0
    enough = kept.sum(dim=-1) >= 3
    share = torch.where(kept, weights, 0.0)
    share = (share / torch.where(enough, share.sum(dim=-1), 1.0)[..., None])[..., None]
    # NaN is replaced before any arithmetic: masking it afterwards would leave NaN in the gradients
    source, target = (torch.where(kept[..., None], points, 0.0) for points in (source, target))
    mean_source, mean_target = ((share * points).sum(dim=-2) for points in (source, target))
    centred = source - mean_source[..., None, :]
    covariance = (target - mean_target[..., None, :]).mT @ (share * centred)
    rotation = nearest(covariance)
    scale = torch.ones_like(share[..., 0, 0])
    if with_scale:
        variance = (share * centred.square()).sum(dim=(-2, -1))
        stretch = (rotation * covariance).sum(dim=(-2, -1))  # the sum of signed singular values
        scale = torch.where(variance > 0, stretch / torch.where(variance > 0, variance, 1.0), torch.nan)
    translation = mean_target - scale[..., None] * (rotation @ mean_source[..., None])[..., 0]
    return Similarity(
        torch.where(enough[..., None, None], rotation, torch.nan),
        torch.where(enough[..., None], translation, torch.nan),
        torch.where(enough, scale, torch.nan),
    )


def _nearest_about_z(matrix: Tensor) -> Tensor:
    """The rotation about z of largest inner product with the matrix; the identity where all are equal."""
    largest = matrix.detach().abs().amax(dim=(-2, -1), keepdim=True)
    matrix = matrix / torch.where(largest > 0, largest, 1.0)
    cosine, sine = matrix[..., 0, 0] + matrix[..., 1, 1], matrix[..., 1, 0] - matrix[..., 0, 1]
    # what rounding leaves of nothing is no angle, and its gradient is infinite
    decided = cosine.square() + sine.square() > torch.finfo(matrix.dtype).eps ** 2
    angle = torch.atan2(torch.where(decided, sine, 0.0), torch.where(decided, cosine, 1.0))
    return rotation_from_axis_angle(angle[..., None] * matrix.new_tensor([0.0, 0.0, 1.0]))
