"""Algebraic triangulation with learnt confidences, and the RANSAC that it is compared with [Iskakov19].

Both read a 2D place per view from heat maps and intersect the rays. The algebraic one is differentiable from
images to metres, so the network learns where rays should go and which views to trust; the other one is
not, and its network learns heat maps from 2D labels alone.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.errors import InputError
from coview.geometry.triangulation.dlt_reference import homogeneous_dlt
from coview.geometry.triangulation.undistorted import (
    refine_points,
    reprojection_residuals,
    triangulate_undistorted,
)
from coview.methods.shared.base import WorldPose
from coview.methods.shared.image_method import CENTIMETRES, ImageConfig, ImageMethod, with_axes_of
from coview.networks.backbone import Maps
from coview.representations.heatmaps import (
    gaussian_maps,
    hard_argmax,
    image_pixels,
    map_cells,
    map_stride,
    peaks,
    soft_argmax,
)
from coview.sample import MultiView
from coview.skeletons import Skeleton

# per metre: the unit of the released DLT
MILLIMETRES = 1000.0


@dataclass(frozen=True, kw_only=True)
class TriangulatedPose(WorldPose):
    """A pose, and what it was made of."""

    # pixels of the crops
    joints2d: Float[Tensor, "*batch views joints 2"]
    # of the rays; 0 for a view that took no part
    weights: Float[Tensor, "*batch views joints"]
    heatmaps: Float[Tensor, "*batch views joints height width"]


@dataclass(frozen=True)
class AlgebraicTriangulationConfig(ImageConfig):
    """The paper's settings [Iskakov19 §3.1]; recipes choose smaller networks."""

    # learnt per joint and view; without, every view counts alike
    confidences: bool = True
    # of the heat maps before their softmax: the released alpha
    multiplier: float = 100.0
    # learning rate of the confidences, as a multiple of the rest's
    confidence_rate: float = 1.0
    # errors beyond it count with their tenth root: outliers teach little
    threshold_cm: float = 20.0
    # whose error is compared with the threshold: a coordinate's, as the released code has it, or a joint's,
    # as the paper's eq. 15 writes
    soft_per: Literal["coordinate", "joint"] = "coordinate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not min(self.multiplier, self.threshold_cm, self.confidence_rate) > 0:
            raise InputError(
                f"AlgebraicTriangulationConfig: multiplier, threshold_cm and confidence_rate must be above 0, "
                f"got {self.multiplier}, {self.threshold_cm} and {self.confidence_rate}."
            )
        if self.fewest_views == 1:
            raise InputError(
                "AlgebraicTriangulationConfig: fewest_views is 1, and one ray has no depth. Set it to 2 or more, or to "
                "0 for all views."
            )
        if self.soft_per not in ("coordinate", "joint"):
            raise InputError(
                f"AlgebraicTriangulationConfig: soft_per is 'coordinate' or 'joint', got {self.soft_per!r}."
            )

    def build(self, skeleton: Skeleton) -> "AlgebraicTriangulation":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return AlgebraicTriangulation(self, skeleton)


