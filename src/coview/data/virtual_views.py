"""Poses seen by virtual cameras, from which a lifter learns new viewpoints. ours

Detectors have a characteristic error. A virtual view therefore takes its 2D errors and confidences, joint by joint,
from a real view of the same batch: the differences between its detections and the projected pose.
"""

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.procedural_motion import Kind, random_motion
from coview.cameras import Cameras
from coview.data.viewpoints import look_at
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import H36M_17, Skeleton, skeleton_map

READS = frozenset({"joints2d", "confidence", "image_size", "pseudo3d", "pseudo_cameras"})
# fields that a virtual view cannot have
_REAL = frozenset({"images", "cameras", "first_guess", "labelled2d"})
# fields of generated instants
_LABELS = READS | {"pseudo_covariance"}
# motions of the generated people, in turn
_POOL: tuple[Kind, ...] = ("random", "random", "mixed", "gait")
# number of generated people, poses of each, poses per second of motion
_PEOPLE, _POSES, _FPS = 24, 250, 3.0
# m²: variance of generated labels
_SURE = 1e-8


@dataclass(frozen=True)
class VirtualViews:
    """Number and placement of virtual cameras: uniform within bounds around a person who stands on z = 0."""

    # virtual views per instant, added to the real ones; 0: none
    count: int = 0
    # instants of generated people per batch, seen by virtual cameras only, for recordings with few poses. With any,
    # batches keep only the fields of pseudo-labels
    generated: int = 0
    # least and largest horizontal distance from the root joint, metres
    distance: tuple[float, float] = (2.5, 7.0)
    # least and largest height above the floor, metres
    height: tuple[float, float] = (0.3, 3.0)
    # standard deviation of the roll, radians
    roll: float = 0.03
    # standard deviation of the point that a camera looks at, about the root joint, metres
    aim: float = 0.2

    def __post_init__(self) -> None:
        if min(self.count, self.generated) < 0:
            raise InputError(
                f"VirtualViews: count (views per instant) and generated (instants) are 0 or more, got {self.count} "
                f"and {self.generated}."
            )
        if self.generated and not self.count:
            raise InputError(
                "VirtualViews: generated people need virtual views to be seen by; set count to 1 or more."
            )
        if not 0 < self.distance[0] <= self.distance[1] or not self.height[0] <= self.height[1]:
            raise InputError(
                f"VirtualViews: distance and height are (least, most) in metres, distance above 0; got "
                f"{self.distance} and {self.height}."
            )
        if min(self.roll, self.aim) < 0:
            raise InputError(f"VirtualViews: roll and aim are 0 or more, got {self.roll} and {self.aim}.")

    def extended(self, batch: MultiView) -> MultiView:
        """The batch with `count` virtual views per instant, then `generated` instants.

        Draws from torch's global generator. Fields that only real views have (images, true cameras) are left out. A
        joint is missing where it is missing in the view whose errors are taken, unknown in the pose, behind the camera
        or outside the image. Joints that generated people lack are missing in all their views.

        Args:
            batch: with the fields `READS`."""
        if not self.count:
            return batch
        cameras = self._cameras(batch.pseudo3d, batch, self.count)
        seen, confidence = _seen(batch.pseudo3d, cameras, batch)
        wider = batch.only(batch.fields - _REAL).replaced(
            joints2d=torch.cat([batch.joints2d, seen], dim=-3),
            confidence=torch.cat([batch.confidence, confidence], dim=-2),
            image_size=torch.cat([batch.image_size, cameras.size], dim=-2),
            pseudo_cameras=_joined(batch.pseudo_cameras, cameras, 1),
        )
        return self._with_generated(wider, batch) if self.generated else wider

    def _with_generated(self, wider: MultiView, batch: MultiView) -> MultiView:
        """Adds instants of generated people; detection errors and intrinsics are those of `batch`."""
        pool = _generated(batch.skeleton).to(batch.pseudo3d)
        pose = pool[torch.randint(len(pool), (self.generated,), device=pool.device)]
        cameras = self._cameras(pose, batch, wider.joints2d.shape[1])
        seen, confidence = _seen(pose, cameras, batch)
        own = {"joints2d": seen, "confidence": confidence, "image_size": cameras.size, "pseudo3d": pose}
        if "pseudo_covariance" in wider.fields:
            sure = _SURE * torch.eye(3).to(pose)
            valid = pose.isfinite().all(dim=-1)[..., None, None]
            own["pseudo_covariance"] = torch.where(valid, sure, torch.nan)
        longer = {name: torch.cat([wider.stored(name), part]) for name, part in own.items()}
        both = _joined(wider.pseudo_cameras, cameras, 0)
        return wider.only(_LABELS).replaced(**longer, pseudo_cameras=both)

    def _cameras(self, pose: Float[Tensor, "instants joints 3"], batch: MultiView, count: int) -> Cameras:
        """Virtual cameras, instants × count, with the intrinsics and image size of random real views."""
        many = len(pose), count
        azimuth, far, high = torch.rand(3, *many, device=pose.device)
        root = _root(pose, batch.skeleton.root_index)[:, None]
        far = self.distance[0] + (self.distance[1] - self.distance[0]) * far
        high = self.height[0] + (self.height[1] - self.height[0]) * high
        aside = torch.stack(
            [far * (2 * math.pi * azimuth).cos(), far * (2 * math.pi * azimuth).sin()], dim=-1
        )
        centre = torch.cat([root[..., :2] + aside, high[..., None]], dim=-1)
        target = root + self.aim * torch.randn(*many, 3, device=pose.device)
        roll = self.roll * torch.randn(*many, device=pose.device)
        placed = look_at(centre, target, roll, torch.ones_like(roll), (1, 1))
        instants, views = batch.pseudo_cameras.size.shape[:2]
        instant, view = (torch.randint(most, many, device=pose.device) for most in (instants, views))
        lens = batch.pseudo_cameras[instant, view]
        return Cameras.make(lens.intrinsics, placed.cam_from_world, lens.size)


