"""Weakly supervised 2.5D learning: single images with 2D labels, several views of an instant without any. [Iqbal20]

A network gives every joint a heat map and a map of depths; the expected position under the softmax of the first is the
joint, the mean of the second under it its depth behind the root in lengths of the body. With the crop's intrinsics a
pose follows. Of `cameras` only the intrinsics are read. The paper's formulas are followed as far as they
could be found: see docs/methods/weak_25d.md.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from coview.body.limb_lengths import LimbLengths
from coview.cameras import Cameras
from coview.errors import InputError
from coview.losses import limb_error, view_disagreement
from coview.methods.shared.base import Fact, MetricCameraPoses, flip_if_mirrored
from coview.methods.shared.image_method import ImageConfig, ImageMethod, Views, with_axes_of
from coview.networks.backbone import Depth, Maps
from coview.networks.normalisation import BatchNorm2d
from coview.representations.heatmaps import gaussian_maps, map_cells, map_stride, peaks, soft_argmax
from coview.representations.normalised import ray_from_camera, rotated_rays
from coview.representations.relative_depth import Placing, limb_norms, metric_pose
from coview.sample import MultiView
from coview.skeletons import Skeleton

# instants that are processed at once without gradients
_AT_ONCE = 16
# standard deviation of the initial weights of the depths' layer
_FLAT = 0.001
# from the features of the whole image to depths: channels, cells, channels
_NARROW, _GRID, _HIDDEN = 64, 4, 256
# least weight of a joint in the estimate of the root's depth
_MIN_WEIGHT = 0.05


@dataclass(frozen=True, kw_only=True)
class LatentPoses(MetricCameraPoses):
    """Metric poses, and the intermediate values that the losses read; all of these are finite."""

    # heat maps, scaled as `loss` defines
    heatmaps: Float[Tensor, "*batch views joints height width"]
    # pixels of the crop
    joints2d: Float[Tensor, "*batch views joints 2"]
    # image positions x/z and y/z in the camera's frame rotated so that the root is on its axis
    rays: Float[Tensor, "*batch views joints 2"]
    # depth behind the root in that frame, in mean torsos
    relative_depth: Float[Tensor, "*batch views joints"]
    # joints in that frame, mean torsos
    points: Float[Tensor, "*batch views joints 3"]
    # confidence of the 2D positions in [0, 1]; 0 without intrinsics
    confidence: Float[Tensor, "*batch views joints"]


@dataclass(frozen=True)
class Weak25DConfig(ImageConfig):
    """As the paper's abstract and blog describe it; weights are for our normalisations of the terms."""

    # number of layers of the ResNet: 18, 34, 50, 101 or 152; the paper's network is HRNet-W32
    depth: Depth = 50
    # longer side of the crops in pixels, in training and prediction; a multiple of 32
    size: int = 256
    # mean limb lengths, the only prior from 3D measurements
    limbs: LimbLengths = field(default_factory=LimbLengths)
    # how relative depths become a pose
    placing: Placing = field(default_factory=Placing)
    # weight of L_MC, the disagreement between views without labels
    agreement: float = 1.0
    # Whether 2D positions learn from L_MC, as in the paper, or depths alone. On images without 2D labels or L_R nothing
    # else determines positions, and the same figure for every image has the least L_MC
    views_teach_places: bool = False
    # weight of L_B, the error of limb lengths
    limb_weight: float = 10.0
    # weight of L_R, the heat-map loss on joints that a frozen 2D network detected; L_H has 1
    pseudo_weight: float = 0.5
    # least confidence (see `loss`) of joints that depths learn from
    min_confidence: float = 0.3
    # least confidence of the frozen network's joints that 2D positions learn from
    min_pseudo_confidence: float = 0.5
    # mse: heat maps learn to equal a Gaussian; a joint's confidence is the map's height there. cross_entropy: the
    # softmax of `sharpness` times them learns to; the confidence is the share of its peak. A small network then learns
    # from the first step, and can start from a 2D network trained so, with its multiplier as sharpness
    loss: Literal["mse", "cross_entropy"] = "mse"
    # standard deviation of the heat maps drawn from 2D labels, in map cells
    sigma: float = 2.0
    # initial factor on heat maps before their softmax; learned per joint. 15 to 20 is best for maps of height 1
    sharpness: float = 20.0
    # maps: depths are read from a map where the joint's heat map is high, as in the paper. picture: from the coarsest
    # features of the whole image, by two layers; a small network that starts from 2D weights learns depths sooner so
    depths: Literal["maps", "picture"] = "maps"
    # learning rate of the backbone, as a multiple of the recipe's
    trunk_rate: float = 1.0
    # largest depth of a joint before or behind the root, in mean torsos
    reach: float = 1.5
    # share of the training over which L_MC and L_B get their full weight
    ramp: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not min(self.sigma, self.sharpness, self.reach, self.trunk_rate) > 0:
            raise InputError(
                f"Weak25DConfig: sigma (map cells), sharpness, reach (mean torsos) and trunk_rate must be positive, "
                f"got {self.sigma}, {self.sharpness}, {self.reach} and {self.trunk_rate}."
            )
        if min(self.agreement, self.limb_weight, self.pseudo_weight) < 0:
            raise InputError(
                f"Weak25DConfig: agreement, limb_weight and pseudo_weight cannot be negative, got {self.agreement}, "
                f"{self.limb_weight} and {self.pseudo_weight}."
            )
        for name, choices in (("loss", ("mse", "cross_entropy")), ("depths", ("maps", "picture"))):
            if getattr(self, name) not in choices:
                raise InputError(
                    f"Weak25DConfig: {name} is '{choices[0]}' or '{choices[1]}', got {getattr(self, name)!r}."
                )
        for name in ("min_confidence", "min_pseudo_confidence", "ramp"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"Weak25DConfig: {name} is a share, 0 to below 1, got {getattr(self, name)}."
                )
        if self.fewest_views:
            raise InputError(
                f"Weak25DConfig: fewest_views is {self.fewest_views}, and 2D labels belong to the views that are "
                f"there. Leave it at 0."
            )

    @property
    def bgr(self) -> bool:
        """Never: no weights were released."""
        return False

    def build(self, skeleton: Skeleton) -> "Weak25D":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return Weak25D(self, skeleton)


