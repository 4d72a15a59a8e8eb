"""Evidence of other views for the position of a joint: reprojected joints of their poses, and epipolar lines. [Kim22]

Without calibration: rotations and poses are a lifter's own predictions; the scale of a pose in an image, and thereby
its distance, comes from fitting it to the 2D joints of that image.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Scale = Literal["norm", "robust"]
# least depth of a joint, as a share of the root's depth
_NEAREST = 0.3
# fixed-point steps; each reduces the error in depth to about a twentieth
_DEPTH_STEPS = 4
# least fitted scale, as a share of the ratio of norms; for a bad pose the fit may be negative
_SMALLEST = 0.25
# with fewer joints above the threshold in a view, all detected joints are fitted
_FEW = 4
# least sine of the angle between view axes; views along one axis have no epipolar lines in each other
_MIN_SINE = 1e-3
# under square roots and in denominators
_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class PairImages:
    """The pose of every source view projected into every target view."""

    # projected joints, in the unit of the 2D joints
    image: Float[Tensor, "batch source target 2 joints"]
    # scale of the projection: 2D units per unit of the source's pose, at the root's depth
    scale: Float[Tensor, "batch source target"]
    # rotation between the views' ray frames, target from source
    rotation: Float[Tensor, "batch source target 3 3"]
    # norm of the target's 2D pose: the unit of positions in `JointEvidence`
    unit: Float[Tensor, "batch target"]


@dataclass(frozen=True, kw_only=True)
class JointEvidence:
    """Points and lines that support a position of a joint in a view; lengths as shares of the norm of its 2D pose.

    An item is a joint of a view. Items come last and coordinates are separate, because sums over a few sources are fast
    only that way."""

    # coordinates of the joint projected from each view
    x: Float[Tensor, "sources items"]
    y: Float[Tensor, "sources items"]
    # weights of these points, 0 or more
    point_weights: Float[Tensor, "sources items"]
    # epipolar lines: a x + b y + c is the signed distance to the line
    a: Float[Tensor, "others items"]
    b: Float[Tensor, "others items"]
    c: Float[Tensor, "others items"]
    # weights of the lines; 0 for a line that is not usable
    line_weights: Float[Tensor, "others items"]


def pair_images(
    joints2d: Float[Tensor, "batch views joints 2"],
    seen: Bool[Tensor, "batch views joints"],
    confident: Bool[Tensor, "batch views joints"],
    pose: Float[Tensor, "batch views joints 3"],
    rotation: Float[Tensor, "batch views views 3 3"],
    *,
    scale: Scale,
    perspective: bool,
) -> PairImages:
    """Every pose rotated into every view and scaled to the 2D joints of that view.

    Args:
        joints2d: Root at the origin, any unit; in perspective focal lengths in a frame whose axis points at the root.
        seen: Which joints were detected.
        confident: Which of them the robust scale is fitted to.
        pose: Each view's, root-centred, any size.
        rotation: Target view from the frame of the source's pose; first axis source, second target.
        scale: "norm" compares norms over the detected joints, as [Kim22] does, which an outlier enlarges; "robust"
            fits the `confident` joints by least squares (ours).
        perspective: Whether the projection is perspective; the scale is then one over the root's depth.

    Returns:
        Projected poses and their scales.
    """
    views = pose.shape[1]
    observed = joints2d.mT[:, None]
    fitted = confident if scale == "robust" else seen
    fitted = torch.where(fitted.sum(dim=-1, keepdim=True) < _FEW, seen, fitted).to(pose)[:, None, :, None]
    # one product of a tall matrix per pose
    rows = rotation.flatten(2, 3)
    rotated = (rows @ pose.mT).unflatten(-2, (views, 3))
    flat, depth = rotated[..., :2, :], rotated[..., 2:, :] if perspective else 0.0
    if scale == "robust":
        size = _fitted_scale(flat - observed * depth, observed, fitted)
    else:
        size = _scale_of_norms(flat, depth, observed, fitted)
    size = size[..., None, None]
    image = size * flat / (1 + size * depth).clamp_min(_NEAREST) if perspective else size * flat
    own = rotation.diagonal(dim1=1, dim2=2).movedim(-1, 1)
    return PairImages(
        image=image,
        scale=size[..., 0, 0],
        rotation=rotation @ own.mT[:, :, None],
        unit=_unit(image, joints2d, seen, scale == "robust"),
    )


def _fitted_scale(
    basis: Float[Tensor, "batch source target 2 joints"],
    observed: Float[Tensor, "batch 1 target 2 joints"],
    fitted: Float[Tensor, "batch 1 target 1 joints"],
) -> Float[Tensor, "batch source target"]:
    """The s with which s · `basis` fits the image in least squares.

    In perspective q = s P_xy / (1 + s P_z) is linear in s if written as q = s (P_xy - q P_z); such differences are
    the basis."""
    squares = (fitted * basis.square()).sum(dim=(-2, -1)) + _TINY
    ratio = ((fitted * observed.square()).sum(dim=(-2, -1)) / squares).sqrt()
    return torch.maximum((fitted * observed * basis).sum(dim=(-2, -1)) / squares, _SMALLEST * ratio)


def _scale_of_norms(
    flat: Float[Tensor, "batch source target 2 joints"],
    depth: Float[Tensor, "batch source target 1 joints"] | float,
    observed: Float[Tensor, "batch 1 target 2 joints"],
    fitted: Float[Tensor, "batch 1 target 1 joints"],
) -> Float[Tensor, "batch source target"]:
    norm, image = (fitted * observed.square()).sum(dim=(-2, -1)), flat
    for _ in range(_DEPTH_STEPS):
        size = (norm / ((fitted * image.square()).sum(dim=(-2, -1)) + _TINY)).sqrt()
        if isinstance(depth, float):
            break
        image = flat / (1 + size[..., None, None] * depth).clamp_min(_NEAREST)
    return size


def _unit(image: Tensor, joints2d: Tensor, seen: Tensor, robust: bool) -> Float[Tensor, "batch target"]:
    """Norm of the complete 2D pose; if robust, that of the view's own projected pose."""
    if robust:
        # batch 2 joints target
        own = image.diagonal(dim1=1, dim2=2)
        return own.square().sum(dim=(1, 2)).sqrt().clamp_min(_TINY)
    mean = (joints2d.square().sum(dim=-1) * seen).sum(dim=-1) / seen.sum(dim=-1).clamp_min(1)
    return (mean * joints2d.shape[-2]).sqrt().clamp_min(_TINY)


