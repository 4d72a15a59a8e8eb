"""Weakly supervised 2.5D learning: single images with 2D labels, several views of an instant without any. [Iqbal20]

A network gives every joint a heat map and a map of depths; the mean place under the softmax of the first is the joint,
the mean of the second its depth behind the root in lengths of the body. With the crop's intrinsics a pose follows. What
is read of `cameras` is intrinsics alone. The paper's formulas are followed as far as they could be found: see
docs/methods/weak_25d.md.
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
from coview.representations.normalised import ray_from_camera, turned
from coview.representations.relative_depth import Placing, limb_norms, metric_pose
from coview.sample import MultiView
from coview.skeletons import Skeleton

# instants that are looked at together where nothing is learnt
_AT_ONCE = 16
# deviation of the depths' first weights
_FLAT = 0.001
# on the way from the whole picture to depths: channels, cells, channels
_NARROW, _GRID, _HIDDEN = 64, 4, 256
# how much a joint that the network does not see at all counts where a person is placed
_DOUBTFUL = 0.05


@dataclass(frozen=True, kw_only=True)
class LatentPoses(MetricCameraPoses):
    """Poses, and what the losses read of how they came about; all of it finite."""

    # as `loss` teaches them
    heatmaps: Float[Tensor, "*batch views joints height width"]
    # pixels of the crop
    joints2d: Float[Tensor, "*batch views joints 2"]
    # The camera's frame, turned so that the root is on its axis
    # x/z and y/z
    rays: Float[Tensor, "*batch views joints 2"]
    # behind the root, in mean torsos
    relative_depth: Float[Tensor, "*batch views joints"]
    # mean torsos
    points: Float[Tensor, "*batch views joints 3"]
    # in [0, 1]; 0 without a lens
    trust: Float[Tensor, "*batch views joints"]


@dataclass(frozen=True)
class Weak25DConfig(ImageConfig):
    """What the paper's abstract and blog state is followed; weights are for our normalisations of the terms."""

    # the paper's network is HRNet-W32
    depth: Depth = 50
    size: int = 256
    # the one thing that 3D measurements gave
    limbs: LimbLengths = field(default_factory=LimbLengths)
    # how depths become a pose
    placing: Placing = field(default_factory=Placing)
    # weight of L_MC, between views without labels
    agreement: float = 1.0
    # Whether places in the picture learn from L_MC, as in the paper, or depths alone. On pictures without 2D labels or
    # L_R nothing else holds places, and one figure that every picture gets agrees best
    views_teach_places: bool = False
    # of L_B
    limb_weight: float = 10.0
    # of L_R: the heat-map loss on joints that a frozen 2D network saw; L_H has 1
    pseudo_weight: float = 0.5
    # joints whose heat map is lower do not teach depths
    min_confidence: float = 0.3
    # joints that the frozen network is less sure of do not teach places
    min_pseudo_confidence: float = 0.5
    # mse: heat maps are to equal a bump; a joint is trusted as its map is high there. cross_entropy: the softmax of
    # `sharpness` times them is to be the bump; trusted as its peak holds the whole. A small network learns from the
    # first step then, and begins where one left off that learnt so, with its multiplier for sharpness
    loss: Literal["mse", "cross_entropy"] = "mse"
    # map cells: width of the heat maps that 2D labels become
    sigma: float = 2.0
    # of the softmax, at first; learnt per joint where anything teaches it. 15 to 20 is best for bumps of height 1
    sharpness: float = 20.0
    # maps: depths are read where a joint's heat map is, as in the paper. picture: from the coarsest features of all of
    # the picture, by two layers; a small network that begins with places comes to depths sooner so
    depths: Literal["maps", "picture"] = "maps"
    # learning rate of what a 2D network began, as a multiple of the depths'
    trunk_rate: float = 1.0
    # joints are at most so many mean torsos before or behind the root
    reach: float = 1.5
    # share of the training over which L_MC and L_B come in
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
        for name, known in (("loss", ("mse", "cross_entropy")), ("depths", ("maps", "picture"))):
            if getattr(self, name) not in known:
                raise InputError(
                    f"Weak25DConfig: {name} is '{known[0]}' or '{known[1]}', got {getattr(self, name)!r}."
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
    """One crop and its intrinsics in, one pose in metres of a mean body out."""

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
        # No part of the backbone: a 2D network's weights begin the heat maps, and depths begin flat. From joints at
        # depths of their own, the answer is a rigid figure along the optical axis, shared by views of whatever they see
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
        """Poses in the axes of each camera; NaN for a view without intrinsics."""
        views = self.views(batch)
        found = self.maps(views.images)
        heatmaps = found.heatmaps.float()
        sharp = self._sharp(heatmaps)
        cells = soft_argmax(sharp, 1.0)
        depth = self.config.reach * self._deep(found, sharp)
        depth = (depth - depth[..., self.root, None]).unflatten(0, views.images.shape[:2])
        pixels = self._pixels(cells, views, found)
        lenses, there = self._lenses(views)
        trust = self._trust(heatmaps.detach(), cells.detach()).unflatten(0, views.images.shape[:2]) * there
        rays = lenses.normalise(pixels)
        frame = ray_from_camera(rays[..., self.root, :])
        rays = turned(rays, frame)
        taught = rays if self.config.views_teach_places else rays.detach()
        points = self.config.placing.place(taught, depth, trust.clamp_min(_DOUBTFUL), self.limbs)
        pose = metric_pose(points, trust.clamp_min(_DOUBTFUL), self.limbs, self.root) @ frame
        parts = {
            "joints3d": torch.where(there[..., None], pose, torch.nan),
            "heatmaps": heatmaps.unflatten(0, views.images.shape[:2]),
            "joints2d": pixels,
            "rays": rays,
            "relative_depth": depth,
            "points": points,
            "trust": trust,
        }
        return LatentPoses(**with_axes_of(batch, **parts))

    def losses(self, predicted: LatentPoses, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """L_H on labelled views, L_R on what a frozen network saw in the others, L_MC and L_B on these [Iqbal20].

        Only the depths learn from limbs: places would be dragged from what the picture shows."""
        labelled = batch.labelled2d[..., None]
        sure = ~labelled & (batch.confidence > self.config.min_pseudo_confidence)
        cost = self._heatmap_error(predicted, batch)
        terms = {"heatmap": _mean(cost, labelled & (batch.confidence > 0))}
        if self.config.pseudo_weight:
            terms["pseudo"] = self.config.pseudo_weight * _mean(cost, sure)
        ramp = min(1.0, self.progress / self.config.ramp) if self.config.ramp else 1.0
        of_views = self._of_views(predicted, torch.where(labelled, 0.0, predicted.trust))
        return terms | {name: ramp * term for name, term in of_views.items()}

    @torch.no_grad()
    def resolve_ambiguity(self, batch: MultiView) -> dict[str, Fact]:
        """Whether all depths with the other sign agree better between the views, and with the limbs; then they get it.

        Perspective alone tells the two worlds apart, by a little."""
        costs = []
        for start in range(0, len(batch.images), _AT_ONCE):
            found = self(batch[start : start + _AT_ONCE])
            depth, weights = -found.relative_depth, found.trust.clamp_min(_DOUBTFUL)
            points = self.config.placing.place(found.rays, depth, weights, self.limbs)
            both = found, replace(found, relative_depth=depth, points=points)
            costs.append([float(sum(self._of_views(each, each.trust).values())) for each in both])
        trained, mirrored = torch.tensor(costs).mean(dim=0).tolist()
        return flip_if_mirrored(self.depth_layer, trained, mirrored)  # tanh is odd

    # --- inside ----------------------------------------------------------------------------------

    def _sharp(self, heatmaps: Float[Tensor, "*batch joints height width"]) -> Tensor:
        """Whose softmax is where joints may be."""
        return nn.functional.softplus(self.log_sharpness)[:, None, None] * heatmaps

    def _deep(self, found: Maps, sharp: Tensor) -> Float[Tensor, "n joints"]:
        """Depths within ±1."""
        if self.config.depths == "picture":
            return self.depth_layer(self.whole(found.coarse)).float().tanh()
        deep = self.depth_layer(found.features).float().tanh()
        sharp = sharp if self.config.views_teach_places else sharp.detach()
        return (sharp.flatten(-2).softmax(dim=-1) * deep.flatten(-2)).sum(dim=-1)

    def _of_views(self, predicted: LatentPoses, trust: Tensor) -> dict[str, Tensor]:
        """L_MC and L_B, as far as they have weight."""
        trust, terms = torch.where(trust < self.config.min_confidence, 0.0, trust), {}
        if self.config.agreement:
            terms["agreement"] = self.config.agreement * view_disagreement(predicted.points, trust)
        if self.config.limb_weight:
            terms["limb"] = self.config.limb_weight * self._limb_error(predicted, trust)
        return terms

    @staticmethod
    def _lenses(views: Views) -> tuple[Cameras, Bool[Tensor, "instants views 1"]]:
        """Finite intrinsics, and which views have any."""
        held = views.cameras.intrinsics
        there = held.isfinite().all(dim=-1).all(dim=-1)
        safe = torch.where(there[..., None, None], held, torch.eye(3).to(held))
        return replace(views.cameras, intrinsics=safe), there[..., None]

    def _heatmap_error(
        self, predicted: LatentPoses, batch: MultiView
    ) -> Float[Tensor, "*batch views joints"]:
        """Of heat maps from bumps at the 2D joints: squared distance summed over cells, or nats."""
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

    def _limb_error(self, predicted: LatentPoses, trust: Tensor) -> Float[Tensor, ""]:
        still = predicted.rays.detach()
        weights = predicted.trust.clamp_min(_DOUBTFUL)
        points = self.config.placing.place(still, predicted.relative_depth, weights, self.limbs)
        lengths = limb_norms(points, self.limbs)
        return limb_error(lengths, self.limbs.in_torsos(lengths), self.limbs.both(trust))

    def _trust(
        self, heatmaps: Float[Tensor, "n joints height width"], cells: Float[Tensor, "n joints 2"]
    ) -> Float[Tensor, "n joints"]:
        """How sure the network is of its places, within [0, 1]: the height there, or the peak's share of the whole."""
        if self.config.loss == "cross_entropy":
            return peaks(self._sharp(heatmaps), 1.0)[1]
        size = cells.new_tensor([heatmaps.shape[-1], heatmaps.shape[-2]])
        grid = ((2 * cells + 1) / size - 1).flatten(0, 1)[:, None, None]
        heights = nn.functional.grid_sample(
            heatmaps.flatten(0, 1)[:, None], grid, padding_mode="border", align_corners=False
        )
        return heights.reshape(cells.shape[:-1]).clamp(0, 1)


def _mean(cost: Tensor, counted: Tensor) -> Float[Tensor, ""]:
    """Over what counts; 0 where nothing does."""
    return torch.where(counted, cost, 0.0).sum() / counted.sum().clamp_min(1)
