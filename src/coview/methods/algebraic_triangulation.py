"""Algebraic triangulation with learned confidences, and the RANSAC that it is compared with [Iskakov19].

Both read a 2D position per view from heat maps and intersect the rays. The algebraic one is differentiable from
images to metres, so the network learns positions and the weights of views; RANSAC is not, and its network learns heat
maps from 2D labels alone.
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
from coview.geometry.triangulation.huber_points import least_huber_points
from coview.geometry.triangulation.undistorted import reprojection_residuals, triangulate_undistorted
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

# millimetres per metre: the unit of the released DLT
MILLIMETRES = 1000.0


@dataclass(frozen=True, kw_only=True)
class TriangulatedPose(WorldPose):
    """A pose, and the 2D positions, weights and heat maps that it was triangulated from."""

    # pixels of the crops
    joints2d: Float[Tensor, "*batch views joints 2"]
    # weights of the rays; 0 for a view that was not used
    weights: Float[Tensor, "*batch views joints"]
    # the network's heat maps, before any softmax
    heatmaps: Float[Tensor, "*batch views joints height width"]


@dataclass(frozen=True)
class AlgebraicTriangulationConfig(ImageConfig):
    """The paper's settings [Iskakov19 §3.1]; recipes choose smaller networks."""

    # whether a confidence is learned per joint and view; without, all views have the same weight
    confidences: bool = True
    # factor on the heat maps before their softmax: the released alpha
    multiplier: float = 100.0
    # learning rate of the confidences, as a multiple of the recipe's
    confidence_rate: float = 1.0
    # centimetres beyond which only the tenth root of an error counts: outliers have little gradient
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
    """Soft arg-max in every view, then weighted linear triangulation; trained end to end."""

    config: AlgebraicTriangulationConfig

    def __init__(self, config: AlgebraicTriangulationConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton, algebraic=config.confidences)
        self.rates = {"backbone.alg_confidences": config.confidence_rate} if config.confidences else {}

    def forward(self, batch: MultiView) -> TriangulatedPose:
        """World poses in metres.

        Args:
            batch: `images` and `cameras`.

        Returns:
            Poses; NaN for joints of an instant with fewer than two views.
        """
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
        return _pose(batch, joints3d, pixels, weights, maps)

    def losses(self, predicted: TriangulatedPose, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Squared error in cm², softened for outliers. [Iskakov19 eq. 15]

        Args:
            predicted: Poses of all instants.
            batch: `joints3d`.

        Returns:
            `soft_mse`, as the function of that name.
        """
        threshold = self.config.threshold_cm**2
        return {"soft_mse": soft_mse(predicted.joints3d, batch.joints3d, threshold, self.config.soft_per)}

    def _weights(
        self,
        confidences: Float[Tensor, "images joints"] | None,
        there: Bool[Tensor, "instants views"],
        pixels: Float[Tensor, "instants views joints 2"],
    ) -> Float[Tensor, "instants views joints"]:
        """Confidences normalised over the views, plus 1e-5, so that no view is ever without gradient."""
        one = torch.ones_like(pixels[..., 0])
        weights = one if confidences is None else confidences.view_as(one)
        weights = weights * there[..., None]
        shares = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-9) + 1e-5
        return shares * there[..., None]


def soft_mse(
    predicted: Float[Tensor, "*batch joints 3"],
    truth: Float[Tensor, "*batch joints 3"],
    threshold: float,
    per: Literal["coordinate", "joint"] = "coordinate",
) -> Float[Tensor, ""]:
    """Mean squared error in cm²; beyond a threshold its tenth root takes over, continuously. [Iskakov19 eq. 15]

    Args:
        predicted: Poses in metres.
        truth: The same frame and unit.
        threshold: Squared error in cm² from which on it is softened.
        per: "coordinate" softens each coordinate's square, "joint" their mean over a joint.

    Returns:
        Mean over coordinates and joints; joints that are NaN on either side do not count, 0 where none is left.
    """
    valid = (predicted.isfinite() & truth.isfinite()).all(dim=-1)
    gap = torch.where(valid[..., None], CENTIMETRES * (predicted - truth), 0.0)
    squared = gap.square() if per == "coordinate" else gap.square().mean(dim=-1, keepdim=True)
    large = squared > threshold
    # the slope of x^0.1 at 0 is infinite: small errors are replaced before the root is taken
    soft = torch.where(large, squared, threshold).pow(0.1) * threshold**0.9
    softened = torch.where(large, soft, squared).mean(dim=-1)
    return softened.sum() / valid.sum().clamp_min(1)


@dataclass(frozen=True)
class RansacTriangulationConfig(ImageConfig):
    """The paper's baseline [Iskakov19 §4]; pixels are those of a crop of 384."""

    # pairs of views that are tried; all pairs where there are no more than that
    iterations: int = 10
    # reprojection error from which on a view is an outlier, in pixels of a crop of 384
    threshold: float = 30.0
    # reprojection error from which on the refinement's loss is linear, in pixels of a crop of 384
    huber: float = 2.0
    # whether the point of the inliers is moved to the minimum of the Huber loss; else it is that of the DLT
    refine: bool = True
    # standard deviation of the heat maps drawn from 2D labels, in map cells
    sigma: float = 1.0
    # mse: heat maps learn to equal a Gaussian, as in the paper. cross_entropy: the softmax of `multiplier` times them
    # learns to; small networks then learn from the first step, and their weights suit a soft arg-max
    loss: Literal["mse", "cross_entropy"] = "mse"
    # factor on the heat maps in the cross-entropy; choose that of the algebraic method that starts from the weights
    multiplier: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations < 1:
            raise InputError(
                f"RansacTriangulationConfig: iterations must be at least 1, got {self.iterations}."
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
    """Arg-max of the heat map in every view, then RANSAC over pairs of views, and refinement.

    The network learns from 2D joints, never from a 3D label; the learnable methods start from its weights."""

    supervision = frozenset({"joints2d", "confidence"})
    config: RansacTriangulationConfig

    def __init__(self, config: RansacTriangulationConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)

    def forward(self, batch: MultiView) -> TriangulatedPose:
        """World poses in metres.

        In training all views are triangulated without RANSAC: it is quicker, and only the heat maps are learned.

        Args:
            batch: `images` and `cameras`.

        Returns:
            Poses; NaN for joints of an instant with fewer than two views. `weights` are 1 for inliers.
        """
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
        return _pose(batch, joints3d, pixels, inliers.to(pixels), maps)

    @torch.no_grad()
    def detections(
        self, batch: MultiView
    ) -> tuple[Float[Tensor, "instants views joints 2"], Float[Tensor, "instants views joints"]]:
        """2D joints in every image by itself, for methods that learn from 2D joints.

        Args:
            batch: `images` alone are read, instants along their first axis.

        Returns:
            Pixels; and the share of each map's softmax that its peak holds, in [0, 1].
        """
        images = batch.images
        maps = self.maps(images).heatmaps
        cells, share = peaks(maps, self.config.multiplier)
        stride = map_stride((images.shape[-1], images.shape[-2]), (maps.shape[-1], maps.shape[-2]))
        pixels = image_pixels(cells, stride, half_pixel=not self.config.released_numerics)
        return pixels.unflatten(0, images.shape[:2]), share.unflatten(0, images.shape[:2])

    def losses(self, predicted: TriangulatedPose, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Difference of the heat maps from Gaussians at the 2D labels.

        Args:
            predicted: Its heat maps are compared.
            batch: `joints2d` (pixels) and `confidence`; joints of confidence 0 do not count.

        Returns:
            `heatmaps`: squared difference summed over cells, or cross-entropy in nats; mean over joints.
        """
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
        """The point of the largest set of inlier views, refined; and the set."""
        scale = self.config.size / 384
        pairs = self._pairs(seen)
        many = pixels.expand(len(pairs), *pixels.shape)
        tried = self._intersected(many, projections[None], pairs)
        inliers = (
            self._errors(tried, many, projections[None]) < scale * self.config.threshold
        ) & seen | pairs
        # of equal counts the first
        best = inliers.sum(dim=2).argmax(dim=0)
        chosen = inliers.take_along_dim(best[None, :, None, :], dim=0)[0]
        joints3d = self._intersected(pixels, projections, chosen)
        if self.config.refine:
            joints3d = least_huber_points(joints3d, pixels, projections, chosen, self.config.huber * scale)
        return joints3d.to(pixels), chosen

    def _intersected(
        self,
        pixels: Float[Tensor, "*batch views joints 2"],
        projections: Float[Tensor, "*#batch views 3 4"],
        used: Bool[Tensor, "*batch views joints"],
    ) -> Float[Tensor, "*batch joints 3"]:
        """The linear point of the views that are used, each with the same weight."""
        if not self.config.released_numerics:
            return triangulate_undistorted(pixels, projections, used.to(pixels))
        # in double precision, as in the released code, whose images alone are float32
        rows = _in_millimetres(projections.double())
        return homogeneous_dlt(pixels.double(), rows, used.double()) / MILLIMETRES

    def _errors(
        self,
        joints3d: Float[Tensor, "*batch joints 3"],
        pixels: Float[Tensor, "*batch views joints 2"],
        projections: Float[Tensor, "*#batch views 3 4"],
    ) -> Float[Tensor, "*batch views joints"]:
        """Reprojection errors in pixels; NaN, so no inlier, where the point is behind the camera, which the released
        code does not ask."""
        if not self.config.released_numerics:
            return reprojection_residuals(joints3d, pixels, projections)
        matrices = projections.double()
        image = joints3d[..., None, :, :] @ matrices[..., :3].mT + matrices[..., None, :, 3]
        return (image[..., :2] / image[..., 2:] - pixels).norm(dim=-1)

    def _pairs(
        self, seen: Bool[Tensor, "instants views joints"]
    ) -> Bool[Tensor, "pairs instants views joints"]:
        """Hypotheses of two views each: all pairs if few, else drawn per joint, the same for all instants."""
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


# --- inside --------------------------------------------------------------------------------------


def _in_millimetres(projections: Float[Tensor, "*batch 3 4"]) -> Float[Tensor, "*batch 3 4"]:
    return torch.cat([projections[..., :3], MILLIMETRES * projections[..., 3:]], dim=-1)


def _pose(
    batch: MultiView, joints3d: Tensor, pixels: Tensor, weights: Tensor, maps: Maps
) -> TriangulatedPose:
    heatmaps = maps.heatmaps.unflatten(0, pixels.shape[:2])
    parts = {"joints3d": joints3d, "joints2d": pixels, "weights": weights, "heatmaps": heatmaps}
    return TriangulatedPose(**with_axes_of(batch, **parts))
