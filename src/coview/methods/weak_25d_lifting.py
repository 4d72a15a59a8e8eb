"""Weakly supervised 2.5D learning for 2D joints in, instead of images: the losses of [Iqbal20], a small network. ours

The network says how far every joint is behind the root, in lengths of the body; with the intrinsics a pose follows.
Poses of one instant must be the same rigid pose in every view, and limbs as long as limbs are on average. What is
read of `cameras` is lenses alone, unless the truth teaches.
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
    turned,
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
    """What the losses compare; all of it finite. Frame: the camera's, turned so that the root is on its axis."""

    # x/z and y/z
    rays: Float[Tensor, "*batch views joints 2"]
    # behind the root, in body units (torso lengths)
    relative_depth: Float[Tensor, "*batch views joints"]
    # body units
    points: Float[Tensor, "*batch views joints 3"]
    # confidence, 0 below the threshold
    trust: Float[Tensor, "*batch views joints"]


@dataclass(frozen=True)
class Weak25DLiftingConfig(MethodConfig):
    """Names and defaults follow `Weak25DConfig`, where both have them."""

    # of the lifter
    width: int = 256
    # the one thing that 3D measurements gave
    limbs: LimbLengths = field(default_factory=LimbLengths)
    # how depths become a pose
    placing: Placing = field(default_factory=Placing)
    # weight of L_MC; the paper's 10 and 100 are for other normalisations
    agreement: float = 1.0
    # of L_B
    limb_weight: float = 10.0
    # joints less confident than this teach nothing
    min_confidence: float = 0.3
    # joints are at most so many body units before or behind the root
    reach: float = 1.5
    # Factor on the depths' first weights: flat poses, from which limbs and views pull joints to either side; ours
    depth_start: float = 0.03
    # truth: the supervised ceiling of the same network
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
    """One view and its lens in, one pose in metres of a mean body out."""

    inputs = frozenset({"joints2d", "confidence", "cameras"})

    def __init__(self, config: Weak25DLiftingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.root, self.mirror = config, skeleton.root_index, list(skeleton.mirror)
        self.limbs = config.limbs.of(skeleton)
        # labels leave nothing to explain away
        self.placing = replace(config.placing, hold=config.placing.hold and config.taught_by == "views")
        self.intrinsics_only = config.taught_by == "views"
        self.supervision = frozenset({"joints3d"} if config.taught_by == "truth" else ())
        self.lifter = DepthLifter(len(skeleton), config.width)
        with torch.no_grad():
            self.lifter.depth.weight.mul_(config.depth_start)
            self.lifter.depth.bias.mul_(config.depth_start)

    def forward(self, batch: MultiView) -> RelativeDepths:
        """Poses in camera axes, NaN for joints that were not seen, and for views without their root joint."""
        joints2d, confidence = present(batch.joints2d, batch.confidence, self.root)
        rays = batch.cameras.normalise(joints2d)
        frame = ray_from_camera(rays[..., self.root, :])
        rays = turned(rays, frame)
        depth = self._relative_depth(rays, confidence)
        points = self.placing.place(rays, depth, confidence, self.limbs)
        return RelativeDepths(
            joints3d=metric_pose(points, confidence, self.limbs, self.root) @ frame,
            rays=rays,
            relative_depth=depth,
            points=points,
            trust=torch.where(confidence < self.config.min_confidence, 0.0, confidence),
        )

    def losses(self, predicted: RelativeDepths, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """L_MC and L_B in body units [Iqbal20]; or, where the truth teaches, the mean distance of joints in metres."""
        if self.config.taught_by == "truth":
            return {"joint": self._distance(predicted, batch)}
        return self._terms(predicted)

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Whether all depths with the other sign agree better between the views, and with the limbs; then they get it.

        Perspective alone tells the two worlds apart, by a little."""
        if self.config.taught_by == "truth":
            return {}
        found = self(batch)
        depth = -found.relative_depth
        points = self.placing.place(found.rays, depth, found.trust, self.limbs)
        mirrored = replace(found, relative_depth=depth, points=points)
        costs = [float(torch.stack(list(self._terms(each).values())).sum()) for each in (found, mirrored)]
        return flip_if_mirrored(self.lifter.depth, *costs)

    # --- inside ----------------------------------------------------------------------------------

    def _relative_depth(self, rays: Tensor, confidence: Tensor) -> Float[Tensor, "*batch joints"]:
        """The mean of the answers to a view and to its mirror image: while learning, too.

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
        means, trust = self.limbs.in_torsos(lengths), self.limbs.both(predicted.trust)
        return {
            "agreement": self.config.agreement * view_disagreement(predicted.points, predicted.trust),
            "limb": self.config.limb_weight * limb_error(lengths, means, trust),
        }

    def _distance(self, predicted: RelativeDepths, batch: MultiView) -> Float[Tensor, ""]:
        """Of root-centred joints in camera axes, over those that are known and seen."""
        truth = batch.joints3d - batch.joints3d[..., self.root, None, :]
        truth = truth[..., None, :, :] @ batch.cameras.rotation.mT
        known = truth.isfinite().all(dim=-1) & predicted.joints3d.isfinite().all(dim=-1)
        gap = torch.where(known[..., None], predicted.joints3d - truth, 1.0)
        return torch.where(known, gap.norm(dim=-1), 0.0).sum() / known.sum().clamp_min(1)
