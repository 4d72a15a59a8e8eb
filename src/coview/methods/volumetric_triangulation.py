"""Volumetric triangulation: features of all views unprojected into a cube of voxels around the person. [Iskakov19 §3.2]

A network with 3D convolutions processes the cube and learns a prior over bodies, so that one view can be enough. The
position of the person must be known roughly.
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
    """A pose, and the probabilities whose mean it is."""

    # probabilities of each joint over the cells of the cube; sum to 1
    probabilities: Float[Tensor, "*batch joints x y z"]
    # centres of the cells: metres, world frame
    points: Float[Tensor, "*batch x y z 3"]
    # number of views that were used
    views: int


@dataclass(frozen=True)
class VolumetricTriangulationConfig(ImageConfig):
    """The paper's settings [Iskakov19 §3.2, §4]; recipes choose smaller networks and fewer cells."""

    # how the volumes of all views become one; conf and conf_norm learn a weight per view and channel
    aggregation: Aggregation = "softmax"
    # cells along each side of the cube; divisible by 2 to the power of `levels`
    cells: int = 64
    # side of the cube in metres
    side: float = 2.5
    # channels of the features in the volume
    channels: int = 32
    # channels of the volume's network (V2V) at full resolution
    width: int = 32
    # how often that network halves the resolution
    levels: int = 5
    # width of its first convolution in cells; odd
    front_kernel: int = 7
    # factor on the volumes before their softmax
    multiplier: float = 1.0
    # whether the cube is rotated about the vertical by a random angle in training
    rotate: bool = True
    # axis of the world that is vertical
    vertical: Literal["z", "y"] = "z"
    # centre of the cube: the data's `base_point` (another method's prediction, or a reconstruction), or the labels'
    # root joint, in training and at test time
    base: Literal["point", "labels"] = "point"
    # standard deviation in metres, per axis, of the noise that is added to the centre in training
    base_jitter: float = 0.0
    # weight of the cross-entropy of the true cell; the paper's beta
    cell_weight: float = 0.01
    # learning rate of the backbone, as a multiple of the recipe's
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
    """Unprojection, aggregation over views, 3D convolutions, soft arg-max."""

    config: VolumetricTriangulationConfig

    def __init__(self, config: VolumetricTriangulationConfig, skeleton: Skeleton) -> None:
        learned = config.aggregation in ("conf", "conf_norm")
        super().__init__(config, skeleton, volumetric=config.channels if learned else 0)
        self.inputs = frozenset({"images", "cameras", "base_point" if config.base == "point" else "joints3d"})
        self.rates = {"backbone": config.backbone_rate}
        # its heat maps are not used
        self.backbone.final_layer.requires_grad_(False)
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
        """World poses from one view or more.

        Joints outside the cube cannot be found: the prediction stays inside.

        Args:
            batch: `images`, `cameras`, and `base_point` or `joints3d` (`base`).

        Returns:
            Poses in metres; NaN where the centre of the cube is not known.
        """
        views = self.views(batch)
        maps = self.maps(views.images)
        instants = views.images.shape[:2]
        features = self.process_features(maps.features).unflatten(0, instants)
        stride = map_stride(views.size, (features.shape[-1], features.shape[-2]))
        projections, there = views.projections()
        # all points are behind an absent camera
        projections = projections * there[..., None, None]
        projections = cells_from_world(projections, stride, half_pixel=not self.config.released_numerics)
        base = self._base(batch)
        valid = base.isfinite().all(dim=-1)
        points = self._points(torch.where(valid[:, None], base, 0.0))
        weights = self._weights(maps.volumetric, there)
        # large, and not needed while the volume is processed
        del maps
        volumes = [self._volume(features, projections, points, weights, there)]
        del features
        scores = self.volume_net(volumes[0]) if self.training else self.volume_net.consume(volumes)
        joints3d, probabilities = soft_argmax3d(scores, points, self.config.multiplier)
        joints3d = torch.where(valid[:, None, None], joints3d, torch.nan)
        parts = with_axes_of(batch, joints3d=joints3d, probabilities=probabilities, points=points)
        return VolumePose(**parts, views=instants[1])

    def losses(self, predicted: VolumePose, batch: MultiView) -> dict[str, Float[Tensor, ""]]:
        """Mean absolute error in cm, and cross-entropy of the true cells. [Iskakov19 eq. 16]

        With a single view, joints are compared relative to the root, whose own depth one view does not determine.

        Args:
            predicted: Poses and probabilities of all instants.
            batch: `joints3d`.

        Returns:
            `absolute`, centimetres, and `cell`, nats times its weight; joints that are not known do not count.
        """
        truth = batch.joints3d
        valid = (truth.isfinite() & predicted.joints3d.isfinite()).all(dim=-1)
        truth = torch.where(valid[..., None], truth, 0.0)
        found = torch.where(valid[..., None], predicted.joints3d, 0.0)
        gap = found - truth
        if predicted.views == 1:
            others = torch.arange(gap.shape[-2], device=gap.device) != self.root
            rooted = valid[..., self.root, None, None] & others[:, None]
            gap = gap - torch.where(rooted, gap[..., self.root, None, :], 0.0)
        gap = torch.where(valid[..., None], gap, 0.0)
        absolute = CENTIMETRES * gap.abs().sum() / (3 * valid.sum()).clamp_min(1)
        cell = nearest_cell(predicted.points, truth)
        chance = predicted.probabilities.flatten(-3).take_along_dim(cell[..., None], dim=-1)[..., 0]
        entropy = torch.where(valid, -(chance + 1e-6).log(), 0.0).mean()
        return {"absolute": absolute, "cell": self.config.cell_weight * entropy}

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
        """Features of the views that are present; the released code would include an absent one as zeros."""
        released_numerics = self.config.released_numerics
        if not released_numerics or bool(there.all()):
            return unproject(
                features, projections, points, self._aggregate, weights, released_numerics=released_numerics
            )
        volumes = []
        for one, seen in enumerate(there | ~there.any(dim=1, keepdim=True)):
            own = None if weights is None else weights[one, seen]
            here = features[one, seen], projections[one, seen], points[one]
            volumes.append(unproject(*here, self._aggregate, own, released_numerics=True))
        return torch.stack(volumes)

    def _base(self, batch: MultiView) -> Float[Tensor, "instants 3"]:
        labels = self.config.base == "labels"
        base = batch.joints3d[..., self.root, :] if labels else batch.base_point
        base = base.reshape(-1, 3)
        jitter = self.config.base_jitter if self.training else 0.0
        return base + jitter * torch.randn_like(base) if jitter else base

    def _points(self, base: Float[Tensor, "instants 3"]) -> Float[Tensor, "instants x y z 3"]:
        angle = None
        if self.training and self.config.rotate:
            angle = 2 * math.pi * torch.rand(len(base), device=base.device)
        return cuboid(base, self.config.side, self.config.cells, angle, self.config.vertical)
