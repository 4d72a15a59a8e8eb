"""Cross-View Self-Fusion: CanonPose whose unsure 2D joints are moved by the other views while it learns. [Kim22]

The lifter's own rotations and poses say where a joint should be in each view; the losses then ask for
agreement with the moved joints too, and a second pass lifts those. At test time one view is enough.
"""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.losses import scale_free_error
from coview.methods.shared.base import Fact
from coview.methods.shared.lifted import LiftedPoses, Seen, flattened
from coview.methods.shared.lifting import LiftingConfig, LiftingMethod
from coview.representations.fusion.evidence_maps import FAITHFUL, FusionSettings
from coview.representations.fusion.fused_joints import Fused, confidence_quantile, fused_joints
from coview.representations.normalised import turned
from coview.sample import MultiView
from coview.skeletons import Skeleton

# Trunk and head joints, which detectors place well; other skeletons' names for the same places follow.
EXEMPT = ("pelvis", "neck", "thorax", "nose", "head_top")
_THRESHOLD_PACE = 0.05  # share of the way to a batch's quantile that the running threshold goes
_TINY = 1e-12


@dataclass(frozen=True)
class LossWeights:
    """Of the terms of one stage. The paper also lists L_2D; it compares two constants and teaches nothing."""

    rep: float
    view: float
    camera: float
    rep_refined: float
    view_refined: float
    agreement: float  # L_3D: second poses of all views, in the shared frame
    passes: float  # L_12: first and second pose of one view


STAGES = (
    LossWeights(1.0, 1.0, 0.1, 0.01, 0.01, agreement=0.001, passes=0.1),  # rotations not yet reliable
    LossWeights(0.1, 0.1, 0.1, 1.0, 1.0, agreement=0.01, passes=0.001),
)
SECOND_PASS = 0.1  # of the second pass's own reprojections, in both stages


@dataclass(frozen=True)
class SelfFusionConfig(LiftingConfig):
    """Defaults are those of the paper and the authors' code [Kim22] where these say something."""

    steps: Literal[1, 2] = 2  # 2: the moved joints are lifted again ("S1+S2")
    fusion: FusionSettings = FAITHFUL
    fusion_start: float = 0.05  # share of training without fusion: random rotations make random lines; ours
    stage_switch: float = 0.6  # share of training after which moved joints count most; ours, unknown there
    static_rig: bool = True  # whether cameras stay: relative rotations are exchanged among instants
    # The rotations that fusion uses. instant, the paper's: as predicted for the instant. rig, ours: their
    # mean over the instants of a rig in the batch, which has far less noise.
    fusion_rotation: Literal["instant", "rig"] = "instant"
    # L_3D and L_12 shrink with the poses, whose size nothing else holds; unit_rms, ours, divides it out.
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
        return SelfFusion(self, skeleton)