class AlgebraicTriangulation(ImageMethod[TriangulatedPose]):
    """Soft arg-max in every view, then weighted linear triangulation, trained through both."""

    config: AlgebraicTriangulationConfig

    def __init__(self, config: AlgebraicTriangulationConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton, algebraic=config.confidences)
        self.rates = {"backbone.alg_confidences": config.confidence_rate} if config.confidences else {}

    def forward(self, batch: MultiView) -> TriangulatedPose:
        """World poses; NaN for a joint where fewer than two views are there."""
        views = self.views(batch)
        maps = self.maps(views.images)
        pixels = self._pixels(soft_argmax(maps.heatmaps, self.config.multiplier), views, maps)
        projections, there = views.projections()
        weights = self._weights(maps.algebraic, there, pixels)
        if self.config.released_numerics:
            # a view that is absent has rows of zeros
            joints3d = homogeneous_dlt(pixels, _in_millimetres(projections), weights) / MILLIMETRES
        else:
            joints3d = triangulate_undistorted(pixels, projections, weights)
        return _seen(batch, joints3d, pixels, weights, maps)

    def losses(self, predicted: TriangulatedPose, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Squared error in cm², softened for outliers."""
        threshold = self.config.threshold_cm**2
        return {"soft_mse": soft_mse(predicted.joints3d, batch.joints3d, threshold, self.config.soft_per)}

    def _weights(
        self,
        confidences: Float[Tensor, "images joints"] | None,
        there: Bool[Tensor, "instants views"],
        pixels: Float[Tensor, "instants views joints 2"],
    ) -> Float[Tensor, "instants views joints"]:
        """Shares over the views, and a little more, so that none is ever without gradient."""
        trust = (
            torch.ones_like(pixels[..., 0]) if confidences is None else confidences.view_as(pixels[..., 0])
        )
        trust = trust * there[..., None]
        shares = trust / trust.sum(dim=1, keepdim=True).clamp_min(1e-9) + 1e-5
        return shares * there[..., None]


def soft_mse(
    predicted: Float[Tensor, "*batch joints 3"],
    truth: Float[Tensor, "*batch joints 3"],
    threshold: float,
    per: Literal["coordinate", "joint"] = "coordinate",
) -> Float[Tensor, ""]:
    """Mean squared error in cm² of poses in metres; beyond `threshold` (cm²) its tenth root takes over, continuously.

    [Iskakov19 eq. 15]; `per` "coordinate" softens each coordinate's square, "joint" their mean over a joint.
    Joints that are NaN on either side do not count; zero where none is left."""
    known = (predicted.isfinite() & truth.isfinite()).all(dim=-1)
    gap = torch.where(known[..., None], CENTIMETRES * (predicted - truth), 0.0)
    squared = gap.square() if per == "coordinate" else gap.square().mean(dim=-1, keepdim=True)
    large = squared > threshold
    # the root's slope at zero is infinite: it is taken of something else there
    soft = torch.where(large, squared, threshold).pow(0.1) * threshold**0.9
    softened = torch.where(large, soft, squared).mean(dim=-1)
    return softened.sum() / known.sum().clamp_min(1)


@dataclass(frozen=True)
class RansacTriangulationConfig(ImageConfig):
    """The paper's baseline [Iskakov19 §4]; pixels are those of a crop of 384."""

    # pairs of views that are tried; all of them where there are no more
    iterations: int = 10
    # pixels per 384 of the crop's side beyond which a view disagrees
    threshold: float = 30.0
    # pixels per 384 beyond which the refinement counts an error linearly
    huber: float = 2.0
    # reweighted Gauss-Newton steps of the refinement
    refinements: int = 10
    # map cells: width of the heat maps that 2D labels become
    sigma: float = 1.0
    # mse: heat maps are to equal a bump, as in the paper. cross_entropy: the softmax of `multiplier` times them is to
    # be the bump; a small network learns from the first step then, and soft arg-max begins with what it needs
    loss: Literal["mse", "cross_entropy"] = "mse"
    # of the cross entropy; that of the algebraic method which begins with the weights
    multiplier: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations < 1 or self.refinements < 0:
            raise InputError(
                f"RansacTriangulationConfig: iterations must be at least 1 and refinements 0 or more, "
                f"got {self.iterations} and {self.refinements}."
            )
        if self.fewest_views:
            raise InputError(
                f"RansacTriangulationConfig: fewest_views is {self.fewest_views}, and its network learns from every "
                f"view by itself: how many there are makes no difference. Leave it at 0."
            )
        if not min(self.threshold, self.huber, self.sigma, self.multiplier) > 0:
            raise InputError(
                f"RansacTriangulationConfig: threshold, huber, sigma and multiplier must be above 0, "
                f"got {self.threshold}, {self.huber}, {self.sigma} and {self.multiplier}."
            )

    def build(self, skeleton: Skeleton) -> "RansacTriangulation":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return RansacTriangulation(self, skeleton)


class RansacTriangulation(ImageMethod[TriangulatedPose]):
    """The cell with the largest value in every view, then the largest set of views that agree.

    The network never sees a 3D label: it learns heat maps from 2D joints, and so is what the learnable
    methods begin with."""

    supervision = frozenset({"joints2d", "confidence"})
    config: RansacTriangulationConfig

    def __init__(self, config: RansacTriangulationConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)

    def forward(self, batch: MultiView) -> TriangulatedPose:
        """World poses; NaN where no two views are there. In training all views are believed: it is quicker, and
        the heat maps are all that is learnt."""
        views = self.views(batch)
        maps = self.maps(views.images)
        pixels = self._pixels(hard_argmax(maps.heatmaps.detach()), views, maps)
        projections, there = views.projections()
        seen = there[..., None].expand(pixels.shape[:-1])
        with torch.no_grad():
            if self.training:
                joints3d, inliers = triangulate_undistorted(pixels, projections, seen.to(pixels)), seen
            else:
                joints3d, inliers = self._agreed(pixels, projections, seen)
        return _seen(batch, joints3d, pixels, inliers.to(pixels), maps)

    @torch.no_grad()
    def detections(
        self, batch: MultiView
    ) -> tuple[Float[Tensor, "instants views joints 2"], Float[Tensor, "instants views joints"]]:
        """What the 2D network sees in every image by itself: pixels, and the share of the map that its peak holds.

        Reads `images` alone, instants along their first axis: for methods that learn from 2D joints."""
        images = batch.images
        maps = self.maps(images).heatmaps
        cells, share = peaks(maps, self.config.multiplier)
        stride = map_stride((images.shape[-1], images.shape[-2]), (maps.shape[-1], maps.shape[-2]))
        pixels = image_pixels(cells, stride, half_pixel=not self.config.released_numerics)
        return pixels.unflatten(0, images.shape[:2]), share.unflatten(0, images.shape[:2])

    def losses(self, predicted: TriangulatedPose, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """How far the heat maps are from bumps at the 2D labels; joints without confidence do not count."""
        height, width = predicted.heatmaps.shape[-2:]
        stride = map_stride((batch.images.shape[-1], batch.images.shape[-2]), (width, height))
        cells = map_cells(batch.joints2d, stride, half_pixel=not self.config.released_numerics)
        target = gaussian_maps(cells, batch.confidence, (height, width), self.config.sigma)
        labelled = batch.confidence > 0
        if self.config.loss == "mse":
            cost = (predicted.heatmaps - target).square().sum(dim=(-2, -1))
        else:
            logits = (self.config.multiplier * predicted.heatmaps).flatten(-2).log_softmax(dim=-1)
            target = target.flatten(-2)
            cost = -(target * logits).sum(dim=-1) / target.sum(dim=-1).clamp_min(1e-6)
        return {"heatmaps": torch.where(labelled, cost, 0.0).sum() / labelled.sum().clamp_min(1)}

    def _agreed(
        self,
        pixels: Float[Tensor, "instants views joints 2"],
        projections: Float[Tensor, "instants views 3 4"],
        seen: Bool[Tensor, "instants views joints"],
    ) -> tuple[Float[Tensor, "instants joints 3"], Bool[Tensor, "instants views joints"]]:
        """The point of the largest set of agreeing views, refined; and the set."""
        scale = self.config.size / 384
        pairs = self._pairs(seen)
        tried = triangulate_undistorted(
            pixels.expand(len(pairs), *pixels.shape), projections[None], pairs.to(pixels)
        )
        misses = reprojection_residuals(tried, pixels.expand(len(pairs), *pixels.shape), projections[None])
        inliers = (misses < scale * self.config.threshold) & seen | pairs
        best = inliers.sum(dim=2).argmax(dim=0)  # the first of equals
        chosen = inliers.take_along_dim(best[None, :, None, :], dim=0)[0]
        joints3d = triangulate_undistorted(pixels, projections, chosen.to(pixels))
        return self._refined(joints3d, pixels, projections, chosen), chosen

    def _pairs(
        self, seen: Bool[Tensor, "instants views joints"]
    ) -> Bool[Tensor, "pairs instants views joints"]:
        """Two views each: all pairs where they are few, else drawn for every joint, the same for every instant."""
        views = seen.shape[1]
        if math.comb(views, 2) <= self.config.iterations:
            pairs = torch.zeros(math.comb(views, 2), views, dtype=torch.bool, device=seen.device)
            for row, pair in zip(pairs, combinations(range(views), 2), strict=True):
                row[list(pair)] = True
            return pairs[:, None, :, None] & seen
        generator = torch.Generator().manual_seed(0)
        drawn = torch.rand(self.config.iterations, 1, *seen.shape[1:], generator=generator).to(seen.device)
        second = torch.where(seen, drawn, -1.0).topk(2, dim=2).values[:, :, 1:]
        return (drawn >= second) & seen

    def _refined(self, joints3d: Tensor, pixels: Tensor, projections: Tensor, chosen: Tensor) -> Tensor:
        """The least Huber cost of the distances in the images, by reweighted Gauss-Newton."""
        limit = self.config.huber * self.config.size / 384
        for _ in range(self.config.refinements):
            distance = reprojection_residuals(joints3d, pixels, projections)
            weights = (limit / distance.clamp_min(limit)).sqrt().nan_to_num(0.0) * chosen
            joints3d = refine_points(joints3d, pixels, projections, weights, steps=1)
        return joints3d


# --- inside --------------------------------------------------------------------------------------


def _in_millimetres(projections: Float[Tensor, "*batch 3 4"]) -> Float[Tensor, "*batch 3 4"]:
    return torch.cat([projections[..., :3], MILLIMETRES * projections[..., 3:]], dim=-1)


def _seen(
    batch: MultiView, joints3d: Tensor, pixels: Tensor, weights: Tensor, maps: Maps
) -> TriangulatedPose:
    heatmaps = maps.heatmaps.unflatten(0, pixels.shape[:2])
    parts = {"joints3d": joints3d, "joints2d": pixels, "weights": weights, "heatmaps": heatmaps}
    return TriangulatedPose(**with_axes_of(batch, **parts))
