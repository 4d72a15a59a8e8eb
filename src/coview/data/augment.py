"""Random augmentation of batches."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from coview.cameras import Cameras
from coview.data.augment_images import UNVARIED, ImageAugment
from coview.data.virtual_views import READS, VirtualViews
from coview.errors import InputError
from coview.sample import MultiView

_CAMERAS = frozenset({"cameras", "pseudo_cameras"})
# reflection in the plane x = 0
_SIDEWAYS = (-1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Augment:
    """What is varied in training. Off by default, as in the papers."""

    # share of instants that are reflected
    mirror: float = 0.0
    # virtual views of pseudo-labels, added to the real views
    virtual: VirtualViews = field(default_factory=VirtualViews)
    # rotation, scale, colour and occlusion of images
    images: ImageAugment = UNVARIED

    def __post_init__(self) -> None:
        if not 0 <= self.mirror <= 1:
            raise InputError(f"Augment: mirror is a share, 0 to 1, got {self.mirror}.")

    @property
    def reads(self) -> frozenset[str]:
        """Fields needed besides those that the method reads."""
        read = READS if self.virtual.count else frozenset()
        return read | {"image_size"} if self.mirror else read

    def __call__(self, batch: MultiView) -> MultiView:
        """The augmented batch; draws from torch's global generator."""
        batch = self.virtual.extended(batch)
        if self.mirror:
            # every field counts the same instants
            any_field = min(batch.fields - _CAMERAS)
            some = batch.stored(any_field)
            batch = mirrored(batch, torch.rand(len(some), device=some.device) < self.mirror)
        return self.images(batch) if self.images.active else batch


def mirrored(batch: MultiView, chosen: Bool[Tensor, "batch"]) -> MultiView:
    """The batch with some instants reflected.

    Images are flipped horizontally, left and right joints exchanged, the 3D world is reflected in x and the cameras
    with it, so that labels and pixels still agree. A reflected rig has other relative rotations and a reflected person
    is
    another one: rig, subject and sequence get new numbers.

    Args:
        batch: needs `image_size` where there are 2D joints.
        chosen: instants to reflect."""
    swap = list(batch.skeleton.mirror)
    new: dict[str, Tensor] = {}
    if "joints2d" in batch.fields:
        flipped = batch.joints2d[..., swap, :]
        width = batch.image_size[..., None, 0]
        new["joints2d"] = torch.stack([width - 1 - flipped[..., 0], flipped[..., 1]], dim=-1)
    if "confidence" in batch.fields:
        new["confidence"] = batch.confidence[..., swap]
    if "images" in batch.fields:
        new["images"] = batch.images.flip(-1)
    for name in {"joints3d", "pseudo3d", "first_guess"} & batch.fields:
        pose = batch.stored(name)
        new[name] = pose[..., swap, :] * pose.new_tensor(_SIDEWAYS)
    if "pseudo_covariance" in batch.fields:
        flip = batch.pseudo_covariance.new_tensor(_SIDEWAYS)
        new["pseudo_covariance"] = batch.pseudo_covariance[..., swap, :, :] * flip * flip[:, None]
    if "base_point" in batch.fields:
        new["base_point"] = batch.base_point * batch.base_point.new_tensor(_SIDEWAYS)
    for name in {"rig", "subject", "sequence"} & batch.fields:
        # they count from 0
        new[name] = -1 - batch.stored(name)
    merged = {name: _where(chosen, value, getattr(batch, name)) for name, value in new.items()}
    cameras = {name: _mirrored_cameras(batch.stored(name), chosen) for name in _CAMERAS & batch.fields}
    return batch.replaced(**merged, **cameras)


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _mirrored_cameras(cameras: Cameras, chosen: Tensor) -> Cameras:
    """Cameras whose image of the reflected world is the flipped image.

    Of the distortion only the tangential term along x (p2 of [Brown66]) changes sign."""
    sign = cameras.cam_from_world.new_tensor(_SIDEWAYS)
    # x of the camera
    pose = cameras.cam_from_world * sign[:, None]
    # x of the world
    pose = torch.cat([pose[..., :3] * sign, pose[..., 3:]], dim=-1)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., 0, 2] = cameras.size[..., 0] - 1 - intrinsics[..., 0, 2]
    # skew
    intrinsics[..., 0, 1] = -intrinsics[..., 0, 1]
    distortion = cameras.distortion.clone()
    distortion[..., 3] = torch.where(cameras.fisheye, distortion[..., 3], -distortion[..., 3])
    return replace(
        cameras,
        intrinsics=_where(chosen, intrinsics, cameras.intrinsics),
        cam_from_world=_where(chosen, pose, cameras.cam_from_world),
        distortion=_where(chosen, distortion, cameras.distortion),
    )
