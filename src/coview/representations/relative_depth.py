"""2.5D poses: image positions of joints, and depths behind the root in units of the body's own size.

A pose in torso lengths (or other sizes of the body) follows from the lengths of limbs, once the camera's
intrinsics are known: one limb gives the root's depth in closed form [Iqbal18], several give it more accurately.
Positions in the image are x/z and y/z (no unit), never pixels.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.limb_lengths import Limbs, scale_of
from coview.errors import InputError

# bounds of the root's depth in body units; beyond them it has no gradient
NEAREST, FARTHEST = 2.0, 40.0
# least square of a limb's length in the image; a person 5 m away has a torso of 1e-2
_FLAT = 1e-5
# least discriminant
_REAL = 1e-8
# under square roots
_TINY = 1e-12
# steps of Gauss-Newton: error 6e-5 at worst of 5000 noisy poses, 1e-7 in 99 of 100
_STEPS = 8


def backprojected(
    rays: Float[Tensor, "*batch joints 2"],
    relative_depth: Float[Tensor, "*batch joints"],
    root_depth: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch joints 3"]:
    """Joints in camera axes: (Z + z) (x, y, 1). [Iqbal18]

    Args:
        rays: Image positions x/z and y/z.
        relative_depth: Depth z of each joint behind the root.
        root_depth: Depth Z of the root.

    Returns:
        In the unit of the depths.
    """
    depth = root_depth[..., None] + relative_depth
    return torch.cat([rays * depth[..., None], depth[..., None]], dim=-1)


def root_depth(
    rays: Float[Tensor, "*batch joints 2"],
    relative_depth: Float[Tensor, "*batch joints"],
    pair: tuple[int, int],
    length: float = 1.0,
) -> Float[Tensor, "*batch"]:
    """Depth of the root at which two joints have a given distance: the larger solution. [Iqbal18]

    a Z² + 2 b Z + c = 0; the paper's linear coefficient lacks the 2.

    Args:
        rays: Image positions x/z and y/z.
        relative_depth: Depth of each joint behind the root, body units.
        pair: Indices of the two joints.
        length: Their distance, body units.

    Returns:
        Body units, within [NEAREST, FARTHEST], with gradient 0 at these ends; float32 at least. Meaningless where the
        pair points at the camera (with 3 px of noise at 5 m: 2.5 % off across the ray, 10 % at 15° to it), and where
        it is longer than `length` at every depth.
    """
    ends = _ends(rays, relative_depth)[..., list(pair), :]
    a, b, c = _quadratic(ends[..., :1, :], ends[..., 1:, :])
    a, b, c = a[..., 0].clamp_min(_FLAT), b[..., 0], c[..., 0] - length**2
    depth = (-b + (b.square() - a * c).clamp_min(_REAL).sqrt()) / a
    return depth.clamp(NEAREST, FARTHEST)


def root_depth_of_limbs(
    rays: Float[Tensor, "*batch joints 2"],
    relative_depth: Float[Tensor, "*batch joints"],
    starts: tuple[int, ...],
    ends: tuple[int, ...],
    lengths: Float[Tensor, "limbs"],
    weights: Float[Tensor, "*batch limbs"],
) -> Float[Tensor, "*batch"]:
    """Depth of the root with the least squared error of limb lengths, weighted. ours

    Gauss-Newton from a depth that is too large; the gradient is that of the implicit function. A limb that points at
    the camera, whose length does not depend on the depth, has no influence.

    Args:
        rays: Image positions x/z and y/z.
        relative_depth: Depth of each joint behind the root, body units.
        starts: Index of each limb's first joint.
        ends: Index of its second joint.
        lengths: Lengths of the limbs, body units.
        weights: Of the limbs, 0 or more.

    Returns:
        Body units, within [NEAREST, FARTHEST], float32 at least; FARTHEST where all weights are 0.
    """
    both = _ends(rays, relative_depth)
    a, b, c = _quadratic(both[..., list(starts), :], both[..., list(ends), :])
    weights, lengths = weights.to(a), lengths.to(a)
    with torch.no_grad():
        far = (weights * (lengths + c.clamp_min(0).sqrt())).sum(dim=-1)
        near = (weights * a.clamp_min(0).sqrt()).sum(dim=-1)
        depth = torch.where(near > 0, far / near.clamp_min(_TINY), FARTHEST).clamp(NEAREST, FARTHEST)
        for _ in range(_STEPS):
            gradient, gauss_newton, _ = _derivatives(depth, a, b, c, lengths, weights)
            depth = (depth - gradient / gauss_newton).clamp(NEAREST, FARTHEST)
    # a Newton step from the optimum has length 0, and its derivative is that of the optimum
    gradient, gauss_newton, curvature = _derivatives(depth, a, b, c, lengths, weights)
    slope = (gauss_newton + curvature).maximum(0.3 * gauss_newton).detach()
    return (depth - gradient / slope).clamp(NEAREST, FARTHEST)


@dataclass(frozen=True)
class Placing:
    """How the depth of the root is estimated for a 2.5D pose. The unit of all depths is the length of a mean torso."""

    # limbs whose length determines the root's depth. torso: the torso alone [Iqbal18]; several: all limbs, which also
    # work where the torso points at the camera
    by: Literal["torso", "several"] = "several"
    # Least depth of the root, as a share of the depth at which limbs parallel to the image would have their length.
    # On mocap4 the true share is 0.69 to 0.99 in 998 of 1000 views. Without it (0), all joints on one ray close to the
    # camera satisfy every loss
    least_share: float = 0.6
    # whether the root's depth is a constant of the gradient: a pose cannot reduce losses by moving nearer
    detach_depth: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.least_share < 1:
            raise InputError(f"Placing: least_share is a share, 0 to below 1, got {self.least_share}.")

    def place(
        self,
        rays: Float[Tensor, "*batch joints 2"],
        relative_depth: Float[Tensor, "*batch joints"],
        weights: Float[Tensor, "*batch joints"],
        limbs: Limbs,
    ) -> Float[Tensor, "*batch joints 3"]:
        """Poses in camera axes from relative depths.

        Args:
            rays: Image positions x/z and y/z.
            relative_depth: Depth of each joint behind the root, mean torsos.
            weights: Of the joints; limbs have those of both ends.
            limbs: Limbs and their mean lengths.

        Returns:
            Mean torsos.
        """
        if self.by == "torso":
            found = root_depth(rays, relative_depth, (limbs.starts[0], limbs.ends[0]))
        else:
            given = (limbs.starts, limbs.ends, limbs.in_torsos(relative_depth), limbs.both(weights))
            found = root_depth_of_limbs(rays, relative_depth, *given)
            if self.least_share:
                with torch.no_grad():
                    flat = root_depth_of_limbs(rays, torch.zeros_like(relative_depth), *given)
                found = found.maximum(self.least_share * flat)
        return backprojected(rays, relative_depth, found.detach() if self.detach_depth else found)


def limb_norms(points: Float[Tensor, "*batch joints 3"], limbs: Limbs) -> Float[Tensor, "*batch limbs"]:
    """Lengths of limbs, with a finite gradient where both ends coincide.

    Args:
        points: Joints, any unit.
        limbs: Pairs of joints.

    Returns:
        In the unit of `points`.
    """
    return limbs.vectors(points).square().sum(dim=-1).add(_TINY).sqrt()


def metric_pose(
    points: Float[Tensor, "*batch joints 3"], weights: Float[Tensor, "*batch joints"], limbs: Limbs, root: int
) -> Float[Tensor, "*batch joints 3"]:
    """Root-centred poses in metres of a mean body: limbs have their average length.

    Args:
        points: Joints in camera axes, any unit.
        weights: Of the joints; joints of weight 0 are NaN in the result.
        limbs: Limbs and their mean lengths in metres.
        root: Index of the root joint.

    Returns:
        Metres of a mean body, not the person's own size; all NaN where no limb has both ends.
    """
    size = scale_of(limb_norms(points, limbs), points.new_tensor(limbs.lengths), limbs.both(weights))
    valid = (weights > 0) & size.isfinite()[..., None]
    # unknown values are replaced before the product: 0 times NaN is NaN in the gradient
    pose = size.nan_to_num(0.0)[..., None, None] * (points - points[..., root, None, :])
    return torch.where(valid[..., None], pose, torch.nan)


def _ends(rays: Tensor, relative_depth: Tensor) -> Tensor:
    """(x, y, 1) and z (x, y, 1) of every joint, concatenated: its position per unit of the root's depth, and at 0."""
    kind = torch.promote_types(rays.dtype, torch.float32)
    flat = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1).to(kind)
    return torch.cat([flat, flat * relative_depth[..., None].to(kind)], dim=-1)


def _quadratic(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """a, b, c: the square of the limb's length at the root depth Z is a Z² + 2 b Z + c."""
    slope, constant = (second - first).split(3, dim=-1)
    return slope.square().sum(dim=-1), (slope * constant).sum(dim=-1), constant.square().sum(dim=-1)


def _derivatives(
    depth: Tensor, a: Tensor, b: Tensor, c: Tensor, lengths: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Half the derivative of Σ w (length − mean)², over limbs that grow; and the two parts of its own derivative."""
    depth = depth[..., None]
    length = (a * depth.square() + 2 * b * depth + c + _TINY).clamp_min(_TINY).sqrt()
    growth = ((a * depth + b) / length).clamp_min(0)
    excess = length - lengths
    gradient = (weights * growth * excess).sum(dim=-1)
    gauss_newton = (weights * growth.square()).sum(dim=-1).clamp_min(_FLAT)
    curvature = (weights * (growth > 0) * (a - growth.square()) / length * excess).sum(dim=-1)
    return gradient, gauss_newton, curvature
