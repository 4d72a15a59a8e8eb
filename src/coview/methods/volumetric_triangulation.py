"""Volumetric triangulation: features of all views meet in a cuboid around the person [Iskakov19 §3.2].

A network with three-dimensional convolutions reads the cuboid, so it knows what bodies look like: one view
can be enough. It must be told roughly where the person is.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from coview.errors import InputError
from coview.methods.shared.base import WorldPose
from coview.methods.shared.image_method import CENTIMETRES, ImageConfig, ImageMethod, with_axes_of
from coview.networks.v2v import V2V
from coview.representations.heatmaps import cells_from_world, map_stride
from coview.representations.unprojection import unproject
from coview.representations.volumes import cuboid, nearest_cell, soft_argmax3d
from coview.sample import MultiView
from coview.skeletons import Skeleton

Aggregation = Literal["softmax", "sum", "max", "conf", "conf_norm"]


@dataclass(frozen=True, kw_only=True)
class VolumePose(WorldPose):
    """A pose, and the probabilities it is the mean of."""

    # of each joint over the cells of the cuboid
    probabilities: Float[Tensor, "*batch joints x y z"]
    # where the cells are: metres, world
    points: Float[Tensor, "*batch x y z 3"]
    # that it was made of
    views: int


@dataclass(frozen=True)
class VolumetricTriangulationConfig(ImageConfig):
    """The paper's settings [Iskakov19 §3.2, §4]; recipes choose smaller networks and fewer cells."""

    # how views become one volume; conf and conf_norm learn a weight per channel
    aggregation: Aggregation = "softmax"
    # along each side of the cuboid
    cells: int = 64
    # metres
    side: float = 2.5
    # of the features that go into the volume
    channels: int = 32
    # channels of the volume's network at full resolution
    width: int = 32
    # how often that network halves the resolution
    levels: int = 5
    # cells: width of its first convolution
    front_kernel: int = 7
    # of the volumes before their softmax
    multiplier: float = 1.0
    # in training, turns the cuboid about the vertical by any angle
    rotate: bool = True
    # the world's axis that is vertical
    vertical: Literal["z", "y"] = "z"
    # where the cuboid stands: at the data's `base_point` (another method's answer, or a reconstruction),
    # or at the labels' root joint, in training and at test time
    base: Literal["point", "labels"] = "point"
    # metres: standard deviation of what is added to the base in training, per axis
    base_jitter: float = 0.0
    # of the cross-entropy of the true cell; the paper's beta
    cell_weight: float = 0.01
    # the backbone's learning rate, as a share of the rest's
    backbone_rate: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregation not in get_args(Aggregation):
            raise InputError(
                f"VolumetricTriangulationConfig: aggregation is one of {', '.join(get_args(Aggregation))}, "
                f"got {self.aggregation!r}."
            )
        if self.base not in ("point", "labels") or self.vertical not in ("z", "y"):
            raise InputError(
                f"VolumetricTriangulationConfig: base is 'point' or 'labels' and vertical 'z' or 'y', "
                f"got {self.base!r} and {self.vertical!r}."
            )
        if self.levels < 0 or self.cells < 2 or self.cells % 2**self.levels:
            raise InputError(
                f"VolumetricTriangulationConfig: cells is divisible by 2 to the power of levels, because the network "
                f"halves so often; got {self.cells} cells and {self.levels} levels."
            )
        if min(self.channels, self.width, self.front_kernel) < 1 or self.front_kernel % 2 == 0:
            raise InputError(
                f"VolumetricTriangulationConfig: channels and width are at least 1 and front_kernel is odd, "
                f"got {self.channels}, {self.width} and {self.front_kernel}."
            )
        if not min(self.side, self.multiplier, self.backbone_rate) > 0:
            raise InputError(
                f"VolumetricTriangulationConfig: side (metres), multiplier and backbone_rate must be above 0, "
                f"got {self.side}, {self.multiplier} and {self.backbone_rate}."
            )
        if min(self.base_jitter, self.cell_weight) < 0:
            raise InputError(
                f"VolumetricTriangulationConfig: base_jitter (metres) and cell_weight cannot be negative, "
                f"got {self.base_jitter} and {self.cell_weight}."
            )

    def build(self, skeleton: Skeleton) -> "VolumetricTriangulation":
        """The untrained method.

        Args:
            skeleton: Joints of the 2D input and of the poses.
        """
        return VolumetricTriangulation(self, skeleton)


