"""Unsure 2D joints moved to where several views together expect them. [Kim22]"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.representations.fusion.cross_view_evidence import JointEvidence, evidence_for, pair_images
from coview.representations.fusion.evidence_maps import FusionSettings, highest_places


@dataclass(frozen=True, kw_only=True)
class FusedJoints:
    """2D joints after fusion; constants, without gradient."""

    # unit and origin of what was given
    joints2d: Float[Tensor, "*batch views joints 2"]
    # which ones moved; all others are the same to the bit
    refined: Bool[Tensor, "*batch views joints"]


def confidence_quantile(
    confidence: Float[Tensor, "*batch views joints"], exempt: Bool[Tensor, "joints"], quantile: float
) -> Float[Tensor, ""]:
    """The quantile of the confidences of joints that were seen and may be moved; NaN if there are none."""
    asked = (confidence > 0) & ~exempt
    return torch.where(asked, confidence, torch.nan).nanquantile(quantile)


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
    """Joints below the threshold, moved to where all views together expect them. [Kim22]

    `joints2d`: root at the origin, free of NaN, any unit; with `perspective` focal lengths in frames
    whose axis points at the root. `pose`: each view's, root-centred, any size. `rotation`: from the
    frame of a view's pose into the axes of every view, first axis the source, second the target;
    [Kim22] gives every source the target's own rotation. `exempt` joints never move. `threshold`
    replaces that of the settings.

    A joint of confidence 0 was not seen and speaks for nothing. It stays where it is, unless
    `fill_missing` sends it to the best place without `margin` and `farthest`, which compare with a
    place that it does not have. Confidences are not changed: a missing joint still weighs nothing.

    Rotations decide everything: with errors beyond 20° more harm is done than good. Mirrored poses and
    rotations give the same answer without perspective. Needs two views to do anything at all."""
    shape = joints2d.shape
    joints2d, confidence = joints2d.reshape(-1, *shape[-3:]), confidence.reshape(-1, *shape[-3:-1])
    pose, rotation = pose.reshape(-1, *shape[-3:-1], 3), rotation.reshape(-1, shape[-3], shape[-3], 3, 3)
    limit = _threshold(confidence, exempt, settings) if threshold is None else threshold
    asked = _asked(confidence, limit, exempt, fill_missing)
    # the one place where a GPU is waited for: how many joints to work on
    at = asked.nonzero(as_tuple=True)
    evidence, unit = _evidence(joints2d, confidence, pose, rotation, limit, at, settings, perspective)
    before = joints2d[at].mT / unit
    place, height, height_before = highest_places(evidence, before, settings)
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
    """Which joints are looked for: the unsure, and the missing where asked for and a view saw anything."""
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
    """What speaks for places of the joints at (instant, target, joint), and the unit of such places."""
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
