"""CanonPose: a monocular lifter trained by several views whose cameras are not known. [Wandt21]

Every view alone predicts a pose in a frame shared by all views, and the rotation into its camera.
The pose of any view, rotated into the camera of any other, must project to the 2D joints of that view.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError
from coview.losses import scale_free_error
from coview.methods.shared.lifted import LiftedPoses, LifterInput, flattened, flattened_input
from coview.methods.shared.lifting import LiftingConfig, LiftingMethod
from coview.representations.cross_view_poses import permutation_within, rotated_pairs
from coview.representations.mirror_ambiguity import perspective_image
from coview.representations.normalised import present, weighted_centred
from coview.sample import MultiView
from coview.skeletons import Skeleton


@dataclass(frozen=True)
class CanonPoseConfig(LiftingConfig):
    """Defaults are those of the paper and the authors' code [Wandt21]."""

    # weight of L_view: the pose of one view projected into another
    view_weight: float = 1.0
    # weight of L_cam: relative rotations exchanged among the instants of a static rig; 0 for moving cameras
    camera_weight: float = 0.1
    # whether to repeat the numerics of the authors' code: the canonical pose is not moved to its root, and all joints
    # take part in the size of a 2D pose, however little a detector trusted them; a joint without coordinates stands at
    # the root. The default leaves out what was not seen
    released_numerics: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.released_numerics and (self.projection, self.centring) != ("orthographic", "root"):
            raise InputError(
                f"CanonPoseConfig: released_numerics are those of projection 'orthographic' and centring 'root', got "
                f"'{self.projection}' and '{self.centring}', which are ours. Leave these two as they are, or it out."
            )
        if min(self.view_weight, self.camera_weight) < 0:
            raise InputError("CanonPoseConfig: view_weight and camera_weight must not be negative.")

    def build(self, skeleton: Skeleton) -> "CanonPose":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return CanonPose(self, skeleton)


