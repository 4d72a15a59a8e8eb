"""What every method shares that lifts one view to a pose and a rotation into the camera. [Wandt21]

The network, how 2D poses are put before it, errors of all pairs of views at once, the mirror decision.
Like `base` and `lifted`, this is no method: what a paper claims to have invented stands in that paper's file.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from coview.errors import InputError
from coview.geometry.rotations import nearest_rotation, rotation_from_axis_angle, rotation_from_six_d
from coview.losses import scale_free_error
from coview.methods.shared.base import Fact, Method, MethodConfig
from coview.methods.shared.lifted import LiftedPoses, Seen, flattened, flattened_seen
from coview.networks.lifter import Lifter
from coview.networks.morpher import load_morpher
from coview.representations.cross_view_poses import permutation_within, turned_pairs
from coview.representations.mirror_ambiguity import mirror_decision, perspective_image, same_size_mean
from coview.representations.morphed import morphed
from coview.representations.normalised import (
    image_rays,
    present,
    ray_from_camera,
    root_centred,
    turned,
    unit_norm,
    weighted_centred,
    weighted_unit_norm,
)
from coview.sample import MultiView
from coview.skeletons import Skeleton

# D R D with D = diag(1, 1, -1), in the numbers that a rotation is written with
_FOCAL_RANGE = 0.9  # that a learned focal length may go, in its logarithm: a factor of 2.5 either way
_MIRROR_SIGNS = {"axis_angle": (-1.0, -1.0, 1.0), "six_d": (1.0, 1.0, -1.0, 1.0, 1.0, -1.0)}


@dataclass(frozen=True)
class LiftingConfig(MethodConfig):
    """The network and what it sees. Defaults are those of CanonPose's paper and code [Wandt21]."""

    width: int = 1024  # of the lifter
    rotation: Literal["axis_angle", "six_d"] = "axis_angle"  # six_d is continuous [Zhou19]; not in the paper
    projection: Literal["orthographic", "perspective"] = (
        "orthographic"  # perspective is ours: no distance needed
    )
    input_size: Literal["unit_norm", "unit_rms"] = "unit_norm"  # unit_rms learns several times faster; ours
    # How 2D poses are put in place and size before they are compared or lifted. root, the paper's: the root
    # joint at the origin, RMS over all joints. weighted, ours: mean and RMS weighted with the confidences,
    # so that a wrong root does not shift, and a wrong joint does not shrink, all the others.
    placed_by: Literal["root", "weighted"] = "root"
    use_confidence: bool = True  # False: every joint that was seen counts the same
    # Whether a prediction is the mean of the answers to a view and to its mirror image (left joints for
    # right ones). Twice the work of a prediction, nothing in training; ours, usual among supervised lifters.
    both_sides: bool = False
    # Factor on the pose head's first weights. The loss does not see the size of a pose, so a small pose
    # turns faster; at 1, about half of all runs on small data give every view the same rotation.
    pose_start: float = 1.0
    focal: float = 1.0  # assumed focal length in image diagonals, for perspective and the mirror decision
    # Whether the focal length is learned, starting there: one number for all cameras, under perspective; ours
    learn_focal: bool = False
    # Folder of a finished run of SkeletonMorphing, applied frozen to every 2D pose; None: the detector's
    # skeleton is already that of the poses to be learned.
    morphing: Path | None = None

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.width < 1:
            raise InputError(f"{name}: width must be at least 1, got {self.width}.")
        if not (self.focal > 0 and self.pose_start > 0):
            raise InputError(
                f"{name}: focal (in image diagonals) and pose_start must be positive, got {self.focal} "
                f"and {self.pose_start}."
            )
        if self.learn_focal and self.projection == "orthographic":
            raise InputError(
                f"{name}: learn_focal needs projection 'perspective'; under parallel projection no focal length "
                f"can be seen."
            )


