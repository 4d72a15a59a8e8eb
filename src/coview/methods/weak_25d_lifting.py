"""Weakly supervised 2.5D learning from 2D joints instead of images: the losses of [Iqbal20], a small network. ours

The network estimates the depth of every joint behind the root, in lengths of the body; with the intrinsics a pose
follows. Poses of one instant must be the same rigid pose in every view, and limbs must have their average length. Of
`cameras` only the intrinsics are read, unless the truth supervises.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.limb_lengths import LimbLengths
from coview.errors import InputError
from coview.losses import limb_error, view_disagreement
from coview.methods.shared.base import Fact, Method, MethodConfig, MetricCameraPoses, flip_if_mirrored
from coview.networks.lifter import DepthLifter
from coview.representations.normalised import (
    present,
    ray_from_camera,
    root_mean_square,
    rotated_rays,
    weighted_centred,
    weighted_unit_norm,
)
from coview.representations.relative_depth import Placing, limb_norms, metric_pose
from coview.sample import MultiView
from coview.skeletons import Skeleton

# root mean square coordinate, in focal lengths, of a person 5 m away
_USUAL_SIZE = 0.09


@dataclass(frozen=True, kw_only=True)
class RelativeDepths(MetricCameraPoses):
    """Metric poses, and what the losses compare: finite, in the camera's frame rotated to look at the root."""

    # image positions x/z and y/z
    rays: Float[Tensor, "*batch views joints 2"]
    # depth behind the root, in body units (torso lengths)
    relative_depth: Float[Tensor, "*batch views joints"]
    # joints in body units
    points: Float[Tensor, "*batch views joints 3"]
    # of the detections, in [0, 1]; 0 below `min_confidence`
    confidence: Float[Tensor, "*batch views joints"]


@dataclass(frozen=True)
class Weak25DLiftingConfig(MethodConfig):
    """Names and defaults follow `Weak25DConfig`, where both have them."""

    # features of the lifter's layers
    width: int = 256
    # mean limb lengths, the only prior from 3D measurements
    limbs: LimbLengths = field(default_factory=LimbLengths)
    # how relative depths become a pose
    placing: Placing = field(default_factory=Placing)
    # weight of L_MC, the disagreement between views; the paper's 10 and 100 are for other normalisations
    agreement: float = 1.0
    # weight of L_B, the error of limb lengths
    limb_weight: float = 10.0
    # least confidence of joints that the losses use
    min_confidence: float = 0.3
    # largest depth of a joint before or behind the root, in body units
    reach: float = 1.5
    # Factor on the initial weights of the depths' layer: poses start flat, and limbs and views move joints to either
    # side; ours
    depth_start: float = 0.03
    # labels of the training: views, none; truth, 3D labels, the supervised reference of the same network
    taught_by: Literal["views", "truth"] = "views"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise InputError(f"Weak25DLiftingConfig: width must be at least 1, got {self.width}.")
        if not (self.reach > 0 and 0 <= self.min_confidence < 1):
            raise InputError(
                f"Weak25DLiftingConfig: reach (body units) must be positive and least_trust in [0, 1), got "
                f"{self.reach} and {self.min_confidence}."
            )
        if min(self.agreement, self.limb_weight) < 0:
            raise InputError(
                f"Weak25DLiftingConfig: agreement and limb_weight cannot be negative, got {self.agreement} and "
                f"{self.limb_weight}."
            )

    def build(self, skeleton: Skeleton) -> "Weak25DLifting":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return Weak25DLifting(self, skeleton)


