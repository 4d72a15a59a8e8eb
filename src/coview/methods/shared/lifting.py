"""Lifters: networks that turn the 2D joints of one view into a pose and a rotation into that camera. [Wandt21]

The network, the normalisation of 2D poses before it, the distance to labels, and the decision on the mirror image.
Like `base` and `lifted`, this is no method: what a paper claims to have invented stands in that paper's file.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from coview.errors import InputError
from coview.geometry.rotations import rotation_from_axis_angle, rotation_from_six_d
from coview.methods.shared.base import Fact, Method, MethodConfig
from coview.methods.shared.lifted import LiftedPoses, LifterInput
from coview.networks.lifter import Lifter
from coview.networks.morpher import load_morpher
from coview.representations.mirror_ambiguity import mirror_decision, same_size_mean
from coview.representations.morphed import morphed
from coview.representations.normalised import (
    image_rays,
    present,
    ray_from_camera,
    root_centred,
    rotated_rays,
    unit_norm,
    weighted_unit_norm,
)
from coview.sample import MultiView
from coview.skeletons import Skeleton

# how far the logarithm of a learned focal length may move from its start: a factor of 2.5 either way
_FOCAL_RANGE = 0.9
# signs that turn the numbers of a rotation R into those of D R D with D = diag(1, 1, -1)
_MIRROR_SIGNS = {"axis_angle": (-1.0, -1.0, 1.0), "six_d": (1.0, 1.0, -1.0, 1.0, 1.0, -1.0)}


@dataclass(frozen=True)
class LiftingConfig(MethodConfig):
    """The network and its input. Defaults are those of CanonPose's paper and code [Wandt21]."""

    # features of the lifter's layers
    width: int = 1024
    # how the network writes a rotation; six_d is continuous [Zhou19] and not in the paper
    rotation: Literal["axis_angle", "six_d"] = "axis_angle"
    # how predicted poses are projected into the views; perspective is ours and needs no distance of the person
    projection: Literal["orthographic", "perspective"] = "orthographic"
    # scale of the network's 2D input; unit_rms is ours and learns several times faster
    input_size: Literal["unit_norm", "unit_rms"] = "unit_norm"
    # How 2D poses are centred and scaled before they are compared or lifted. root, the paper's: the root
    # joint at the origin, RMS over all joints. weighted, ours: mean and RMS weighted with the confidences,
    # so that a wrong root does not shift, and a wrong joint does not shrink, all the others.
    centring: Literal["root", "weighted"] = "root"
    # False: every joint that was detected has weight 1
    use_confidence: bool = True
    # Whether a prediction is the mean of the answers to a view and to its mirror image (left joints for
    # right ones). Twice the work of a prediction, nothing in training; ours, usual among supervised lifters.
    flip_test: bool = False
    # Factor on the pose head's initial weights. The loss does not depend on the size of a pose, so a small
    # pose turns faster; at 1, about half of all runs on small data give every view the same rotation.
    pose_head_init_scale: float = 1.0
    # assumed focal length in image diagonals, for perspective and the mirror decision
    focal: float = 1.0
    # Whether the focal length is learned, starting there: one number for all cameras, under perspective; ours
    learn_focal: bool = False
    # Folder of a finished run of SkeletonMorphing, applied frozen to every 2D pose; None: the detector's
    # skeleton is already that of the poses to be learned.
    morphing: Path | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.width < 1:
            raise InputError(f"{name}: width must be at least 1, got {self.width}.")
        if not (self.focal > 0 and self.pose_head_init_scale > 0):
            raise InputError(
                f"{name}: focal (in image diagonals) and pose_head_init_scale must be positive, got {self.focal} "
                f"and {self.pose_head_init_scale}."
            )
        if self.learn_focal and self.projection == "orthographic":
            raise InputError(
                f"{name}: learn_focal needs projection 'perspective'; under parallel projection no focal length "
                f"can be seen."
            )