class CrossViewLifting(LiftingMethod):
    """A lifter with CanonPose's losses between views, unweighted, over all pairs of views at once.

    `CanonPose` weights them; Self-Fusion builds on them."""

    def own_and_cross(
        self, lifted: LiftedPoses, observed: LifterInput | None = None
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """L_rep and L_view [Wandt21]: reprojection errors in the own view and in the other views, unweighted.

        Args:
            lifted: Poses and rotations of two or more views.
            observed: The 2D joints to compare with; default: those that were lifted.

        Returns:
            L_rep, a mean over all views; and L_view, as in the authors' code a sum over source views of means
            over the other views.
        """
        lifted = flattened(lifted)
        views = lifted.canonical.shape[-3]
        rotation = lifted.ray_from_canonical[None, :, None].expand(1, -1, views, -1, -1, -1)
        error = self.pair_errors(lifted, rotation, observed)[0]
        # no boolean mask: a GPU would have to be waited for
        own = error.diagonal(dim1=-2, dim2=-1)
        return own.mean(), (error.sum() - own.sum()) / (len(error) * (views - 1))

    def exchanged_error(self, lifted: LiftedPoses, rig: Int[Tensor, "*batch"]) -> Float[Tensor, ""]:
        """L_cam [Wandt21]: reprojection error with relative rotations exchanged among the instants of a rig.

        Args:
            lifted: Poses and rotations of two or more views.
            rig: Number of the rig, static within the batch, that took each instant.

        Returns:
            Unweighted; as in the authors' code a sum over source views and over rigs of means over instants. 0 if
            no rig took two instants.
        """
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
        observed: LifterInput | None = None,
    ) -> Float[Tensor, "kinds batch source target"]:
        """Scale-free reprojection error of the pose of each source view in each target view.

        Args:
            lifted: Poses with one batch axis.
            rotation: From the frame of the source's pose into the ray frame of the target.
            observed: The 2D joints to compare with; default: those that were lifted.

        Returns:
            Errors without unit; 0 for a source view whose root was not detected, and for such a target.
        """
        observed = flattened_input(observed or lifted.observed)
        pose = rotated_pairs(lifted.canonical, rotation)
        joints, confidence = observed.joints[:, None], observed.confidence[:, None]
        image = pose[..., :2]
        if self.config.projection == "perspective":
            # depths are constants of the gradient, but for the focal length that all of them grow with
            growth = self.focal / self.focal.detach()
            image = perspective_image(pose, joints, confidence, growth, centring=self.config.centring)
        sized_by = self._sized_by(observed)[:, None].to(confidence)
        if self.config.centring == "weighted":
            image, joints = weighted_centred(image, confidence), weighted_centred(joints, confidence)
            sized_by = confidence
        error = scale_free_error(image, joints, confidence, sized_by=sized_by)
        return error * self._valid_views(lifted)[:, :, None]

    def _exchanged(
        self, lifted: LiftedPoses, rig: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch source target 3 3"], Float[Tensor, "batch source target"]]:
        """Rotations whose part between views was exchanged among instants of one rig; and weights.

        Weighted, a sum over the batch is a sum over rigs of means over instants. A rig that took only one
        instant has nothing to exchange and has weight 0."""
        camera, between, valid = self._relative_rotations(lifted)
        views = torch.arange(camera.shape[1], device=rig.device)
        # one permutation per source view
        order = torch.stack([permutation_within(rig) for _ in views], dim=1)
        count = (rig[:, None] == rig).sum(dim=-1)
        share = torch.where(count > 1, 1 / count, 0.0).to(valid)
        rotation = lifted.observed.ray_from_camera[:, None] @ between[order, views] @ camera[:, :, None]
        return rotation, valid[order, views] * share[:, None, None]

    def _relative_rotations(self, lifted: LiftedPoses) -> tuple[Tensor, Tensor, Tensor]:
        """camera_from_canonical; rotations between cameras (target from source); 1 where both are valid, else 0."""
        # only in camera frames is the rotation between cameras constant, in ray frames it is not
        camera = lifted.observed.ray_from_camera.mT @ lifted.ray_from_canonical
        valid = self._valid_views(lifted)
        between = camera[:, None] @ camera[:, :, None].mT
        return camera, between, valid[:, :, None] * valid[:, None]


class CanonPose(CrossViewLifting):
    """The paper's method: L_rep, L_view and L_cam, weighted."""

    config: CanonPoseConfig

    def __init__(self, config: CanonPoseConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        # the mirror decision needs the image centre, the camera term the rigs; neither is a label
        read = {"image_size", "rig"} if config.camera_weight else {"image_size"}
        self.supervision = frozenset(read) - self.inputs

    # --- the authors' numerics ---------------------------------------------------------------------

    def _placed(self, pose: Tensor) -> Tensor:
        return pose if self.config.released_numerics else super()._placed(pose)

    def _sized_by(self, observed: LifterInput) -> Tensor:
        by = super()._sized_by(observed)
        return torch.ones_like(by) if self.config.released_numerics else by

    def _root_seen(self, observed: LifterInput) -> Tensor:
        """With the authors' numerics a root of confidence 0 is a root like any other, if it has coordinates."""
        if self.config.released_numerics:
            return (observed.confidence > 0).any(dim=-1)
        return super()._root_seen(observed)

    def _present(self, batch: MultiView) -> tuple[Tensor, Tensor]:
        if not self.config.released_numerics:
            return super()._present(batch)
        joints2d = self.image_joints(batch)
        there = torch.isfinite(joints2d).all(dim=-1)
        joints2d, there = present(joints2d, there.to(joints2d), self.root)
        confidence = torch.where(there > 0, batch.confidence.nan_to_num(), 0.0)
        return joints2d, confidence if self.config.use_confidence else (confidence > 0).to(confidence)

    # --- losses ------------------------------------------------------------------------------------

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """The paper's three terms, weighted.

        Args:
            predicted: Poses and rotations of all views.
            batch: `rig`, unless `camera_weight` is 0.

        Returns:
            `rep`, `view` and, unless its weight is 0, `camera`; no unit.

        Raises:
            InputError: There are fewer than two views.
        """
        views = predicted.canonical.shape[-3]
        if views < 2:
            raise InputError(f"CanonPose learns from two or more views of one instant, got {views}.")
        rep, view = self.own_and_cross(predicted)
        terms = {"rep": rep, "view": self.config.view_weight * view}
        if self.config.camera_weight:
            terms["camera"] = self.config.camera_weight * self.exchanged_error(predicted, batch.rig)
        return terms