def evidence_for(
    instant: Int[Tensor, "items"],
    target: Int[Tensor, "items"],
    joint: Int[Tensor, "items"],
    joints2d: Float[Tensor, "batch views joints 2"],
    confidence: Float[Tensor, "batch views joints"],
    pairs: PairImages,
    *,
    own_view: bool,
    own_scale: bool,
    perspective: bool,
    min_axis_sine: float,
) -> JointEvidence:
    """Points of all views and epipolar lines of the other views for chosen joints, weighted by confidence.

    Args:
        instant: Index of each item's instant.
        target: Index of its view.
        joint: Index of its joint.
        joints2d: 2D joints of all views, as for `pair_images`.
        confidence: Of these joints; 0 for joints that were not detected.
        pairs: Poses projected into all views.
        own_view: Whether the target's own pose gives a point too.
        own_scale: Whether rays are scaled from source to target by the ratio of the source's pose in both; [Kim22] has
            no such factor.
        perspective: Whether the projection is perspective.
        min_axis_sine: Least sine of the angle between the axes of two views for which lines are used.

    Returns:
        Weights of lines are 0 where only one is left: a single line does not determine a point [Kim22].
    """
    unit = pairs.unit[instant, target]
    source = torch.arange(joints2d.shape[1], device=joints2d.device)[:, None]
    others = (target + source[1:]) % len(source)
    weights = confidence[instant, source, joint]
    rotation = pairs.rotation[instant, others, target].movedim((-2, -1), (0, 1)).contiguous()
    scale = pairs.scale[instant, others, target]
    a, b, c = _image_of_rays(
        joints2d[instant, others, joint].movedim(-1, 0).contiguous(),
        pairs.scale[instant, others, others] if own_scale else scale,
        scale,
        rotation,
        perspective,
    )
    size = (a.square() + b.square()).sqrt()
    sine = (rotation[0, 2].square() + rotation[1, 2].square()).sqrt()
    usable = (sine > max(min_axis_sine, _MIN_SINE)) & (size > 0)
    line_weights = torch.where(usable, confidence[instant, others, joint], 0.0)
    inverse = torch.where(usable, 1 / size, 0.0)
    return JointEvidence(
        x=pairs.image[instant, source, target, 0, joint] / unit,
        y=pairs.image[instant, source, target, 1, joint] / unit,
        point_weights=weights if own_view else torch.where(source == target, 0.0, weights),
        a=a * inverse,
        b=b * inverse,
        c=c * inverse / unit,
        line_weights=without_lone_lines(line_weights),
    )


def without_lone_lines(weights: Float[Tensor, "others items"]) -> Float[Tensor, "others items"]:
    """Weights of lines, set to 0 where only one line is left: one line does not determine a point. [Kim22]

    Args:
        weights: 0 or more.
    """
    return weights * ((weights > 0).sum(dim=0) != 1)


def _image_of_rays(
    seen: Float[Tensor, "2 *items"],
    source_scale: Float[Tensor, "*items"],
    target_scale: Float[Tensor, "*items"],
    rotation: Float[Tensor, "3 3 *items"],
    perspective: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Homogeneous line in the target (2D unit) of the ray on which the source saw a joint. ours

    In units of the pose, from the root, in the source's axes, the ray is (x, y, 0) + δ (u, v, 1): x, y
    at the root's depth; u, v the slope of the ray, which is 0 under parallel projection. Turned, and
    moved by the root's depth in the target, both parts are homogeneous image points of one line."""
    x, y = seen / source_scale.clamp_min(_TINY)
    point, way = rotation[:, 0] * x + rotation[:, 1] * y, rotation[:, 2]
    if not perspective:
        return -target_scale * way[1], target_scale * way[0], target_scale**2 * _cross(point, way)
    way = way + rotation[:, 0] * seen[0] + rotation[:, 1] * seen[1]
    # the scale is one over the root's depth: the image of P is s P_xy / (1 + s P_z)
    near, far = 1 + target_scale * point[2], target_scale * way[2]
    return (
        target_scale * (point[1] * far - near * way[1]),
        target_scale * (near * way[0] - point[0] * far),
        target_scale**2 * _cross(point, way),
    )


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[0] * b[1] - a[1] * b[0]
