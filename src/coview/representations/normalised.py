"""Normalisation of 2D poses: position and size removed, viewed along the ray to the root joint."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# under square roots, so that a pose of no extent has a finite gradient
_TINY = 1e-12


def present(
    joints2d: Float[Tensor, "*batch joints 2"], confidence: Float[Tensor, "*batch joints"], root: int
) -> tuple[Float[Tensor, "*batch joints 2"], Float[Tensor, "*batch joints"]]:
    """Finite 2D joints and weights: joints that were not detected are moved to the root with weight 0.

    Gradients are finite whatever is missing.

    Args:
        joints2d: Pixels, NaN allowed.
        confidence: 0 for joints that were not detected.
        root: Index of the root joint.

    Returns:
        Pixels and weights; where the root itself was not detected, every joint is 0 and has weight 0.
    """
    seen = (confidence > 0) & torch.isfinite(joints2d).all(dim=-1)
    centred = seen[..., root, None]
    where_root = torch.where(centred, joints2d[..., root, :], 0.0)[..., None, :]
    seen = seen & centred
    return torch.where(seen[..., None], joints2d, where_root), torch.where(seen, confidence, 0.0)


def root_centred(
    joints: Float[Tensor, "*batch joints dims"], root: int
) -> Float[Tensor, "*batch joints dims"]:
    """Joints relative to the root joint.

    Args:
        joints: 2D or 3D, any unit.
        root: Index of the root joint.
    """
    return joints - joints[..., root, None, :]


def weighted_centred(
    joints: Float[Tensor, "*#batch joints dims"], weights: Float[Tensor, "*#batch joints"]
) -> Float[Tensor, "*batch joints dims"]:
    """Joints relative to their weighted mean.

    Args:
        joints: 2D or 3D, any unit.
        weights: 0 or more; where all are 0, joints stay where they are.
    """
    total = weights.sum(dim=-1, keepdim=True)
    share = weights / torch.where(total > 0, total, 1.0)
    return joints - (share[..., None] * joints).sum(dim=-2, keepdim=True)


def root_mean_square(
    joints: Float[Tensor, "*batch joints 2"], seen: Bool[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch"]:
    """Root-mean-square coordinate over the detected joints.

    Args:
        joints: About the origin, any unit.
        seen: Which joints were detected.

    Returns:
        In the unit of the joints; about 1e-6 where no joint was detected or all lie at the origin: never 0, so that
        it can divide.
    """
    squares = torch.where(seen[..., None], joints, 0.0).square().mean(dim=-1).sum(dim=-1)
    return (squares / seen.sum(dim=-1).clamp_min(1) + _TINY).sqrt()


def unit_norm(
    joints: Float[Tensor, "*batch joints 2"], seen: Bool[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch joints 2"]:
    """Root-centred joints scaled to Frobenius norm one. [Wandt21]

    With joints missing, the norm that all of them would have is estimated from the others, so that an occlusion
    does not enlarge the rest of the pose.

    Args:
        joints: Root-centred, any unit.
        seen: Which joints were detected; the root among them.

    Returns:
        No unit.
    """
    scale = root_mean_square(joints, seen) * (2 * joints.shape[-2]) ** 0.5
    return joints / scale[..., None, None]


def weighted_unit_norm(
    joints: Float[Tensor, "*batch joints 2"], weights: Float[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch joints 2"]:
    """2D poses about their weighted mean, scaled to Frobenius norm one. ours

    Mean and size are weighted with the confidences, so that a joint of low confidence neither shifts nor shrinks the
    others. The norm is the one that all joints would have.

    Args:
        joints: Any unit.
        weights: 0 or more; joints of weight 0 are at the origin in the result.

    Returns:
        No unit.
    """
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
    """Image positions x/z and y/z of pixels in a camera without calibration.

    The principal point is taken at the image centre.

    Args:
        joints2d: Pixels.
        image_size: Width and height in pixels.
        focal: Assumed focal length in image diagonals.

    Returns:
        In focal lengths from the image centre.
    """
    centre = (image_size - 1) / 2
    length = focal * image_size.norm(dim=-1)
    return (joints2d - centre[..., None, :]) / length[..., None, None]


def ray_from_camera(ray: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation (yaw, then pitch; no roll) that takes the ray (x, y, 1) to the z axis.

    Smooth for every ray; ROP (Yao et al., ECCV 2024) rotates the camera towards the person like this.

    Args:
        ray: Image position x/z and y/z.

    Returns:
        Into the axes of the rotated camera from those of the real one.
    """
    x, y = ray.unbind(-1)
    flat = (1 + x * x).sqrt()
    length = (1 + x * x + y * y).sqrt()
    zero = torch.zeros_like(x)
    right = torch.stack([1 / flat, zero, -x / flat], dim=-1)
    forward = torch.stack([x, y, torch.ones_like(x)], dim=-1) / length[..., None]
    down = torch.linalg.cross(forward, right)
    return torch.stack([right, down, forward], dim=-2)


def rotated_rays(
    rays: Float[Tensor, "*batch joints 2"], rotation: Float[Tensor, "*batch 3 3"]
) -> Float[Tensor, "*batch joints 2"]:
    """Image positions in a camera rotated about its centre.

    Args:
        rays: Image positions x/z and y/z.
        rotation: Into the axes of the rotated camera from those of the real one.

    Returns:
        Image positions x/z and y/z; meaningless for rays more than 90° from the new optical axis.
    """
    points = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1) @ rotation.mT
    return points[..., :2] / points[..., 2:].clamp_min(1e-3)