class Weak25DLifting(Method[RelativeDepths]):
    """One pose per view and its intrinsics, in metres of a mean body."""

    inputs = frozenset({"joints2d", "confidence", "cameras"})

    def __init__(self, config: Weak25DLiftingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.root, self.mirror = config, skeleton.root_index, list(skeleton.mirror)
        self.limbs = config.limbs.of(skeleton)
        # with labels the root's depth may have a gradient
        self.placing = replace(
            config.placing, detach_depth=config.placing.detach_depth and config.taught_by == "views"
        )
        self.intrinsics_only = config.taught_by == "views"
        self.supervision = frozenset({"joints3d"} if config.taught_by == "truth" else ())
        self.lifter = DepthLifter(len(skeleton), config.width)
        with torch.no_grad():
            self.lifter.depth.weight.mul_(config.depth_start)
            self.lifter.depth.bias.mul_(config.depth_start)

    def forward(self, batch: MultiView) -> RelativeDepths:
        """Root-centred poses in camera axes.

        Args:
            batch: `joints2d` (pixels), `confidence`, and `cameras`, of which only the intrinsics are read.

        Returns:
            Metres of a mean body; NaN for joints that were not detected, and for views without their root joint.
        """
        joints2d, confidence = present(batch.joints2d, batch.confidence, self.root)
        rays = batch.cameras.normalise(joints2d)
        frame = ray_from_camera(rays[..., self.root, :])
        rays = rotated_rays(rays, frame)
        depth = self._relative_depth(rays, confidence)
        points = self.placing.place(rays, depth, confidence, self.limbs)
        return RelativeDepths(
            joints3d=metric_pose(points, confidence, self.limbs, self.root) @ frame,
            rays=rays,
            relative_depth=depth,
            points=points,
            confidence=torch.where(confidence < self.config.min_confidence, 0.0, confidence),
        )

    def losses(self, predicted: RelativeDepths, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """L_MC and L_B [Iqbal20]; or, with `taught_by` "truth", the mean distance of joints.

        Args:
            predicted: Poses of all views.
            batch: `joints3d` and `cameras`, with `taught_by` "truth" alone.

        Returns:
            `agreement` and `limb` in body units; or `joint` in metres.
        """
        if self.config.taught_by == "truth":
            return {"joint": self._distance(predicted, batch)}
        return self._terms(predicted)

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Negate all depths where their mirror images have the smaller L_MC and L_B.

        Only perspective tells the two apart, by a small difference.

        Args:
            batch: A few hundred instants of two or more views.

        Returns:
            Whether the depths were negated, and both losses; nothing with `taught_by` "truth".
        """
        if self.config.taught_by == "truth":
            return {}
        found = self(batch)
        depth = -found.relative_depth
        points = self.placing.place(found.rays, depth, found.confidence, self.limbs)
        mirrored = replace(found, relative_depth=depth, points=points)
        costs = [float(torch.stack(list(self._terms(each).values())).sum()) for each in (found, mirrored)]
        return flip_if_mirrored(self.lifter.depth, *costs)

    # --- inside ----------------------------------------------------------------------------------

    def _relative_depth(self, rays: Tensor, confidence: Tensor) -> Float[Tensor, "*batch joints"]:
        """Mean of the depths for a view and for its mirror image, in training too.

        Otherwise the network may give some poses their mirrored depths and their mirror images the true ones."""
        flipped = rays[..., self.mirror, :] * rays.new_tensor([-1.0, 1.0])
        other = self._answer(flipped, confidence[..., self.mirror])[..., self.mirror]
        depth = (self._answer(rays, confidence) + other) / 2
        return depth - depth[..., self.root, None]

    def _answer(self, rays: Tensor, confidence: Tensor) -> Float[Tensor, "*batch joints"]:
        centred = weighted_centred(rays, confidence)
        size = root_mean_square(centred, confidence > 0)
        flat = weighted_unit_norm(rays, confidence) * (2 * rays.shape[-2]) ** 0.5
        size = (size / _USUAL_SIZE).log().clamp(-2, 2)
        return self.config.reach * self.lifter(flat, confidence, size).tanh()

    def _terms(self, predicted: RelativeDepths) -> dict[str, Float[Tensor, ""]]:
        lengths = limb_norms(predicted.points, self.limbs)
        means, weights = self.limbs.in_torsos(lengths), self.limbs.both(predicted.confidence)
        return {
            "agreement": self.config.agreement * view_disagreement(predicted.points, predicted.confidence),
            "limb": self.config.limb_weight * limb_error(lengths, means, weights),
        }

    def _distance(self, predicted: RelativeDepths, batch: MultiView) -> Float[Tensor, ""]:
        """Mean distance of root-centred joints in camera axes from the truth, over joints known and detected."""
        truth = batch.joints3d - batch.joints3d[..., self.root, None, :]
        truth = truth[..., None, :, :] @ batch.cameras.rotation.mT
        valid = truth.isfinite().all(dim=-1) & predicted.joints3d.isfinite().all(dim=-1)
        gap = torch.where(valid[..., None], predicted.joints3d - truth, 1.0)
        return torch.where(valid, gap.norm(dim=-1), 0.0).sum() / valid.sum().clamp_min(1)
