"""2D poses made comparable: without position, without size, seen along the ray to the root joint."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# under square roots, so that a pose of no extent has a finite gradient
_TINY = 1e-12


def present(
    joints2d: Float[Tensor, "*batch joints 2"], confidence: Float[Tensor, "*batch joints"], root: int
) -> tuple[Float[Tensor, "*batch joints 2"], Float[Tensor, "*batch joints"]]:
    """Pixels and weights without a trace of what was not seen.

    A joint with confidence 0 or a NaN coordinate moves to the root and weighs 0. Where the root
    itself was not seen there is nothing to centre on: every joint is 0 and weighs 0. Nothing else
    changes; gradients are finite whatever is missing."""
    seen = (confidence > 0) & torch.isfinite(joints2d).all(dim=-1)
    centred = seen[..., root, None]
    where_root = torch.where(centred, joints2d[..., root, :], 0.0)[..., None, :]
    seen = seen & centred
    return torch.where(seen[..., None], joints2d, where_root), torch.where(seen, confidence, 0.0)


def root_centred(
    joints: Float[Tensor, "*batch joints dims"], root: int
) -> Float[Tensor, "*batch joints dims"]:
    """The root joint at the origin; the unit stays."""
    return joints - joints[..., root, None, :]


def weighted_centred(
    joints: Float[Tensor, "*#batch joints dims"], weights: Float[Tensor, "*#batch joints"]
) -> Float[Tensor, "*batch joints dims"]:
    """The weighted mean of the joints at the origin; the unit stays. Where all weights are 0 nothing moves."""
    total = weights.sum(dim=-1, keepdim=True)
    share = weights / torch.where(total > 0, total, 1.0)
    return joints - (share[..., None] * joints).sum(dim=-2, keepdim=True)


def root_mean_square(
    joints: Float[Tensor, "*batch joints 2"], seen: Bool[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch"]:
    """Root-mean-square coordinate over the joints seen, in the unit of the joints.

    About 1e-6 where no joint was seen or all lie at the origin: never zero, so it can divide."""
    squares = torch.where(seen[..., None], joints, 0.0).square().mean(dim=-1).sum(dim=-1)
    return (squares / seen.sum(dim=-1).clamp_min(1) + _TINY).sqrt()


def unit_norm(
    joints: Float[Tensor, "*batch joints 2"], seen: Bool[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch joints 2"]:
    """Root-centred joints scaled to Frobenius norm one; no unit. [Wandt21]

    With joints missing the norm that all of them would have is estimated from those seen, so that
    an occlusion does not enlarge the rest of the pose. The root counts as seen."""
    scale = root_mean_square(joints, seen) * (2 * joints.shape[-2]) ** 0.5
    return joints / scale[..., None, None]


def weighted_unit_norm(
    joints: Float[Tensor, "*batch joints 2"], weights: Float[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch joints 2"]:
    """2D poses with their weighted mean at the origin and the norm one that all joints would have; no unit.

    Mean and size are weighted with the confidences, so that an unsure joint neither shifts nor shrinks
    the others, whichever joint it is. Joints of weight 0 are at the origin. ours"""
    centred = weighted_centred(joints, weights) * (weights > 0)[..., None]
    squares = (weights * centred.square().mean(dim=-1)).sum(dim=-1)
    total = weights.sum(dim=-1)
    size = (squares / torch.where(total > 0, total, 1.0) + _TINY).sqrt()
    return centred / (size * (2 * joints.shape[-2]) ** 0.5)[..., None, None]


def image_rays(
    joints2d: Float[Tensor, "*batch joints 2"],
    image_size: Float[Tensor, "*batch 2"],
    focal: Float[Tensor, ""] | float,
) -> Float[Tensor, "*batch joints 2"]:
    """Pixels as x/z and y/z (focal lengths from the image centre; no unit).

    For cameras nobody calibrated: the principal point is taken at the image centre and the focal
    length as `focal` image diagonals (1 where nothing is known)."""
    centre = (image_size - 1) / 2
    length = focal * image_size.norm(dim=-1)
    return (joints2d - centre[..., None, :]) / length[..., None, None]


def ray_from_camera(ray: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation (yaw, then pitch; no roll) that takes the ray (x, y, 1) to the z axis.

    ROP (Yao et al., ECCV 2024) turns the camera towards the person like this. Smooth for every ray."""
    x, y = ray.unbind(-1)
    flat = (1 + x * x).sqrt()
    length = (1 + x * x + y * y).sqrt()
    zero = torch.zeros_like(x)
    right = torch.stack([1 / flat, zero, -x / flat], dim=-1)
    forward = torch.stack([x, y, torch.ones_like(x)], dim=-1) / length[..., None]
    down = torch.linalg.cross(forward, right)
    return torch.stack([right, down, forward], dim=-2)


def turned(
    rays: Float[Tensor, "*batch joints 2"], rotation: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch joints 2"]:
    """Image positions (x/z, y/z) as a camera turned by `rotation` would have seen them.

    Meaningless for rays that point backwards after the turn (more than 90° from the new axis)."""
    points = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1) @ rotation.mT
    return points[..., :2] / points[..., 2:].clamp_min(1e-3)
