"""What methods share that find poses in images: crops in, a network's maps and the cameras of these maps out."""

from dataclasses import dataclass
from typing import Generic, TypeVar, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.methods.shared.base import CameraPoses, Method, MethodConfig, WorldPose
from coview.networks.backbone import Depth, Maps, PoseResNet
from coview.representations.heatmaps import image_pixels, map_stride
from coview.sample import MultiView
from coview.skeletons import Skeleton

# Of ImageNet's red, green and blue. The released weights were trained with them applied to blue, green and red.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# per metre: the unit of the losses
CENTIMETRES = 100.0


@dataclass(frozen=True)
class ImageConfig(MethodConfig):
    """Settings that every method on images has; defaults are the paper's [Iskakov19]."""

    # of the ResNet
    depth: Depth = 152
    # pixels of the longer side of a crop, in training and ever after
    size: int = 384
    # channels of the ResNet's first stage; fewer than everybody's 64 make it small
    trunk: int = 64
    # channels of the three deconvolutions, and of the features
    deconv: int = 256
    # the released numerics to the last digit: BGR, no half pixel, DLT without conditioning in millimetres;
    # for weights that were trained so. The default is geometrically right and takes RGB
    released_numerics: bool = False
    # in training, every batch has a random choice of at least so many views; 0: all views
    fewest_views: int = 0
    # activations are computed again when gradients are: half the memory, a third slower
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.depth not in get_args(Depth):
            raise InputError(f"{type(self).__name__}: depth is 18, 34, 50, 101 or 152, got {self.depth}.")
        if self.size < 32 or self.size % 32:
            raise InputError(
                f"{type(self).__name__}: size is in pixels, a multiple of 32 (the network's coarsest "
                f"step), got {self.size}."
            )
        if min(self.trunk, self.deconv) < 1 or self.fewest_views < 0:
            raise InputError(
                f"{type(self).__name__}: trunk and deconv must be at least 1 and fewest_views 0 or more, "
                f"got {self.trunk}, {self.deconv} and {self.fewest_views}."
            )

    @property
    def bgr(self) -> bool:
        """Whether the network is shown blue, green, red: the released weights of [Iskakov19] want it."""
        return self.released_numerics


@dataclass(frozen=True)
class Views:
    """What a method on images reads, its leading axes made one."""

    # RGB in [0, 1]
    images: Float[Tensor, "instants views 3 height width"]
    # instants × views; NaN in the matrices of a view that an instant lacks
    cameras: Cameras

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images in pixels."""
        return self.images.shape[-1], self.images.shape[-2]

    def projections(self) -> tuple[Float[Tensor, "instants views 3 4"], Bool[Tensor, "instants views"]]:
        """Pixels from metres, and which views there are; something finite for those that are absent."""
        projections = self.cameras.pixels_from_world
        there = projections.isfinite().all(dim=-1).all(dim=-1)
        return torch.where(there[..., None, None], projections, torch.eye(3, 4).to(projections)), there


P = TypeVar("P", bound=WorldPose | CameraPoses)


class ImageMethod(Method[P], Generic[P]):
    """Runs the backbone over every view of every instant."""

    inputs = frozenset({"images", "cameras"})
    supervision = frozenset({"joints3d"})

    def __init__(
        self,
        config: ImageConfig,
        skeleton: Skeleton,
        *,
        algebraic: bool = False,
        volumetric: int = 0,
        maps_per_joint: int = 1,  # more where the maps of a joint are the layers of a volume
    ) -> None:
        super().__init__()
        self.config, self.root = config, skeleton.root_index
        self.backbone = PoseResNet(
            config.depth,
            len(skeleton) * maps_per_joint,
            algebraic=algebraic,
            volumetric=volumetric,
            deconv=config.deconv,
            trunk=config.trunk,
            checkpointing=config.checkpointing,
        )

    def views(self, batch: MultiView) -> Views:
        """Images and cameras along one axis; in training, where the settings say so, of some views alone.

        ValueError for distorted cameras: a crop must come from a perfect lens."""
        images, cameras = batch.images, batch.cameras
        if bool((cameras.distortion != 0).any() | cameras.fisheye.any()):
            raise InputError(
                f"{type(self).__name__}: these cameras have lens distortion, and it works on images without. "
                f"Undistort the images, and give `cameras.without_distortion()`."
            )
        views = images.shape[-4]
        images, cameras = images.reshape(-1, *images.shape[-4:]), cameras.reshape(-1, views)
        if self.training and 0 < self.config.fewest_views < views:
            count = int(torch.randint(self.config.fewest_views, views + 1, ()))
            chosen = torch.randperm(views)[:count].sort().values.to(images.device)
            images, cameras = images[:, chosen], cameras[:, chosen]
        return Views(images, cameras)

    def maps(self, images: Float[Tensor, "instants views 3 height width"]) -> Maps:
        """The network's answer for every image, instants × views along the first axis.

        ValueError for images of another size than the method was built for, or whose sides are no multiples of 32."""
        height, width = images.shape[-2:]
        if height % 32 or width % 32:
            raise InputError(
                f"{type(self).__name__}: the crops are {width} × {height} pixels; both must be multiples of 32, "
                f"or its maps would cover more than the image."
            )
        if max(height, width) != self.config.size:
            raise InputError(
                f"{type(self).__name__}: the crops are {width} × {height} pixels, and this model was built for a "
                f"longer side of {self.config.size}: a person of another size looks different to it. "
                f"Set the data's size to {self.config.size}, or method.size to {max(height, width)} and train again."
            )
        maps: Maps = self.backbone(self._normalised(images.flatten(0, 1)))
        return maps

    def _pixels(
        self, cells: Float[Tensor, "images joints 2"], views: Views, maps: Maps
    ) -> Float[Tensor, "instants views joints 2"]:
        """Places in the maps as pixels of the crops."""
        stride = map_stride(views.size, (maps.heatmaps.shape[-1], maps.heatmaps.shape[-2]))
        pixels = image_pixels(cells, stride, half_pixel=not self.config.released_numerics)
        return pixels.unflatten(0, views.images.shape[:2])

    def _normalised(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n 3 height width"]:
        mean, spread = (images.new_tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
        return ((images.flip(1) if self.config.bgr else images) - mean) / spread


def with_axes_of(batch: MultiView, **parts: Tensor) -> dict[str, Tensor]:
    """Parts of a prediction, which have one leading axis, with the leading axes of the batch."""
    axes = batch.stored("images").shape[:-4]
    return {name: part.reshape(*axes, *part.shape[1:]) for name, part in parts.items()}
