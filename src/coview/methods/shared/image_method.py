"""Base of the methods that read images: settings, checks of the crops, and the backbone over every view."""

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

# mean and standard deviation of ImageNet's red, green and blue; the released weights were trained with them applied
# to blue, green and red
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# centimetres per metre: the unit of the losses
CENTIMETRES = 100.0


@dataclass(frozen=True)
class ImageConfig(MethodConfig):
    """Settings that every method on images has; defaults are the paper's [Iskakov19]."""

    # number of layers of the ResNet: 18, 34, 50, 101 or 152
    depth: Depth = 152
    # longer side of the crops in pixels, in training and prediction; a multiple of 32
    size: int = 384
    # channels of the ResNet's first stage; fewer than the usual 64 make a small network
    trunk: int = 64
    # channels of the three deconvolutions, and of the features that they give
    deconv: int = 256
    # whether to repeat the numerics of the released code to the last digit: BGR, no half pixel, DLT without
    # conditioning in millimetres, confidences pooled over whole windows; for weights that were trained so. The default
    # is geometrically right and takes RGB
    released_numerics: bool = False
    # least number of views of a training batch, which are drawn at random; 0: all views
    fewest_views: int = 0
    # whether activations are computed again for the gradients: half the memory, a third slower
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
        """Whether the network's input is ordered blue, green, red, as the released weights of [Iskakov19] need it."""
        return self.released_numerics


@dataclass(frozen=True)
class Views:
    """Images and cameras of a batch with all leading axes joined into one."""

    # RGB in [0, 1]
    images: Float[Tensor, "instants views 3 height width"]
    # instants × views; NaN in the matrices of a view that an instant lacks
    cameras: Cameras

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the images in pixels."""
        return self.images.shape[-1], self.images.shape[-2]

    def projections(self) -> tuple[Float[Tensor, "instants views 3 4"], Bool[Tensor, "instants views"]]:
        """Projection matrices (pixels from world metres), and which views are present; finite for absent views too."""
        projections = self.cameras.pixels_from_world
        there = projections.isfinite().all(dim=-1).all(dim=-1)
        return torch.where(there[..., None, None], projections, torch.eye(3, 4).to(projections)), there


P = TypeVar("P", bound=WorldPose | CameraPoses)


class ImageMethod(Method[P], Generic[P]):
    """A method that runs one backbone over every view of every instant.

    Args:
        config: Settings that all methods on images share.
        skeleton: Joints of the poses.
        algebraic: Whether the backbone gives a confidence per joint, for algebraic triangulation.
        volumetric: Number of confidences per image for volumetric triangulation; 0: none.
        maps_per_joint: Channels of the output per joint: more than 1 where they are the layers of a volume.
    """

    inputs = frozenset({"images", "cameras"})
    supervision = frozenset({"joints3d"})

    def __init__(
        self,
        config: ImageConfig,
        skeleton: Skeleton,
        *,
        algebraic: bool = False,
        volumetric: int = 0,
        maps_per_joint: int = 1,
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
            released_numerics=config.released_numerics,
        )

    def views(self, batch: MultiView) -> Views:
        """Images and cameras with instants along one axis; in training with `fewest_views` of randomly chosen views.

        Args:
            batch: `images` and `cameras`.

        Raises:
            InputError: Cameras have lens distortion; crops must come from undistorted images.
        """
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
        """The backbone's maps for every image.

        Args:
            images: RGB in [0, 1].

        Returns:
            Maps with instants × views along the first axis.

        Raises:
            InputError: The longer side is not `size` pixels, or a side is no multiple of 32.
        """
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
        """Pixels of the crops from map cells (column, row)."""
        stride = map_stride(views.size, (maps.heatmaps.shape[-1], maps.heatmaps.shape[-2]))
        pixels = image_pixels(cells, stride, half_pixel=not self.config.released_numerics)
        return pixels.unflatten(0, views.images.shape[:2])

    def _normalised(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n 3 height width"]:
        mean, std = (images.new_tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
        return ((images.flip(1) if self.config.bgr else images) - mean) / std


def with_axes_of(batch: MultiView, **parts: Tensor) -> dict[str, Tensor]:
    """Tensors with one leading axis of instants, reshaped to the leading axes of a batch.

    Args:
        batch: Its `images` give the axes.
        parts: Fields of a prediction, instants first.
    """
    axes = batch.stored("images").shape[:-4]
    return {name: part.reshape(*axes, *part.shape[1:]) for name, part in parts.items()}