class VolumetricTriangulation(ImageMethod[VolumePose]):
    """Unproject, aggregate, convolve, and take the mean place."""

    config: VolumetricTriangulationConfig

    def __init__(self, config: VolumetricTriangulationConfig, skeleton: Skeleton) -> None:
        learnt = config.aggregation in ("conf", "conf_norm")
        super().__init__(config, skeleton, volumetric=config.channels if learnt else 0)
        self.inputs = frozenset({"images", "cameras", "base_point" if config.base == "point" else "joints3d"})
        self.rates = {"backbone": config.backbone_rate}
        self.backbone.final_layer.requires_grad_(False)  # its heat maps are not used
        self.process_features = nn.Sequential(nn.Conv2d(config.deconv, config.channels, 1))
        self.volume_net = V2V(
            config.channels,
            len(skeleton),
            width=config.width,
            levels=config.levels,
            front_kernel=config.front_kernel,
            checkpointing=config.checkpointing,
        )

    def forward(self, batch: MultiView) -> VolumePose:
        """World poses of one view or more; NaN where the base is not known.

        Joints outside the cuboid cannot be found: the answer stays inside."""
        views = self.views(batch)
        maps = self.maps(views.images)
        instants = views.images.shape[:2]
        features = self.process_features(maps.features).unflatten(0, instants)
        stride = map_stride(views.size, (features.shape[-1], features.shape[-2]))
        projections, there = views.projections()
        projections = projections * there[..., None, None]  # everything is behind a camera that is absent
        projections = cells_from_world(projections, stride, half_pixel=not self.config.released_numerics)
        base = self._base(batch)
        known = base.isfinite().all(dim=-1)
        points = self._points(torch.where(known[:, None], base, 0.0))
        weights = self._weights(maps.volumetric, there)
        del maps  # large, and not needed while the volume is worked on
        volumes = [self._volume(features, projections, points, weights, there)]
        del features
        scores = self.volume_net(volumes[0]) if self.training else self.volume_net.consume(volumes)
        joints3d, probabilities = soft_argmax3d(scores, points, self.config.multiplier)
        joints3d = torch.where(known[:, None, None], joints3d, torch.nan)
        parts = with_axes_of(batch, joints3d=joints3d, probabilities=probabilities, points=points)
        return VolumePose(**parts, views=instants[1])

    def losses(self, predicted: VolumePose, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute error in cm, and how improbable the true cells are [Iskakov19 eq. 16].

        With a single view, joints are compared relative to the root, whose own place the view cannot tell."""
        truth = batch.joints3d
        known = (truth.isfinite() & predicted.joints3d.isfinite()).all(dim=-1)
        truth = torch.where(known[..., None], truth, 0.0)
        found = torch.where(known[..., None], predicted.joints3d, 0.0)
        gap = found - truth
        if predicted.views == 1:
            others = torch.arange(gap.shape[-2], device=gap.device) != self.root
            rooted = known[..., self.root, None, None] & others[:, None]
            gap = gap - torch.where(rooted, gap[..., self.root, None, :], 0.0)
        gap = torch.where(known[..., None], gap, 0.0)
        absolute = CENTIMETRES * gap.abs().sum() / (3 * known.sum()).clamp_min(1)
        cell = nearest_cell(predicted.points, truth)
        chance = predicted.probabilities.flatten(-3).take_along_dim(cell[..., None], dim=-1)[..., 0]
        unlikely = torch.where(known, -(chance + 1e-6).log(), 0.0).mean()
        return {"absolute": absolute, "cell": self.config.cell_weight * unlikely}

    # --- inside ----------------------------------------------------------------------------------

    @property
    def _aggregate(self) -> Literal["sum", "max", "softmax"]:
        kind = self.config.aggregation
        return "sum" if kind in ("conf", "conf_norm") else kind  # type: ignore[return-value]  # mypy keeps all five

    def _weights(
        self, confidences: Float[Tensor, "images channels"] | None, there: Bool[Tensor, "instants views"]
    ) -> Float[Tensor, "instants views channels"] | None:
        if confidences is None:
            return None
        weights = confidences.unflatten(0, there.shape) * there[..., None]
        if self.config.aggregation == "conf_norm":
            weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(1e-9)
        return weights

    def _volume(
        self,
        features: Float[Tensor, "instants views channels height width"],
        projections: Float[Tensor, "instants views 3 4"],
        points: Float[Tensor, "instants x y z 3"],
        weights: Float[Tensor, "instants views channels"] | None,
        there: Bool[Tensor, "instants views"],
    ) -> Float[Tensor, "instants channels x y z"]:
        """Features of the views that are there; the reference would count an absent one as zeros."""
        released_numerics = self.config.released_numerics
        if not released_numerics or bool(there.all()):
            return unproject(
                features, projections, points, self._aggregate, weights, released_numerics=released_numerics
            )
        volumes = []
        for one, seen in enumerate(there | ~there.any(dim=1, keepdim=True)):
            trust = None if weights is None else weights[one, seen]
            here = features[one, seen], projections[one, seen], points[one]
            volumes.append(unproject(*here, self._aggregate, trust, released_numerics=True))
        return torch.stack(volumes)

    def _base(self, batch: MultiView) -> Float[Tensor, "instants 3"]:
        labels = self.config.base == "labels"
        base = batch.joints3d[..., self.root, :] if labels else batch.base_point
        base = base.reshape(-1, 3)
        jitter = self.config.base_jitter if self.training else 0.0
        return base + jitter * torch.randn_like(base) if jitter else base

    def _points(self, base: Float[Tensor, "instants 3"]) -> Float[Tensor, "instants x y z 3"]:
        turn = None
        if self.training and self.config.rotate:
            turn = 2 * math.pi * torch.rand(len(base), device=base.device)
        return cuboid(base, self.config.side, self.config.cells, turn, self.config.vertical)
