"""Cross-View Self-Fusion: CanonPose whose uncertain 2D joints are refined by the other views in training. [Kim22]

The lifter's own rotations and poses say where a joint should be in each view; the losses compare with the refined
joints too, and a second pass lifts those. At test time one view is enough. Builds on CanonPose's losses, as the
paper does.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.errors import InputError
from coview.geometry.rotations import nearest_rotation
from coview.losses import scale_free_error
from coview.methods.canonpose import CrossViewLifting
from coview.methods.shared.base import Fact
from coview.methods.shared.lifted import LiftedPoses, LifterInput, flattened
from coview.methods.shared.lifting import LiftingConfig
from coview.representations.fusion.evidence_maps import FAITHFUL, FusionSettings
from coview.representations.fusion.fused_joints import FusedJoints, confidence_quantile, fused_joints
from coview.representations.normalised import rotated_rays
from coview.sample import MultiView
from coview.skeletons import Skeleton

# Trunk and head joints, which detectors place well and which are never moved
EXEMPT = ("pelvis", "neck", "thorax", "nose", "head_top")
# weight of a batch's quantile in the running mean of thresholds
_THRESHOLD_PACE = 0.05
# under square roots and in denominators
_TINY = 1e-12


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms of one stage. The paper also lists L_2D, which compares two constants: no gradient."""

    # L_rep of CanonPose: reprojection into the own view
    rep: float
    # L_view of CanonPose: reprojection into the other views
    view: float
    # L_cam of CanonPose: the same with exchanged relative rotations
    camera: float
    # L_rep against the refined joints
    rep_refined: float
    # L_view against the refined joints
    view_refined: float
    # L_3D: second poses of all views, in the shared frame
    agreement: float
    # L_12: first and second pose of one view
    passes: float


STAGES = (
    # rotations are not yet reliable
    LossWeights(1.0, 1.0, 0.1, 0.01, 0.01, agreement=0.001, passes=0.1),
    LossWeights(0.1, 0.1, 0.1, 1.0, 1.0, agreement=0.01, passes=0.001),
)
# weight of the second pass's own reprojections, in both stages
SECOND_PASS = 0.1


@dataclass(frozen=True)
class SelfFusionConfig(LiftingConfig):
    """Defaults are those of the paper and the authors' code [Kim22] where these say something."""

    # passes of the lifter; 2: the refined joints are lifted again ("S1+S2")
    steps: Literal[1, 2] = 2
    # how 2D joints are refined
    fusion: FusionSettings = FAITHFUL
    # share of training without fusion, because random rotations give random epipolar lines; ours
    fusion_start: float = 0.05
    # share of training after which the refined joints have the larger weight; ours, the paper does not say
    stage_switch: float = 0.6
    # whether cameras stay where they are: relative rotations are then exchanged among instants
    static_rig: bool = True
    # The rotations that fusion uses. instant, the paper's: as predicted for the instant. rig, ours: their
    # mean over the instants of a rig in the batch, which has far less noise.
    fusion_rotation: Literal["instant", "rig"] = "instant"
    # Size of the poses in L_3D and L_12. predicted: the losses shrink with the poses, whose size nothing else
    # determines; unit_rms, ours, divides it out.
    compared_size: Literal["predicted", "unit_rms"] = "predicted"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.fusion_start <= self.stage_switch <= 1:
            raise InputError(
                f"SelfFusionConfig: fusion_start and stage_switch are shares of training in this order, got "
                f"{self.fusion_start} and {self.stage_switch}."
            )
        if self.fusion_rotation == "rig" and not self.static_rig:
            raise InputError(
                "SelfFusionConfig: fusion_rotation 'rig' averages over a static rig, but static_rig is False. "
                "Use 'instant' for cameras that move."
            )
        if not self.use_confidence:
            raise InputError(
                "SelfFusionConfig: fusion moves joints of low confidence, so use_confidence cannot be False."
            )

    def build(self, skeleton: Skeleton) -> "SelfFusion":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return SelfFusion(self, skeleton)