@functools.cache
def _generated(skeleton: Skeleton) -> Float[Tensor, "poses joints 3"]:
    """Poses of generated people of different stature; metres, feet on the floor, z up. Deterministic.

    Joints that H36M_17 does not give, such as eyes and heels, are NaN."""
    poses = []
    for person in range(_PEOPLE):
        stature = 1.5 + 0.45 * person / (_PEOPLE - 1)
        kind = _POOL[person % len(_POOL)]
        poses.append(random_motion(_POSES, fps=_FPS, seed=person, kind=kind, stature=stature))
    return skeleton_map(H36M_17, skeleton, partial=True).apply(torch.cat(poses))


def _root(pose: Float[Tensor, "instants joints 3"], root: int) -> Float[Tensor, "instants 3"]:
    """The root joint; where unknown, the mean of the known joints; 1 m above the origin where none is."""
    nothing = pose.new_tensor([0.0, 0.0, 1.0])
    middle = pose.nanmean(dim=-2)
    middle = torch.where(middle.isfinite(), middle, nothing)
    return torch.where(pose[..., root, :].isfinite(), pose[..., root, :], middle)


def _seen(pose: Float[Tensor, "poses joints 3"], cameras: Cameras, batch: MultiView) -> tuple[Tensor, Tensor]:
    """Pixels (NaN: not detected) and confidences in virtual views, with the errors of random real ones."""
    true = cameras.project(pose[:, None])
    real = batch.pseudo_cameras.project(batch.pseudo3d[:, None])
    error = (batch.joints2d - real) / _extent(real)[..., None, None]
    instants, views = error.shape[:2]
    shape = true.shape[:2]
    instant, view = (torch.randint(most, shape, device=error.device) for most in (instants, views))
    seen = true + error[instant, view] * _extent(true)[..., None, None]
    # NaN is outside
    inside = ((seen >= -0.5) & (seen <= cameras.size[..., None, :] - 0.5)).all(dim=-1)
    confidence = torch.where(inside, batch.confidence[instant, view], 0.0)
    return torch.where((confidence > 0)[..., None], seen, torch.nan), confidence


def _extent(pixels: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch"]:
    """RMS distance in pixels of the known joints from their mean; NaN without any."""
    off = pixels - pixels.nanmean(dim=-2, keepdim=True)
    return off.square().sum(dim=-1).nanmean(dim=-1).sqrt()


def _joined(first: Cameras, second: Cameras, dim: int) -> Cameras:
    """Cameras concatenated along an axis of the batch."""
    pairs = {name: (part, getattr(second, name)) for name, part in vars(first).items()}
    return Cameras(**{name: torch.cat([a, b.to(a.dtype)], dim=dim) for name, (a, b) in pairs.items()})