class Weak25D(ImageMethod[LatentPoses]):
    """One pose per crop and its intrinsics, in metres of a mean body."""

    supervision = frozenset({"joints2d", "confidence", "labelled2d"})
    intrinsics_only = True
    config: Weak25DConfig

    def __init__(self, config: Weak25DConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        self.limbs = config.limbs.of(skeleton)
        self.rates = {"backbone": config.trunk_rate}
        # the number whose softplus is the sharpness; one per joint
        start = config.sharpness + math.log(-math.expm1(-config.sharpness))
        self.log_sharpness = nn.Parameter(torch.full((len(skeleton),), start))
        # Not part of the backbone: heat maps start from a 2D network's weights, and depths start flat. From random
        # depths, training ends in a rigid figure along the optical axis that is the same in all views of all poses
        self.depth_layer: nn.Conv2d | nn.Linear
        if config.depths == "maps":
            self.depth_layer = nn.Conv2d(config.deconv, len(skeleton), 1)
        else:
            self.whole = nn.Sequential(
                nn.Conv2d(self.backbone.channels, _NARROW, 1, bias=False),
                BatchNorm2d(_NARROW),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(_GRID),
                nn.Conv2d(_NARROW, _HIDDEN, _GRID, bias=False),
                BatchNorm2d(_HIDDEN),
                nn.ReLU(),
                nn.Flatten(),
            )
            self.depth_layer = nn.Linear(_HIDDEN, len(skeleton))
        for weight in self.depth_layer.parameters():
            nn.init.normal_(weight, std=_FLAT)

    def forward(self, batch: MultiView) -> LatentPoses:
        """Root-centred poses in the axes of each camera.

        Args:
            batch: `images` and `cameras`, of which only the intrinsics are read.

        Returns:
            Metres of a mean body; NaN for a view without intrinsics.
        """
        views = self.views(batch)
        found = self.maps(views.images)
        heatmaps = found.heatmaps.float()
        sharp = self._sharp(heatmaps)
        cells = soft_argmax(sharp, 1.0)
        depth = self.config.reach * self._deep(found, sharp)
        depth = (depth - depth[..., self.root, None]).unflatten(0, views.images.shape[:2])
        pixels = self._pixels(cells, views, found)
        intrinsics, there = self._intrinsics(views)
        confidence = self._confidence(heatmaps.detach(), cells.detach())
        confidence = confidence.unflatten(0, views.images.shape[:2]) * there
        weights = confidence.clamp_min(_MIN_WEIGHT)
        rays = intrinsics.normalise(pixels)
        frame = ray_from_camera(rays[..., self.root, :])
        rays = rotated_rays(rays, frame)
        taught = rays if self.config.views_teach_places else rays.detach()
        points = self.config.placing.place(taught, depth, weights, self.limbs)
        pose = metric_pose(points, weights, self.limbs, self.root) @ frame
        parts = {
            "joints3d": torch.where(there[..., None], pose, torch.nan),
            "heatmaps": heatmaps.unflatten(0, views.images.shape[:2]),
            "joints2d": pixels,
            "rays": rays,
            "relative_depth": depth,
            "points": points,
            "confidence": confidence,
        }
        return LatentPoses(**with_axes_of(batch, **parts))

    def losses(self, predicted: LatentPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """L_H on labelled views, L_R on a frozen network's joints in the others, L_MC and L_B on these. [Iqbal20]

        Only the depths learn from limb lengths: 2D positions would drift away from the image evidence.

        Args:
            predicted: Poses and heat maps of all views.
            batch: `joints2d`, `confidence` and `labelled2d`.

        Returns:
            `heatmap`; unless their weight is 0 `pseudo`, `agreement` and `limb`.
        """
        labelled = batch.labelled2d[..., None]
        sure = ~labelled & (batch.confidence > self.config.min_pseudo_confidence)
        cost = self._heatmap_error(predicted, batch)
        terms = {"heatmap": _mean(cost, labelled & (batch.confidence > 0))}
        if self.config.pseudo_weight:
            terms["pseudo"] = self.config.pseudo_weight * _mean(cost, sure)
        ramp = min(1.0, self.progress / self.config.ramp) if self.config.ramp else 1.0
        of_views = self._of_views(predicted, torch.where(labelled, 0.0, predicted.confidence))
        return terms | {name: ramp * term for name, term in of_views.items()}

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Negate all depths where their mirror images have the smaller L_MC and L_B.

        Only perspective tells the two apart, by a small difference.

        Args:
            batch: A few hundred instants of two or more views.

        Returns:
            Whether the depths were negated, and both losses.
        """
        costs = []
        for start in range(0, len(batch.images), _AT_ONCE):
            found = self(batch[start : start + _AT_ONCE])
            depth, weights = -found.relative_depth, found.confidence.clamp_min(_MIN_WEIGHT)
            points = self.config.placing.place(found.rays, depth, weights, self.limbs)
            both = found, replace(found, relative_depth=depth, points=points)
            costs.append([float(sum(self._of_views(each, each.confidence).values())) for each in both])
        trained, mirrored = torch.tensor(costs).mean(dim=0).tolist()
        # tanh is odd
        return flip_if_mirrored(self.depth_layer, trained, mirrored)

    # --- inside ----------------------------------------------------------------------------------

    def _sharp(self, heatmaps: Float[Tensor, "*batch joints height width"]) -> Tensor:
        """Logits of the positions: heat maps times the sharpness of each joint."""
        return nn.functional.softplus(self.log_sharpness)[:, None, None] * heatmaps

    def _deep(self, found: Maps, sharp: Tensor) -> Float[Tensor, "n joints"]:
        """Depths of all joints, within ±1."""
        if self.config.depths == "picture":
            return self.depth_layer(self.whole(found.coarse)).float().tanh()
        deep = self.depth_layer(found.features).float().tanh()
        sharp = sharp if self.config.views_teach_places else sharp.detach()
        return (sharp.flatten(-2).softmax(dim=-1) * deep.flatten(-2)).sum(dim=-1)

    def _of_views(self, predicted: LatentPoses, confidence: Tensor) -> dict[str, Tensor]:
        """L_MC and L_B, where their weight is not 0."""
        weights, terms = torch.where(confidence < self.config.min_confidence, 0.0, confidence), {}
        if self.config.agreement:
            terms["agreement"] = self.config.agreement * view_disagreement(predicted.points, weights)
        if self.config.limb_weight:
            terms["limb"] = self.config.limb_weight * self._limb_error(predicted, weights)
        return terms

    @staticmethod
    def _intrinsics(views: Views) -> tuple[Cameras, Bool[Tensor, "instants views 1"]]:
        """Cameras with finite intrinsics, and which views have any."""
        given = views.cameras.intrinsics
        there = given.isfinite().all(dim=-1).all(dim=-1)
        safe = torch.where(there[..., None, None], given, torch.eye(3).to(given))
        return replace(views.cameras, intrinsics=safe), there[..., None]

    def _heatmap_error(
        self, predicted: LatentPoses, batch: MultiView
    ) -> Float[Tensor, "*batch views joints"]:
        """Difference of heat maps from Gaussians at the 2D joints: squares summed over cells, or nats."""
        height, width = predicted.heatmaps.shape[-2:]
        stride = map_stride((batch.images.shape[-1], batch.images.shape[-2]), (width, height))
        cells = map_cells(batch.joints2d, stride, half_pixel=not self.config.released_numerics)
        target = gaussian_maps(cells, batch.confidence, (height, width), self.config.sigma)
        if self.config.loss == "mse":
            return (predicted.heatmaps - target).square().sum(dim=(-2, -1))
        found = self._sharp(predicted.heatmaps).flatten(-2).log_softmax(dim=-1)
        target = target.flatten(-2)
        target = target / target.sum(dim=-1, keepdim=True).clamp_min(1e-6)
        return nn.functional.kl_div(found, target, reduction="none").sum(dim=-1)

    def _limb_error(self, predicted: LatentPoses, confidence: Tensor) -> Float[Tensor, ""]:
        still = predicted.rays.detach()
        weights = predicted.confidence.clamp_min(_MIN_WEIGHT)
        points = self.config.placing.place(still, predicted.relative_depth, weights, self.limbs)
        lengths = limb_norms(points, self.limbs)
        return limb_error(lengths, self.limbs.in_torsos(lengths), self.limbs.both(confidence))

    def _confidence(
        self, heatmaps: Float[Tensor, "n joints height width"], cells: Float[Tensor, "n joints 2"]
    ) -> Float[Tensor, "n joints"]:
        """Confidence of the 2D positions in [0, 1]: the map's height there, or the peak's share of its softmax."""
        if self.config.loss == "cross_entropy":
            return peaks(self._sharp(heatmaps), 1.0)[1]
        size = cells.new_tensor([heatmaps.shape[-1], heatmaps.shape[-2]])
        grid = ((2 * cells + 1) / size - 1).flatten(0, 1)[:, None, None]
        heights = nn.functional.grid_sample(
            heatmaps.flatten(0, 1)[:, None], grid, padding_mode="border", align_corners=False
        )
        return heights.reshape(cells.shape[:-1]).clamp(0, 1)


def _mean(cost: Tensor, counted: Tensor) -> Float[Tensor, ""]:
    """Mean over the entries that count; 0 where none does."""
    return torch.where(counted, cost, 0.0).sum() / counted.sum().clamp_min(1)
