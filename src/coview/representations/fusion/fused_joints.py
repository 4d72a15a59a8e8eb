"""Refinement of 2D joints of low confidence by the evidence of all views. [Kim22]"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.representations.fusion.cross_view_evidence import JointEvidence, evidence_for, pair_images
from coview.representations.fusion.evidence_maps import FusionSettings, map_maxima


@dataclass(frozen=True, kw_only=True)
class FusedJoints:
    """2D joints after fusion; without gradient."""

    # 2D joints in the unit and frame of the input
    joints2d: Float[Tensor, "*batch views joints 2"]
    # which joints were moved; all others are the same, bit for bit
    refined: Bool[Tensor, "*batch views joints"]


def confidence_quantile(
    confidence: Float[Tensor, "*batch views joints"], exempt: Bool[Tensor, "joints"], quantile: float
) -> Float[Tensor, ""]:
    """Quantile of the confidences of joints that were detected and may be moved.

    Args:
        confidence: Of all joints; 0 for joints that were not detected.
        exempt: Which joints are never moved.
        quantile: A share, 0 to 1.

    Returns:
        A confidence; NaN if there is no such joint.
    """
    movable = (confidence > 0) & ~exempt
    return torch.where(movable, confidence, torch.nan).nanquantile(quantile)


@torch.no_grad()
def fused_joints(
    joints2d: Float[Tensor, "*batch views joints 2"],
    confidence: Float[Tensor, "*batch views joints"],
    pose: Float[Tensor, "*batch views joints 3"],
    rotation: Float[Tensor, "*batch views views 3 3"],
    exempt: Bool[Tensor, "joints"],
    settings: FusionSettings,
    *,
    threshold: Float[Tensor, ""] | float | None = None,
    perspective: bool = False,
    fill_missing: bool = False,
) -> FusedJoints:
    """Joints of low confidence moved to where all views together expect them. [Kim22]

    With errors of the rotations beyond 20° more joints get worse than better. Mirrored poses and rotations give the
    same result without perspective. With a single view nothing moves.

    Args:
        joints2d: Root at the origin, free of NaN, any unit; with `perspective` focal lengths in frames whose axis
            points at the root.
        confidence: Of the joints; one of 0 was not detected and is no evidence.
        pose: Each view's, root-centred, any size.
        rotation: From the frame of a view's pose into the axes of every view, first axis the source, second the
            target; [Kim22] gives every source the target's own rotation.
        exempt: Which joints are never moved.
        settings: How positions are found and which are accepted.
        threshold: Confidence below which joints are moved; default: that of the settings.
        perspective: Whether the projection is perspective.
        fill_missing: Whether joints that were not detected get the best position, without `margin` and `farthest`,
            which compare with an old position. Confidences do not change.

    Returns:
        2D joints in the frame of the input.
    """
    shape = joints2d.shape
    joints2d, confidence = joints2d.reshape(-1, *shape[-3:]), confidence.reshape(-1, *shape[-3:-1])
    pose, rotation = pose.reshape(-1, *shape[-3:-1], 3), rotation.reshape(-1, shape[-3], shape[-3], 3, 3)
    limit = _threshold(confidence, exempt, settings) if threshold is None else threshold
    asked = _asked(confidence, limit, exempt, fill_missing)
    # the only synchronisation with a GPU: the number of joints to move
    at = asked.nonzero(as_tuple=True)
    evidence, unit = _evidence(joints2d, confidence, pose, rotation, limit, at, settings, perspective)
    before = joints2d[at].mT / unit
    place, height, height_before = map_maxima(evidence, before, settings)
    accepted = _accepted(place - before, height, height_before, confidence[at] > 0, settings)
    refined = torch.zeros_like(asked).index_put(at, accepted)
    moved = joints2d.index_put(at, torch.where(accepted[:, None], (place * unit).mT, joints2d[at]))
    return FusedJoints(joints2d=moved.reshape(shape), refined=refined.reshape(shape[:-1]))


def _threshold(confidence: Tensor, exempt: Tensor, settings: FusionSettings) -> Tensor | float:
    if settings.quantile is None:
        return settings.threshold
    return confidence_quantile(confidence, exempt, settings.quantile)


def _asked(
    confidence: Float[Tensor, "batch views joints"],
    limit: Tensor | float,
    exempt: Bool[Tensor, "joints"],
    fill_missing: bool,
) -> Bool[Tensor, "batch views joints"]:
    """Which joints to move: those below the threshold, and with `fill_missing` missing ones of views with any joint."""
    seen = confidence > 0
    asked = (confidence < limit) & ~exempt
    return asked & seen.any(dim=-1, keepdim=True) if fill_missing else asked & seen


def _evidence(
    joints2d: Float[Tensor, "batch views joints 2"],
    confidence: Float[Tensor, "batch views joints"],
    pose: Float[Tensor, "batch views joints 3"],
    rotation: Float[Tensor, "batch views views 3 3"],
    limit: Tensor | float,
    at: tuple[Tensor, ...],
    settings: FusionSettings,
    perspective: bool,
) -> tuple[JointEvidence, Float[Tensor, "items"]]:
    """Evidence for the joints at (instant, target, joint), and the unit of their positions."""
    instant, target, joint = at
    seen = confidence > 0
    confident = seen & (confidence >= limit)
    pairs = pair_images(
        joints2d, seen, confident, pose, rotation, scale=settings.scale, perspective=perspective
    )
    evidence = evidence_for(
        instant,
        target,
        joint,
        joints2d,
        confidence,
        pairs,
        own_view=settings.own_view,
        own_scale=perspective or settings.scale == "robust",
        perspective=perspective,
        min_axis_sine=settings.min_axis_sine,
    )
    return evidence, pairs.unit[instant, target]


def _accepted(
    move: Float[Tensor, "2 items"],
    height: Float[Tensor, "items"],
    height_before: Float[Tensor, "items"],
    seen: Bool[Tensor, "items"],
    settings: FusionSettings,
) -> Bool[Tensor, "items"]:
    better = move.square().sum(dim=0) < settings.farthest**2
    if settings.margin is not None:
        better = better & (height >= (1 + settings.margin) * height_before)
    return (height > 0) & (better | ~seen)
