"""Poses of unknown size and place: how they look in perspective, and in which of two mirrored worlds.

With D = diag(1, 1, -1) the poses DX and rotations DRD have the same image as X and R under any
parallel projection, in every view. Perspective tells them apart: what is nearer looks larger.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.representations.normalised import weighted_centred

# a joint is never taken to be closer to the camera than this share of the root's depth
_NEAREST = 0.3
# each leaves about a twentieth of the error in depth
_DEPTH_STEPS = 3
# under square roots
_TINY = 1e-12


def perspective_image(
    pose: Float[Tensor, "*#batch joints 3"],
    seen: Float[Tensor, "*#batch joints 2"],
    confidence: Float[Tensor, "*#batch joints"],
    growth: Float[Tensor, ""] | float = 1.0,
    *,
    centring: Literal["root", "weighted"] = "root",
) -> Float[Tensor, "*batch joints 2"]:
    """Image of a root-centred pose in its ray frame, P_xy / (1 + P_z/d), up to scale. ours

    `d` is the depth of the root in the pose's own unit, from how large the image `seen` is (in focal
    lengths): the root of d = rms(P_xy / (1 + P_z/d)) / rms(seen). Sizes are about the root over the joints
    seen, or about the mean and weighted with the confidences, so that one wrong joint does not move the
    person. `d` is held constant in the gradient; otherwise a pose could explain an image by moving away.
    `growth` multiplies it: 1, but with the gradient of a focal length that is being learned."""
    with torch.no_grad():
        by_weight = centring == "weighted"
        weights = confidence if by_weight else (confidence > 0).to(pose)

        def size(joints: Tensor) -> Tensor:
            joints = weighted_centred(joints, weights) if by_weight else joints
            return ((joints.square().sum(dim=-1) * weights).sum(dim=-1) + _TINY).sqrt()

        depth = size(pose[..., :2]) / size(seen)
        for _ in range(_DEPTH_STEPS - 1):
            depth = size(_seen_from(pose, depth)) / size(seen)
    return _seen_from(pose, depth * growth)


def _seen_from(pose: Tensor, depth: Tensor) -> Tensor:
    """P_xy / (1 + P_z/d)."""
    return pose[..., :2] / (1 + pose[..., 2:] / depth[..., None, None]).clamp_min(_NEAREST)


@dataclass(frozen=True)
class MirrorDecision:
    """One bit for a whole model, and how sure it is."""

    # the mirrored poses explain the images better
    flipped: bool
    # mean over views, of the poses as they are; image RMS is 1
    residual: float
    # the same for the poses mirrored in depth
    mirrored_residual: float
    # difference of the two in standard errors of the mean over views
    sigmas: float
    # how many views had a say
    views: int


def mirrored(points: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "*batch joints 3"]:
    """The points with z negated: reflected in depth."""
    return points * points.new_tensor([1.0, 1.0, -1.0])


def same_size_mean(
    first: Float[Tensor, "*batch joints 3"], second: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints 3"]:
    """Mean of two root-centred poses after both were brought to their mean size.

    Sizes mean nothing where poses come from one view; the larger one must not outvote the smaller."""
    sizes = [pose.square().sum(dim=(-2, -1), keepdim=True).add(_TINY).sqrt() for pose in (first, second)]
    return (first / sizes[0] + second / sizes[1]) * (sizes[0] + sizes[1]) / 4


def mirror_decision(
    poses: Float[Tensor, "views joints 3"],
    rays: Float[Tensor, "views joints 2"],
    weights: Float[Tensor, "views joints"],
) -> MirrorDecision:
    """Whether a model that predicted `poses` sits in the mirrored world; needs no labels.

    `poses`: root-centred, camera axes, any scale. `rays`: where the image has the joints, x/z and
    y/z, not root-centred. Both worlds get the translation that explains the images best; the one
    with the smaller mean residual wins. One view is right about nine times in ten, so ask for 200.
    With fewer than two usable views nothing is flipped and `sigmas` is 0. ours; [Wandt21] has the
    ambiguity without naming it."""
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
    """How badly a pose explains its image under perspective: mean distance, the image's RMS being 1.

    The translation that a pose of unknown scale needs is found by linear least squares. The answer
    is at most 10 (a pose that would have to stand behind the camera says nothing more than that)."""
    depth = poses + _translation(poses, rays, weights)[..., None, :]
    nearest = _NEAREST * depth[..., 2].mean(dim=-1).abs().clamp_min(1e-9)
    seen = depth[..., :2] / torch.maximum(depth[..., 2], nearest[..., None])[..., None]
    total = weights.sum(dim=-1).clamp_min(1e-9)
    centre = (weights[..., None] * rays).sum(dim=-2, keepdim=True) / total[..., None, None]
    extent = ((weights * (rays - centre).square().mean(dim=-1)).sum(dim=-1) / total + 1e-12).sqrt()
    distance = (weights * (seen - rays).norm(dim=-1)).sum(dim=-1) / total
    return (distance / extent).clamp_max(10.0)


def _translation(poses: Tensor, rays: Tensor, weights: Tensor) -> Tensor:
    """t minimising the weighted Σ |(P + t)_xy − q (P + t)_z|²: three unknowns, linear."""
    identity = torch.eye(2).to(poses).expand(*rays.shape, 2)
    design = torch.cat([identity, -rays[..., None]], dim=-1)  # ... joints 2 3
    target = rays * poses[..., 2:] - poses[..., :2]
    weighted = design * weights[..., None, None]
    normal = torch.einsum("...jai,...jak->...ik", weighted, design)
    right = torch.einsum("...jai,...ja->...i", weighted, target)
    damping = 1e-9 * torch.eye(3).to(poses)  # all joints on one ray leave the depth open
    return torch.linalg.solve(normal + damping, right)