class LiftingMethod(Method[LiftedPoses]):
    """A network that gives a pose and a rotation per view; what it learns from, each method adds."""

    def __init__(self, config: LiftingConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.shape, self.root, self.mirror = config, skeleton.root_index, list(skeleton.mirror)
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
            self.lifter.pose.weight.mul_(config.pose_start)
            self.lifter.pose.bias.mul_(config.pose_start)

    @property
    def focal(self) -> Float[Tensor, ""]:
        """Focal length of every camera, assumed or learned, in image diagonals."""
        start = math.log(self.shape.focal)
        return self.log_focal.clamp(start - _FOCAL_RANGE, start + _FOCAL_RANGE).exp()

    def forward(self, batch: MultiView) -> LiftedPoses:
        """One pose per view, each from that view alone."""
        return self.lift(self.see(batch))

    def see(self, batch: MultiView) -> Seen:
        """The batch's 2D joints, root at the origin, without a trace of missing ones."""
        joints, confidence = self._present(batch)
        if self.shape.projection == "orthographic":
            identity = torch.eye(3).to(joints).expand(*joints.shape[:-2], 3, 3)
            return Seen(
                joints=root_centred(joints, self.root), confidence=confidence, ray_from_camera=identity
            )
        rays = image_rays(joints, batch.image_size, self.focal)
        rays = torch.where(confidence[..., self.root, None, None] > 0, rays, 0.0)
        ray_frame = ray_from_camera(rays[..., self.root, :])
        return Seen(joints=turned(rays, ray_frame), confidence=confidence, ray_from_camera=ray_frame)

    def image_joints(self, batch: MultiView) -> Float[Tensor, "*batch views joints 2"]:
        """The 2D joints (pixels) that all else is about: the detector's, morphed where that is asked for."""
        if self.morpher is None:
            return batch.joints2d
        return morphed(batch.joints2d, batch.confidence, self.root, self.morpher)

    def _present(self, batch: MultiView) -> tuple[Tensor, Tensor]:
        """Pixels and weights without a trace of what was not seen."""
        joints2d, confidence = present(self.image_joints(batch), batch.confidence, self.root)
        return joints2d, confidence if self.shape.use_confidence else (confidence > 0).to(confidence)

    def lift(self, seen: Seen) -> LiftedPoses:
        """The network's answer to 2D poses, of whatever origin."""
        pose, rotation = self._pose_and_rotation(seen)
        in_ray_frame = pose @ rotation.mT
        if self.shape.both_sides and not self.training:
            in_ray_frame = same_size_mean(in_ray_frame, self._answer_to_mirror_image(seen))
        known = seen.confidence[..., self.root, None, None] > 0
        return LiftedPoses(
            joints3d=torch.where(known, in_ray_frame @ seen.ray_from_camera, torch.nan),
            canonical=pose,
            ray_from_canonical=rotation,
            seen=seen,
        )

    def _pose_and_rotation(self, seen: Seen) -> tuple[Tensor, Tensor]:
        pose, numbers = self.lifter(*self._shown(seen))
        turn = {"axis_angle": rotation_from_axis_angle, "six_d": rotation_from_six_d}[self.shape.rotation]
        return root_centred(pose, self.root), turn(numbers)

    def _answer_to_mirror_image(self, seen: Seen) -> Float[Tensor, "*batch views joints 3"]:
        """The pose in the ray frame that the flipped picture gives, flipped back. Both are about the root."""
        flipped = seen.joints[..., self.mirror, :] * seen.joints.new_tensor([-1.0, 1.0])
        other = replace(seen, joints=flipped, confidence=seen.confidence[..., self.mirror])
        pose, rotation = self._pose_and_rotation(other)
        return (pose @ rotation.mT)[..., self.mirror, :] * pose.new_tensor([-1.0, 1.0, 1.0])

    def _shown(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """What the network gets: 2D poses of one size, and confidences."""
        if self.shape.placed_by == "weighted":
            flat = weighted_unit_norm(seen.joints, seen.confidence)
        else:
            flat = unit_norm(seen.joints, seen.confidence > 0)
        if self.shape.input_size == "unit_rms":
            flat = flat * (2 * flat.shape[-2]) ** 0.5
        return flat, seen.confidence

    def distance_to(
        self,
        lifted: LiftedPoses,
        joints3d: Float[Tensor, "*batch joints 3"],
        rotation: Float[Tensor, "*batch views 3 3"],
    ) -> tuple[Float[Tensor, "*batch views joints"], Float[Tensor, "*batch views joints"]]:
        """How far joints are from poses of the world, root-centred, in its unit; and where both are known (1 or 0).

        `rotation`: camera from world. The distance is 0 where one of them is not known."""
        truth = joints3d - joints3d[..., self.root, None, :]
        truth = truth[..., None, :, :] @ rotation.mT
        known = truth.isfinite().all(dim=-1) & lifted.joints3d.isfinite().all(dim=-1)
        # the input of the root is exchanged, not the result: a NaN behind `where` still has a NaN gradient
        gap = torch.where(known[..., None], self.in_camera(lifted) - truth, 1.0)
        return torch.where(known, gap.norm(dim=-1), 0.0), known.to(gap)

    @staticmethod
    def in_camera(lifted: LiftedPoses) -> Float[Tensor, "*batch views joints 3"]:
        """Poses in camera axes, root-centred; finite, unlike `joints3d`, where the root was not seen."""
        return lifted.canonical @ lifted.ray_from_canonical.mT @ lifted.seen.ray_from_camera

    # --- all pairs of views ------------------------------------------------------------------------

    def own_and_cross(
        self, lifted: LiftedPoses, seen: Seen | None = None
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """L_rep and L_view [Wandt21] against `seen` (default: what was lifted), unweighted.

        L_view is a sum over source views of means over the other views, as in the authors' code."""
        lifted = flattened(lifted)
        views = lifted.canonical.shape[-3]
        rotation = lifted.ray_from_canonical[None, :, None].expand(1, -1, views, -1, -1, -1)
        error = self.pair_errors(lifted, rotation, seen)[0]
        # no boolean mask: a GPU would have to be waited for
        own = error.diagonal(dim1=-2, dim2=-1)
        return own.mean(), (error.sum() - own.sum()) / (len(error) * (views - 1))

    def exchanged_error(self, lifted: LiftedPoses, rig: Int[Tensor, "*batch"]) -> Float[Tensor, ""]:
        """L_cam [Wandt21], unweighted: relative rotations exchanged among the instants of a rig.

        A sum over source views and over rigs of means over instants, as in the authors' code."""
        lifted = flattened(lifted)
        views = lifted.canonical.shape[-3]
        rotation, weights = self._exchanged(lifted, rig.flatten())
        error = self.pair_errors(lifted, rotation[None])[0]
        others = 1 - torch.eye(views, device=error.device)
        return (error * weights * others).sum() / (views - 1)

    def pair_errors(
        self,
        lifted: LiftedPoses,
        rotation: Float[Tensor, "kinds batch source target 3 3"],
        seen: Seen | None = None,
    ) -> Float[Tensor, "kinds batch source target"]:
        """Error of the pose of each source view in each target view, turned there by `rotation`.

        A view whose root was not seen costs nothing, neither as source nor as target."""
        seen = flattened_seen(seen or lifted.seen)
        pose = turned_pairs(lifted.canonical, rotation)
        joints, confidence = seen.joints[:, None], seen.confidence[:, None]
        image = pose[..., :2]
        if self.shape.projection == "perspective":
            # depths are constants of the gradient, but for the focal length that all of them grow with
            growth = self.focal / self.focal.detach()
            image = perspective_image(pose, joints, confidence, growth, placed_by=self.shape.placed_by)
        sized_by = None
        if self.shape.placed_by == "weighted":
            image, joints = weighted_centred(image, confidence), weighted_centred(joints, confidence)
            sized_by = confidence
        error = scale_free_error(image, joints, confidence, sized_by=sized_by)
        return error * self._known(lifted)[:, :, None]

    def _exchanged(
        self, lifted: LiftedPoses, rig: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch source target 3 3"], Float[Tensor, "batch source target"]]:
        """Rotations whose part between views was exchanged among instants of one rig; and weights.

        Weighted, a sum over the batch is a sum over rigs of means over instants. A rig that is there only
        once has nothing to exchange and weighs nothing."""
        camera, between, usable = self._between(lifted)
        views = torch.arange(camera.shape[1], device=rig.device)
        order = torch.stack([permutation_within(rig) for _ in views], dim=1)  # one per source view
        count = (rig[:, None] == rig).sum(dim=-1)
        share = torch.where(count > 1, 1 / count, 0.0).to(usable)
        rotation = lifted.seen.ray_from_camera[:, None] @ between[order, views] @ camera[:, :, None]
        return rotation, usable[order, views] * share[:, None, None]

    @torch.no_grad()
    def shared_rotation(
        self, lifted: LiftedPoses, rig: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch source target 3 3"]:
        """Rotations into target views whose part between cameras is the mean of the rig's instants. ours

        Much less noisy than those of one instant; a constant, without gradient. As a loss they lock in
        whatever is wrong early in training: use them where the answer is a constant anyway."""
        camera, between, usable = self._between(lifted)
        rigs, which = rig.unique(return_inverse=True)
        total = between.new_zeros(len(rigs), *between.shape[1:])
        total.index_add_(0, which, between * usable[..., None, None])
        mean = nearest_rotation(total + 1e-6 * torch.eye(3).to(total))[which]
        return lifted.seen.ray_from_camera[:, None] @ mean @ camera[:, :, None]

    def _between(self, lifted: LiftedPoses) -> tuple[Tensor, Tensor, Tensor]:
        """camera_from_canonical; rotations between cameras (target from source); whether both are known."""
        # only in camera frames is the rotation between cameras constant, in ray frames it is not
        camera = lifted.seen.ray_from_camera.mT @ lifted.ray_from_canonical
        known = self._known(lifted)
        between = camera[:, None] @ camera[:, :, None].mT
        return camera, between, known[:, :, None] * known[:, None]

    def _known(self, lifted: LiftedPoses) -> Float[Tensor, "batch views"]:
        return (lifted.seen.confidence[..., self.root] > 0).to(lifted.canonical)

    # --- the mirror ----------------------------------------------------------------------------------

    @torch.no_grad()
    def revise(self, batch: MultiView) -> dict[str, Fact]:
        """Un-mirror the weights where perspective says that the whole model is mirrored in depth."""
        lifted = self(batch)
        pose = (lifted.canonical @ lifted.ray_from_canonical.mT).flatten(0, -3)
        rays = image_rays(self._present(batch)[0], batch.image_size, self.focal)
        # the mirror acts in the frame that the network works in
        rays = turned(rays, lifted.seen.ray_from_camera).flatten(0, -3)
        decision = mirror_decision(pose, rays, lifted.seen.confidence.flatten(0, -2))
        if decision.flipped:
            self.unmirror()
        return {
            "mirror_flipped": decision.flipped,
            "mirror_sigmas": round(decision.sigmas, 2),
            "mirror_residuals": f"{decision.residual:.4f} as trained, {decision.mirrored_residual:.4f} mirrored",
            "mirror_views": decision.views,
        }

    def unmirror(self) -> None:
        """X becomes DX and R becomes DRD, in the weights: no flag is needed afterwards."""
        signs = torch.tensor(_MIRROR_SIGNS[self.shape.rotation]).to(self.lifter.entry.weight)
        self.lifter.mirror(signs)