class SelfFusion(LiftingMethod):
    """The paper's Steps (one or two passes) and stages (which weights), and the refiner of 2D joints."""

    exempt: Bool[Tensor, "joints"]
    threshold: Float[Tensor, ""]

    def __init__(self, config: SelfFusionConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.config = config
        read = {"image_size", "rig"} if config.static_rig else {"image_size"}
        self.supervision = frozenset(read) - self.inputs
        fixed = [joint in (*EXEMPT, skeleton.root) for joint in skeleton.joints]
        self.register_buffer("exempt", torch.tensor(fixed), persistent=False)
        # with a quantile: its running mean over the batches of training, NaN before the first
        start = config.fusion.threshold if config.fusion.quantile is None else torch.nan
        self.register_buffer("threshold", torch.tensor(start))

    # --- fusion ------------------------------------------------------------------------------------

    def fuse(self, lifted: LiftedPoses, batch: MultiView, *, fill_missing: bool = False) -> Fused:
        """The 2D joints of `lifted.seen`, the unsure ones moved; without gradient, one batch axis.

        Reads `rig` from the batch if the rotations are those of the rig."""
        lifted = flattened(lifted)
        views = lifted.canonical.shape[1]
        with torch.no_grad():
            if self.config.fusion_rotation == "rig":
                rotation = self.shared_rotation(lifted, batch.rig.flatten())
            else:
                rotation = lifted.ray_from_canonical[:, None].expand(-1, views, -1, -1, -1)
        return fused_joints(
            lifted.seen.joints,
            lifted.seen.confidence,
            lifted.canonical,
            rotation,
            self.exempt,
            self.config.fusion,
            threshold=self._threshold(lifted.seen),
            perspective=self.config.projection == "perspective",
            fill_missing=fill_missing,
        )

    def _threshold(self, seen: Seen) -> Float[Tensor, ""]:
        quantile = self.config.fusion.quantile
        if quantile is None:
            return self.threshold
        own = confidence_quantile(seen.confidence, self.exempt, quantile)
        return torch.where(self.threshold.isnan(), own, self.threshold)

    @torch.no_grad()
    def _follow(self, seen: Seen) -> None:
        """Move the running threshold towards the batch's quantile; a batch without joints moves nothing."""
        quantile = self.config.fusion.quantile
        if quantile is None:
            return
        own = confidence_quantile(seen.confidence, self.exempt, quantile)
        step = torch.where(self.threshold.isnan(), own, self.threshold.lerp(own, _THRESHOLD_PACE))
        self.threshold.copy_(torch.where(own.isnan(), self.threshold, step))

    @torch.no_grad()
    def refine(self, batch: MultiView) -> MultiView:
        """The batch with unsure 2D joints (pixels) moved to where all its views together expect them.

        Needs synchronised views and what training needs of them but no labels: 2D joints, confidences,
        `rig` if fusion uses the rig's rotations, which are then means over this batch: give it many instants
        of a rig at once. Joints that do not move are the same to the bit (as `image_joints`). Missing joints
        whose view has its root are filled where something speaks for a place; their confidence stays
        0, as all confidences stay: they say how good the detection was, not the answer.
        Raises ValueError for a single view."""
        _check_views(batch.joints2d.shape[-3])
        lifted = self(batch)
        fused = self.fuse(lifted, batch, fill_missing=True)
        shape = batch.joints2d.shape
        pixels = self.pixels(fused.joints2d.reshape(shape), lifted.seen, batch)
        moved = fused.refined.reshape(shape[:-1])[..., None]
        return batch.replaced(joints2d=torch.where(moved, pixels, self.image_joints(batch)))

    def pixels(
        self, joints: Float[Tensor, "*batch views joints 2"], seen: Seen, batch: MultiView
    ) -> Float[Tensor, "*batch views joints 2"]:
        """2D joints of the frame that the network works in, as pixels: the inverse of `see`.

        NaN in a view whose root was not seen, under parallel projection."""
        if self.config.projection == "orthographic":
            return joints + self.image_joints(batch)[..., self.root, None, :]
        rays = turned(joints, seen.ray_from_camera.mT)
        length = self.focal * batch.image_size.norm(dim=-1)
        return rays * length[..., None, None] + ((batch.image_size - 1) / 2)[..., None, :]

    # --- training ----------------------------------------------------------------------------------

    def losses(self, predicted: LiftedPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """The paper's terms, weighted by the stage of training; needs at least two views."""
        _check_views(predicted.canonical.shape[-3])
        if self.training:
            self._follow(predicted.seen)
        weights = STAGES[self.progress >= self.config.stage_switch]
        rep, view = self.own_and_cross(predicted)
        terms = {"rep": weights.rep * rep, "view": weights.view * view}
        if self.config.static_rig:
            terms["camera"] = weights.camera * self.exchanged_error(predicted, batch.rig)
        if self.progress < self.config.fusion_start:
            return terms
        first = flattened(predicted)
        refined = replace(first.seen, joints=self.fuse(first, batch).joints2d)
        rep, view = self.own_and_cross(first, refined)
        terms |= {"rep_refined": weights.rep_refined * rep, "view_refined": weights.view_refined * view}
        if self.config.steps == 2:
            terms |= self._second_pass(first, self.lift(refined), weights)
        return terms

    def _second_pass(
        self, first: LiftedPoses, second: LiftedPoses, weights: LossWeights
    ) -> dict[str, Float[Tensor, ""]]:
        """The moved joints were lifted again: that must explain the detections and agree with all else."""
        rep, view = self.own_and_cross(second, first.seen)
        pose, other = self._compared(first), self._compared(second)
        return {
            "rep_second": SECOND_PASS * rep,
            "view_second": SECOND_PASS * view,
            "agreement": weights.agreement * agreement(other, self._known(second)),
            "passes": weights.passes * pass_difference(pose, other, first.seen.confidence),
        }

    def _compared(self, lifted: LiftedPoses) -> Float[Tensor, "batch views joints 3"]:
        if self.config.compared_size == "predicted":
            return lifted.canonical
        return lifted.canonical * (lifted.canonical.square().mean(dim=(-2, -1), keepdim=True) + _TINY).rsqrt()

    @torch.no_grad()
    def revise(self, batch: MultiView) -> dict[str, Fact]:
        """The mirror decision; and how many joints fusion moves, and how far (the paper's L_2D)."""
        facts = super().revise(batch)
        if batch.joints2d.shape[-3] < 2:
            return facts
        lifted = flattened(self(batch))
        fused = self.fuse(lifted, batch)
        moved = scale_free_error(fused.joints2d, lifted.seen.joints, lifted.seen.confidence).mean()
        seen = (lifted.seen.confidence > 0).sum().clamp_min(1)
        return facts | {
            "fusion_threshold": round(float(self._threshold(lifted.seen)), 4),
            "fusion_moved_share": round(float(fused.refined.sum() / seen), 4),
            "fusion_l2d": round(float(moved), 6),
        }


def agreement(
    pose: Float[Tensor, "batch views joints 3"], known: Float[Tensor, "batch views"]
) -> Float[Tensor, ""]:
    """L_3D [Kim22]: L1 distance of poses between views, in the frame shared by all.

    Per coordinate, a mean over instants of sums over a view of means over the views after it. Pairs
    with a view that is not `known` cost nothing. Zero for poses of no size: never use it alone."""
    views = pose.shape[1]
    first, second = torch.triu_indices(views, views, offset=1, device=pose.device)
    distance = (pose[:, first] - pose[:, second]).abs().mean(dim=(-2, -1))
    later = (views - 1 - first).to(pose)
    return (distance * known[:, first] * known[:, second] / later).sum() / len(pose)


def pass_difference(
    first: Float[Tensor, "batch views joints 3"],
    second: Float[Tensor, "batch views joints 3"],
    confidence: Float[Tensor, "batch views joints"],
) -> Float[Tensor, ""]:
    """L_12 [Kim22]: Frobenius distance of both passes' poses, times the sum of root confidences.

    A mean over views and instants, per coordinate; a view with nothing seen costs nothing."""
    distance = torch.linalg.vector_norm(first - second, dim=(-2, -1))
    return (distance * confidence.sqrt().sum(dim=-1)).mean() / (3 * first.shape[-2])


def _check_views(views: int) -> None:
    if views < 2:
        raise InputError(f"SelfFusion fuses two or more views of one instant, got {views}.")