class SelfFusion(CrossViewLifting):
    """The paper's Steps (one or two passes) and stages (which weights), and the refinement of 2D joints."""

    config: SelfFusionConfig
    exempt: Bool[Tensor, "joints"]
    threshold: Float[Tensor, ""]

    def __init__(self, config: SelfFusionConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        read = {"image_size", "rig"} if config.static_rig else {"image_size"}
        self.supervision = frozenset(read) - self.inputs
        fixed = [joint in (*EXEMPT, skeleton.root) for joint in skeleton.joints]
        self.register_buffer("exempt", torch.tensor(fixed), persistent=False)
        # with a quantile: its running mean over the batches of training, NaN before the first
        start = config.fusion.threshold if config.fusion.quantile is None else torch.nan
        self.register_buffer("threshold", torch.tensor(start))

    # --- fusion ------------------------------------------------------------------------------------

    def fuse(self, lifted: LiftedPoses, batch: MultiView, *, fill_missing: bool = False) -> FusedJoints:
        """The 2D joints that were lifted, those of low confidence moved to where all views together expect them.

        Args:
            lifted: The prediction for two or more views.
            batch: `rig`, if `fusion_rotation` is "rig"; else nothing is read.
            fill_missing: Whether joints that were not detected get a place too.

        Returns:
            2D joints in the frame of `lifted.observed`, with one batch axis and without gradient.
        """
        lifted = flattened(lifted)
        views = lifted.canonical.shape[1]
        with torch.no_grad():
            if self.config.fusion_rotation == "rig":
                rotation = self.shared_rotation(lifted, batch.rig.flatten())
            else:
                rotation = lifted.ray_from_canonical[:, None].expand(-1, views, -1, -1, -1)
        return fused_joints(
            lifted.observed.joints,
            lifted.observed.confidence,
            lifted.canonical,
            rotation,
            self.exempt,
            self.config.fusion,
            threshold=self._threshold(lifted.observed),
            perspective=self.config.projection == "perspective",
            fill_missing=fill_missing,
        )

    @torch.no_grad()
    def shared_rotation(
        self, lifted: LiftedPoses, rig: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch source target 3 3"]:
        """Rotations into target views whose part between cameras is the mean over the rig's instants. ours

        Much less noisy than those of one instant. As a loss they would keep whatever is wrong early in training:
        use them where the answer is a constant anyway.

        Args:
            lifted: Poses with one batch axis.
            rig: Number of the static rig that took each instant.

        Returns:
            From the frame of the source's pose into the ray frame of the target; without gradient.
        """
        camera, between, valid = self._relative_rotations(lifted)
        rigs, which = rig.unique(return_inverse=True)
        total = between.new_zeros(len(rigs), *between.shape[1:])
        total.index_add_(0, which, between * valid[..., None, None])
        mean = nearest_rotation(total + 1e-6 * torch.eye(3).to(total))[which]
        return lifted.observed.ray_from_camera[:, None] @ mean @ camera[:, :, None]

    def _threshold(self, observed: LifterInput) -> Float[Tensor, ""]:
        """The confidence below which joints are moved."""
        quantile = self.config.fusion.quantile
        if quantile is None:
            return self.threshold
        own = confidence_quantile(observed.confidence, self.exempt, quantile)
        return torch.where(self.threshold.isnan(), own, self.threshold)

    @torch.no_grad()
    def _update_threshold(self, observed: LifterInput) -> None:
        """Move the running threshold towards the batch's quantile; a batch without joints moves nothing."""
        quantile = self.config.fusion.quantile
        if quantile is None:
            return
        own = confidence_quantile(observed.confidence, self.exempt, quantile)
        step = torch.where(self.threshold.isnan(), own, self.threshold.lerp(own, _THRESHOLD_PACE))
        self.threshold.copy_(torch.where(own.isnan(), self.threshold, step))

    @torch.no_grad()
    def refine(self, batch: MultiView) -> MultiView:
        """The batch with 2D joints of low confidence moved to where all its views together expect them.

        Joints that were not detected are filled in where their view has its root and other views give a place.
        Confidences stay as they are, 0 included: they say how good the detection was, not the answer.

        Args:
            batch: Synchronised views with `joints2d` (pixels) and `confidence`; `image_size` under perspective;
                `rig` if `fusion_rotation` is "rig", whose rotations are then means over this batch: give it
                many instants of a rig at once.

        Returns:
            The batch with other `joints2d` (pixels); joints that were not moved are those of `image_joints`,
            bit for bit.

        Raises:
            InputError: There is a single view.
        """
        _check_views(batch.joints2d.shape[-3])
        lifted = self(batch)
        fused = self.fuse(lifted, batch, fill_missing=True)
        shape = batch.joints2d.shape
        pixels = self.pixels(fused.joints2d.reshape(shape), lifted.observed, batch)
        moved = fused.refined.reshape(shape[:-1])[..., None]
        return batch.replaced(joints2d=torch.where(moved, pixels, self.image_joints(batch)))

    def pixels(
        self, joints: Float[Tensor, "*batch views joints 2"], observed: LifterInput, batch: MultiView
    ) -> Float[Tensor, "*batch views joints 2"]:
        """Pixels of 2D joints in the frame that the network works in: the inverse of `lifter_input`.

        Args:
            joints: Root-centred 2D joints, pixels (orthographic) or focal lengths in ray frames (perspective).
            observed: The lifter's input, for its ray frames.
            batch: `joints2d` (orthographic) or `image_size` (perspective).

        Returns:
            Pixels; under orthographic projection NaN in a view whose root was not detected.
        """
        if self.config.projection == "orthographic":
            return joints + self.image_joints(batch)[..., self.root, None, :]
        rays = rotated_rays(joints, observed.ray_from_camera.mT)
        length = self.focal * batch.image_size.norm(dim=-1)
        return rays * length[..., None, None] + ((batch.image_size - 1) / 2)[..., None, :]

    # --- training ----------------------------------------------------------------------------------

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """The paper's terms, weighted by the stage of training. [Kim22]

        Args:
            predicted: Poses and rotations of two or more views.
            batch: `rig`, if the rig is static.

        Returns:
            CanonPose's terms; once fusion has begun, those against the refined joints; with two passes, those of
            the second pass. No unit.

        Raises:
            InputError: There are fewer than two views.
        """
        _check_views(predicted.canonical.shape[-3])
        if self.training:
            self._update_threshold(predicted.observed)
        weights = STAGES[self.progress >= self.config.stage_switch]
        rep, view = self.own_and_cross(predicted)
        terms = {"rep": weights.rep * rep, "view": weights.view * view}
        if self.config.static_rig:
            terms["camera"] = weights.camera * self.exchanged_error(predicted, batch.rig)
        if self.progress < self.config.fusion_start:
            return terms
        first = flattened(predicted)
        refined = replace(first.observed, joints=self.fuse(first, batch).joints2d)
        rep, view = self.own_and_cross(first, refined)
        terms |= {"rep_refined": weights.rep_refined * rep, "view_refined": weights.view_refined * view}
        if self.config.steps == 2:
            terms |= self._second_pass(first, self.lift(refined), weights)
        return terms

    def _second_pass(
        self, first: LiftedPoses, second: LiftedPoses, weights: LossWeights
    ) -> dict[str, Float[Tensor, ""]]:
        """Losses of the poses lifted from the refined joints: against detections, first pass and other views."""
        rep, view = self.own_and_cross(second, first.observed)
        pose, other = self._compared(first), self._compared(second)
        return {
            "rep_second": SECOND_PASS * rep,
            "view_second": SECOND_PASS * view,
            "agreement": weights.agreement * agreement(other, self._valid_views(second)),
            "passes": weights.passes * pass_difference(pose, other, first.observed.confidence),
        }

    def _compared(self, lifted: LiftedPoses) -> Float[Tensor, "batch views joints 3"]:
        if self.config.compared_size == "predicted":
            return lifted.canonical
        return lifted.canonical * (lifted.canonical.square().mean(dim=(-2, -1), keepdim=True) + _TINY).rsqrt()

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Decide on the mirror image; report how many joints fusion moves, and how far (the paper's L_2D).

        Args:
            batch: A few hundred instants with what training reads.

        Returns:
            The facts of the mirror decision; with two or more views those of the fusion too.
        """
        facts = super().resolve_ambiguity(batch)
        if batch.joints2d.shape[-3] < 2:
            return facts
        lifted = flattened(self(batch))
        fused = self.fuse(lifted, batch)
        moved = scale_free_error(fused.joints2d, lifted.observed.joints, lifted.observed.confidence).mean()
        detected = (lifted.observed.confidence > 0).sum().clamp_min(1)
        return facts | {
            "fusion_threshold": round(float(self._threshold(lifted.observed)), 4),
            "fusion_moved_share": round(float(fused.refined.sum() / detected), 4),
            "fusion_l2d": round(float(moved), 6),
        }


def agreement(
    pose: Float[Tensor, "batch views joints 3"], valid: Float[Tensor, "batch views"]
) -> Float[Tensor, ""]:
    """L_3D [Kim22]: L1 distance of poses between views, in the frame shared by all.

    Zero for poses of no size: never use it alone.

    Args:
        pose: Canonical poses, root-centred.
        valid: 1 for a view that counts; pairs with a view of 0 cost nothing.

    Returns:
        Per coordinate, a mean over instants of sums over a view of means over the views after it; unit of `pose`.
    """
    views = pose.shape[1]
    first, second = torch.triu_indices(views, views, 1, device=pose.device)
    distance = (pose[:, first] - pose[:, second]).abs().mean(dim=(-2, -1))
    later = (views - 1 - first).to(pose)
    return (distance * valid[:, first] * valid[:, second] / later).sum() / len(pose)


def pass_difference(
    first: Float[Tensor, "batch views joints 3"],
    second: Float[Tensor, "batch views joints 3"],
    confidence: Float[Tensor, "batch views joints"],
) -> Float[Tensor, ""]:
    """L_12 [Kim22]: Frobenius distance of both passes' poses, times the sum of square roots of confidences.

    Args:
        first: Canonical poses of the first pass, root-centred.
        second: The same of the second pass.
        confidence: Of the 2D joints, in [0, 1].

    Returns:
        A mean over views and instants, per coordinate, in the unit of the poses; a view without detected joints
        costs nothing.
    """
    distance = torch.linalg.vector_norm(first - second, dim=(-2, -1))
    return (distance * confidence.sqrt().sum(dim=-1)).mean() / (3 * first.shape[-2])


def _check_views(views: int) -> None:
    if views < 2:
        raise InputError(f"SelfFusion fuses two or more views of one instant, got {views}.")