class LiftingMethod(Method[LiftedPoses]):
    """A network that gives a pose and a rotation per view; the losses are each method's own."""

    def __init__(self, config: LiftingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.root, self.mirror = config, skeleton.root_index, list(skeleton.mirror)
        perspective = frozenset({"image_size"}) if config.projection == "perspective" else frozenset()
        self.inputs = frozenset({"joints2d", "confidence"}) | perspective
        self.lifter = Lifter(len(skeleton), config.width, len(_MIRROR_SIGNS[config.rotation]))
        self.morpher = load_morpher(config.morphing, len(skeleton)) if config.morphing else None
        start = torch.tensor(math.log(config.focal))
        # a buffer that is not saved where it is not learned: the weights are then those of the paper
        self.log_focal: Tensor
        if config.learn_focal:
            self.log_focal = nn.Parameter(start)
        else:
            self.register_buffer("log_focal", start, persistent=False)
        with torch.no_grad():
            self.lifter.pose.weight.mul_(config.pose_head_init_scale)
            self.lifter.pose.bias.mul_(config.pose_head_init_scale)

    @property
    def focal(self) -> Float[Tensor, ""]:
        """Focal length of every camera, assumed or learned, in image diagonals."""
        start = math.log(self.config.focal)
        return self.log_focal.clamp(start - _FOCAL_RANGE, start + _FOCAL_RANGE).exp()

    def forward(self, batch: MultiView) -> LiftedPoses:
        """One pose per view, each from that view alone.

        Args:
            batch: `joints2d` (pixels) and `confidence`; under perspective `image_size` too.

        Returns:
            Poses of unknown size; `joints3d` is NaN in views whose root joint was not detected.
        """
        return self.lift(self.lifter_input(batch))

    def lifter_input(self, batch: MultiView) -> LifterInput:
        """2D joints as the network reads them: root at the origin, joints that were not detected at the root.

        Args:
            batch: `joints2d` (pixels) and `confidence`; under perspective `image_size` too.

        Returns:
            Pixels about the root under orthographic projection; under perspective image positions in focal
            lengths, seen by a camera that is rotated to look at the root. Finite everywhere.
        """
        joints, confidence = self._present(batch)
        if self.config.projection == "orthographic":
            identity = torch.eye(3).to(joints).expand(*joints.shape[:-2], 3, 3)
            return LifterInput(
                joints=root_centred(joints, self.root), confidence=confidence, ray_from_camera=identity
            )
        rays = image_rays(joints, batch.image_size, self.focal)
        rays = torch.where(confidence[..., self.root, None, None] > 0, rays, 0.0)
        ray_frame = ray_from_camera(rays[..., self.root, :])
        return LifterInput(
            joints=rotated_rays(rays, ray_frame), confidence=confidence, ray_from_camera=ray_frame
        )

    def image_joints(self, batch: MultiView) -> Float[Tensor, "*batch views joints 2"]:
        """The 2D joints in pixels that are lifted: the detector's, or those moved by skeleton morphing.

        Args:
            batch: `joints2d` (pixels) and `confidence`.

        Returns:
            Pixels; with morphing NaN for joints that were not detected.
        """
        if self.morpher is None:
            return batch.joints2d
        return morphed(batch.joints2d, batch.confidence, self.root, self.morpher)

    def _present(self, batch: MultiView) -> tuple[Tensor, Tensor]:
        """Finite pixels and weights; joints that were not detected stand at the root with weight 0."""
        joints2d, confidence = present(self.image_joints(batch), batch.confidence, self.root)
        return joints2d, confidence if self.config.use_confidence else (confidence > 0).to(confidence)

    def lift(self, observed: LifterInput) -> LiftedPoses:
        """The network's prediction for 2D poses of any origin.

        Args:
            observed: Root-centred 2D joints, as `lifter_input` gives them.

        Returns:
            Poses of unknown size; `joints3d` is NaN in views whose root joint has confidence 0.
        """
        pose, rotation = self._pose_and_rotation(observed)
        in_ray_frame = root_centred(pose @ rotation.mT, self.root)
        if self.config.flip_test and not self.training:
            in_ray_frame = same_size_mean(in_ray_frame, self._answer_to_mirror_image(observed))
        valid = self._root_seen(observed)
        return LiftedPoses(
            joints3d=torch.where(valid[..., None, None], in_ray_frame @ observed.ray_from_camera, torch.nan),
            canonical=pose,
            ray_from_canonical=rotation,
            observed=observed,
        )

    def _pose_and_rotation(self, observed: LifterInput) -> tuple[Tensor, Tensor]:
        pose, numbers = self.lifter(*self._network_input(observed))
        to_matrix = {"axis_angle": rotation_from_axis_angle, "six_d": rotation_from_six_d}
        return self._placed(pose), to_matrix[self.config.rotation](numbers)

    def _placed(self, pose: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "*batch joints 3"]:
        """The network's pose with its root at the origin."""
        return root_centred(pose, self.root)

    def _sized_by(self, observed: LifterInput) -> Bool[Tensor, "*batch views joints"]:
        """The joints that the size of a 2D pose is measured over."""
        return observed.confidence > 0

    def _root_seen(self, observed: LifterInput) -> Bool[Tensor, "*batch views"]:
        """Whether a view shows the root joint: without it there is no pose."""
        return observed.confidence[..., self.root] > 0

    def _answer_to_mirror_image(self, observed: LifterInput) -> Float[Tensor, "*batch views joints 3"]:
        """The pose in the ray frame that the flipped picture gives, flipped back. Both are about the root."""
        flipped = observed.joints[..., self.mirror, :] * observed.joints.new_tensor([-1.0, 1.0])
        other = replace(observed, joints=flipped, confidence=observed.confidence[..., self.mirror])
        pose, rotation = self._pose_and_rotation(other)
        in_ray_frame = root_centred(pose @ rotation.mT, self.root)
        return in_ray_frame[..., self.mirror, :] * pose.new_tensor([-1.0, 1.0, 1.0])

    def _network_input(self, observed: LifterInput) -> tuple[Tensor, Tensor]:
        """2D poses of one size, and confidences."""
        if self.config.centring == "weighted":
            flat = weighted_unit_norm(observed.joints, observed.confidence)
        else:
            flat = unit_norm(observed.joints, self._sized_by(observed))
        if self.config.input_size == "unit_rms":
            flat = flat * (2 * flat.shape[-2]) ** 0.5
        return flat, observed.confidence

    def distance_to(
        self,
        lifted: LiftedPoses,
        joints3d: Float[Tensor, "*batch joints 3"],
        rotation: Float[Tensor, "*batch views 3 3"],
    ) -> tuple[Float[Tensor, "*batch views joints"], Float[Tensor, "*batch views joints"]]:
        """Distance of every joint from a world pose, both root-centred in the axes of each camera.

        Args:
            lifted: The prediction, taken to be in the unit of `joints3d`.
            joints3d: World poses, NaN for joints that are not known.
            rotation: Camera from world.

        Returns:
            Distances in the unit of `joints3d`, 0 where either side is not known; and 1 where both are known,
            else 0.
        """
        truth = joints3d - joints3d[..., self.root, None, :]
        truth = truth[..., None, :, :] @ rotation.mT
        valid = truth.isfinite().all(dim=-1) & lifted.joints3d.isfinite().all(dim=-1)
        # the input of the norm is replaced, not its result: a NaN behind `where` still has a NaN gradient
        gap = torch.where(valid[..., None], self.in_camera(lifted) - truth, 1.0)
        return torch.where(valid, gap.norm(dim=-1), 0.0), valid.to(gap)

    @staticmethod
    def in_camera(lifted: LiftedPoses) -> Float[Tensor, "*batch views joints 3"]:
        """Root-centred poses in camera axes, from the network's direct answer (without `flip_test`).

        Args:
            lifted: The prediction.

        Returns:
            Poses of unknown size; finite, unlike `joints3d`, where the root was not detected.
        """
        return lifted.canonical @ lifted.ray_from_canonical.mT @ lifted.observed.ray_from_camera

    def _valid_views(self, lifted: LiftedPoses) -> Float[Tensor, "batch views"]:
        """1 for a view whose root joint was detected, else 0."""
        return self._root_seen(lifted.observed).to(lifted.canonical)

    # --- the mirror ----------------------------------------------------------------------------------

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Mirror the model in depth, in its weights, where perspective says that all its poses are mirrored.

        Args:
            batch: A few hundred instants with `joints2d`, `confidence` and `image_size`.

        Returns:
            Whether the weights were mirrored, how many standard errors decided it, the residuals of both
            worlds, and the number of views.
        """
        lifted = self(batch)
        pose = (lifted.canonical @ lifted.ray_from_canonical.mT).flatten(0, -3)
        rays = image_rays(self._present(batch)[0], batch.image_size, self.focal)
        # the mirror acts in the frame that the network works in
        rays = rotated_rays(rays, lifted.observed.ray_from_camera).flatten(0, -3)
        decision = mirror_decision(pose, rays, lifted.observed.confidence.flatten(0, -2))
        if decision.flipped:
            self.unmirror()
        return {
            "mirror_flipped": decision.flipped,
            "mirror_sigmas": round(decision.sigmas, 2),
            "mirror_residuals": f"{decision.residual:.4f} as trained, {decision.mirrored_residual:.4f} mirrored",
            "mirror_views": decision.views,
        }

    def unmirror(self) -> None:
        """Change the weights so that every pose X becomes DX and every rotation R becomes DRD, D = diag(1, 1, -1)."""
        signs = torch.tensor(_MIRROR_SIGNS[self.config.rotation]).to(self.lifter.entry.weight)
        self.lifter.mirror(signs)
