"""Batches varied at random, so that a small data set teaches more."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from coview.cameras import Cameras
from coview.sample import MultiView


@dataclass(frozen=True)
class Augment:
    """What is varied while training, as a value: part of a recipe. Off by default, like in the papers."""

    mirror: float = 0.0  # share of instants that are shown as a mirror would show them

    def __post_init__(self) -> None:
        if not 0 <= self.mirror <= 1:
            raise ValueError(f"Augment: mirror is a share, 0 to 1, got {self.mirror}.")

    @property
    def reads(self) -> frozenset[str]:
        """Fields needed besides those that the method reads."""
        return frozenset({"image_size"}) if self.mirror else frozenset()

    def __call__(self, batch: MultiView) -> MultiView:
        """The batch, varied; draws from torch's global generator."""
        if not self.mirror:
            return batch
        field = min(batch.known - {"cameras"})  # every field counts the same instants
        some = getattr(batch, field)
        return mirrored(batch, torch.rand(len(some), device=some.device) < self.mirror)


def mirrored(batch: MultiView, chosen: Bool[Tensor, "batch"]) -> MultiView:
    """The batch with some instants as a mirror shows them: another person, before other cameras.

    Images are flipped sideways, left joints become right ones, the 3D world is reflected in x and the
    cameras with it, so that labels and pixels still agree. A mirrored rig has other relative rotations:
    it gets a number of its own. Needs `image_size` where there are 2D joints.
    NotImplementedError for lenses with distortion, whose tangential part would have to change."""
    swap = list(batch.skeleton.mirror)
    new: dict[str, Tensor] = {}
    if "joints2d" in batch.known:
        flipped = batch.joints2d[..., swap, :]
        width = batch.image_size[..., None, 0]
        new["joints2d"] = torch.stack([width - 1 - flipped[..., 0], flipped[..., 1]], dim=-1)
    if "confidence" in batch.known:
        new["confidence"] = batch.confidence[..., swap]
    if "images" in batch.known:
        new["images"] = batch.images.flip(-1)
    if "joints3d" in batch.known:
        new["joints3d"] = batch.joints3d[..., swap, :] * batch.joints3d.new_tensor([-1.0, 1.0, 1.0])
    if "base_point" in batch.known:
        new["base_point"] = batch.base_point * batch.base_point.new_tensor([-1.0, 1.0, 1.0])
    if "rig" in batch.known:
        new["rig"] = -1 - batch.rig  # rigs count from 0
    merged = {name: _where(chosen, value, getattr(batch, name)) for name, value in new.items()}
    cameras = {"cameras": _mirrored_cameras(batch.cameras, chosen)} if "cameras" in batch.known else {}
    return batch.replaced(**merged, **cameras)


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def _mirrored_cameras(cameras: Cameras, chosen: Tensor) -> Cameras:
    """Cameras whose image of the reflected world is the flipped image."""
    # A GPU is waited for here, once a batch, and only for methods that read cameras: the Learner hides them
    # from all others, which the self-supervised ones are.
    if bool((cameras.distortion != 0).any()):
        raise NotImplementedError("mirroring cameras with lens distortion is not there; undistort first.")
    sign = cameras.cam_from_world.new_tensor([-1.0, 1.0, 1.0])
    pose = cameras.cam_from_world * sign[:, None]  # x of the camera
    pose = torch.cat([pose[..., :3] * sign, pose[..., 3:]], dim=-1)  # x of the world
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., 0, 2] = cameras.size[..., 0] - 1 - intrinsics[..., 0, 2]
    intrinsics[..., 0, 1] = -intrinsics[..., 0, 1]  # skew
    return replace(
        cameras,
        intrinsics=_where(chosen, intrinsics, cameras.intrinsics),
        cam_from_world=_where(chosen, pose, cameras.cam_from_world),
    )
