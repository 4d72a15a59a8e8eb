"""Perspective images of poses of unknown size and position, and the choice between a pose and its mirror image.

With D = diag(1, 1, -1) the poses DX and rotations DRD have the same image as X and R under any
parallel projection, in every view. Perspective tells them apart: what is nearer appears larger.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.representations.normalised import weighted_centred

# least depth of a joint, as a share of the root's depth
_NEAREST = 0.3
# fixed-point steps; each reduces the error in depth to about a twentieth
_DEPTH_STEPS = 3
# under square roots
_TINY = 1e-12


def perspective_image(
    pose: Float[Tensor, "*#batch joints 3"],
    observed: Float[Tensor, "*#batch joints 2"],
    confidence: Float[Tensor, "*#batch joints"],
    growth: Float[Tensor, ""] | float = 1.0,
    *,
    centring: Literal["root", "weighted"] = "root",
) -> Float[Tensor, "*batch joints 2"]:
    """Image of a root-centred pose in its ray frame, P_xy / (1 + P_z/d), up to scale. ours

    d is the depth of the root in the pose's own unit, from the size of the observed image: the solution of
    d = rms(P_xy / (1 + P_z/d)) / rms(observed). It is a constant of the gradient; otherwise a pose could fit an image
    by moving away.

    Args:
        pose: Root-centred, any unit, in the frame whose z axis goes through the root.
        observed: 2D joints in that frame, in focal lengths, root at the origin.
        confidence: Of the 2D joints; joints of 0 do not count.
        growth: Factor on d: 1, but with the gradient of a focal length that is being learned.
        centring: Sizes are taken about the root over the detected joints ("root"), or about the weighted mean with the
            confidences as weights ("weighted"), so that one wrong joint does not move the person.

    Returns:
        Image positions in the unit of `pose`.
    """
    with torch.no_grad():
        by_weight = centring == "weighted"
        weights = confidence if by_weight else (confidence > 0).to(pose)

        def size(joints: Tensor) -> Tensor:
            joints = weighted_centred(joints, weights) if by_weight else joints
            return ((joints.square().sum(dim=-1) * weights).sum(dim=-1) + _TINY).sqrt()

        depth = size(pose[..., :2]) / size(observed)
        for _ in range(_DEPTH_STEPS - 1):
            depth = size(_image_at(pose, depth)) / size(observed)
    return _image_at(pose, depth * growth)


def _image_at(pose: Tensor, depth: Tensor) -> Tensor:
    """P_xy / (1 + P_z/d)."""
    return pose[..., :2] / (1 + pose[..., 2:] / depth[..., None, None]).clamp_min(_NEAREST)


@dataclass(frozen=True)
class MirrorDecision:
    """Whether the poses of a model or their mirror images explain the images better, and the evidence."""

    # whether the mirrored poses have the smaller mean residual
    flipped: bool
    # mean residual over views of the poses as they are, as a share of the image's RMS
    residual: float
    # the same for the poses mirrored in depth
    mirrored_residual: float
    # difference of the two in standard errors of the mean over views
    sigmas: float
    # number of views that were used
    views: int


def mirrored(points: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "*batch joints 3"]:
    """Points reflected in depth: z negated.

    Args:
        points: Any unit.
    """
    return points * points.new_tensor([1.0, 1.0, -1.0])


def same_size_mean(
    first: Float[Tensor, "*batch joints 3"], second: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    """Mean of two root-centred poses after both were scaled to their mean size.

    The size of a pose from one view is arbitrary; the larger one must not dominate the mean.

    Args:
        first: Root-centred pose, any unit.
        second: The same.
    """
    sizes = [pose.square().sum(dim=(-2, -1), keepdim=True).add(_TINY).sqrt() for pose in (first, second)]
    return (first / sizes[0] + second / sizes[1]) * (sizes[0] + sizes[1]) / 4


def mirror_decision(
    poses: Float[Tensor, "views joints 3"],
    rays: Float[Tensor, "views joints 2"],
    weights: Float[Tensor, "views joints"],
) -> MirrorDecision:
    """Decide whether a model predicts mirror images in depth; needs no labels. ours

    Both the poses and their mirror images get the translation that fits the images best; the smaller mean residual
    decides. A single view is right about nine times in ten, so give about 200. [Wandt21] has the ambiguity without
    naming it.

    Args:
        poses: Root-centred, camera axes, any scale; views with NaN are not used.
        rays: Image positions x/z and y/z of the joints, not root-centred.
        weights: Of the joints; views with fewer than four above 0 are not used.

    Returns:
        The decision; with fewer than two usable views `flipped` is false and `sigmas` 0.
    """
    usable = torch.isfinite(poses).all(dim=-1).all(dim=-1) & ((weights > 0).sum(dim=-1) >= 4)
    poses, rays, weights = poses[usable].double(), rays[usable].double(), weights[usable].double()
    ours = perspective_residual(poses, rays, weights)
    other = perspective_residual(mirrored(poses), rays, weights)
    difference = ours - other
    views = len(difference)
    if views < 2:
        return MirrorDecision(False, float("nan"), float("nan"), 0.0, views)
    standard_error = float(difference.std()) / views**0.5
    sigmas = float(difference.mean()) / max(standard_error, 1e-12)
    return MirrorDecision(sigmas > 0, float(ours.mean()), float(other.mean()), abs(sigmas), views)


def perspective_residual(
    poses: Float[Tensor, "*batch joints 3"],
    rays: Float[Tensor, "*batch joints 2"],
    weights: Float[Tensor, "*batch joints"],
) -> Float[Tensor, "*batch"]:
    """Mean reprojection error of a pose of unknown scale and position under perspective.

    The translation is found by linear least squares.

    Args:
        poses: Root-centred, camera axes, any scale.
        rays: Image positions x/z and y/z of the joints.
        weights: Of the joints.

    Returns:
        As a share of the image's RMS, at most 10 (also for poses that fit only behind the camera).
    """
    depth = poses + _translation(poses, rays, weights)[..., None, :]
    nearest = _NEAREST * depth[..., 2].mean(dim=-1).abs().clamp_min(1e-9)
    image = depth[..., :2] / torch.maximum(depth[..., 2], nearest[..., None])[..., None]
    total = weights.sum(dim=-1).clamp_min(1e-9)
    centre = (weights[..., None] * rays).sum(dim=-2, keepdim=True) / total[..., None, None]
    extent = ((weights * (rays - centre).square().mean(dim=-1)).sum(dim=-1) / total + 1e-12).sqrt()
    distance = (weights * (image - rays).norm(dim=-1)).sum(dim=-1) / total
    return (distance / extent).clamp_max(10.0)


def _translation(poses: Tensor, rays: Tensor, weights: Tensor) -> Tensor:
    """t minimising the weighted Σ |(P + t)_xy − q (P + t)_z|²: three unknowns, linear."""
    identity = torch.eye(2).to(poses).expand(*rays.shape, 2)
    # ... joints 2 3
    design = torch.cat([identity, -rays[..., None]], dim=-1)
    target = rays * poses[..., 2:] - poses[..., :2]
    weighted = design * weights[..., None, None]
    normal = torch.einsum("...jai,...jak->...ik", weighted, design)
    right = torch.einsum("...jai,...ja->...i", weighted, target)
    # with all joints on one ray the depth is not determined
    damping = 1e-9 * torch.eye(3).to(poses)
    return torch.linalg.solve(normal + damping, right)
