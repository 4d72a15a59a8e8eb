"""Known poses as cameras that do not exist would see them: what a lifter learns new viewpoints from. ours

Detectors err in their own way. So a virtual view takes its errors and confidences, joint by joint, from a real
view of the same batch: how far the detections lie there from where the pose is seen.
"""

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.procedural_motion import Kind, random_motion
from coview.cameras import Cameras
from coview.data.viewpoints import looking
from coview.errors import InputError
from coview.sample import MultiView
from coview.skeletons import H36M_17, Skeleton, skeleton_map

READS = frozenset({"joints2d", "confidence", "image_size", "pseudo3d", "pseudo_cameras"})
_REAL = frozenset(
    {"images", "cameras", "first_guess", "labelled2d"}
)  # what a view that does not exist cannot have
_LABELS = READS | {"pseudo_covariance"}  # all that an instant which does not exist has
_POOL: tuple[Kind, ...] = ("random", "random", "mixed", "gait")  # of generated people, one after another
_PEOPLE, _POSES, _FPS = 24, 250, 3.0  # of them; poses of each; poses per second of their movement
_SURE = 1e-8  # m²: variance of a generated label


@dataclass(frozen=True)
class VirtualViews:
    """How many, and where their cameras stand: uniform within these bounds around a person who stands at z = 0."""

    count: int = 0  # per instant, beside the real views; 0: none
    # Instants of generated people in every batch, whom virtual cameras alone see, for a recording that shows few
    # poses. Where there are any, batches keep no fields but those of pseudo-labels
    generated: int = 0
    distance: tuple[float, float] = (2.5, 7.0)  # metres along the floor from the root joint
    height: tuple[float, float] = (0.3, 3.0)  # metres above the floor
    roll: float = 0.03  # radians, standard deviation
    aim: float = 0.2  # metres, standard deviation of where a camera looks, about the root joint

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

    def beside(self, batch: MultiView) -> MultiView:
        """The batch with `count` more views per instant, then `generated` instants.

        Draws from torch's global generator. Needs the fields `READS`; what only real views have (images, true cameras)
        is left out. A joint is missing where it is in the view whose errors are taken, where the pose does not know
        it, behind the camera and outside the image. Joints that generated people lack are missing in all their
        views."""
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
        """More instants, of other people; errors and lenses are those of `batch`."""
        pool = _generated(batch.skeleton).to(batch.pseudo3d)
        pose = pool[torch.randint(len(pool), (self.generated,), device=pool.device)]
        cameras = self._cameras(pose, batch, wider.joints2d.shape[1])
        seen, confidence = _seen(pose, cameras, batch)
        own = {"joints2d": seen, "confidence": confidence, "image_size": cameras.size, "pseudo3d": pose}
        if "pseudo_covariance" in wider.fields:
            sure = _SURE * torch.eye(3).to(pose)
            known = pose.isfinite().all(dim=-1)[..., None, None]
            own["pseudo_covariance"] = torch.where(known, sure, torch.nan)
        longer = {name: torch.cat([wider.stored(name), part]) for name, part in own.items()}
        both = _joined(wider.pseudo_cameras, cameras, 0)
        return wider.only(_LABELS).replaced(**longer, pseudo_cameras=both)

    def _cameras(self, pose: Float[Tensor, "instants joints 3"], batch: MultiView, count: int) -> Cameras:
        """Instants × count around the poses; each has the lens and the image of a random real view of the batch."""
        many = len(pose), count
        turn, far, high = torch.rand(3, *many, device=pose.device)
        root = _root(pose, batch.skeleton.root_index)[:, None]
        far = self.distance[0] + (self.distance[1] - self.distance[0]) * far
        high = self.height[0] + (self.height[1] - self.height[0]) * high
        aside = torch.stack([far * (2 * math.pi * turn).cos(), far * (2 * math.pi * turn).sin()], dim=-1)
        centre = torch.cat([root[..., :2] + aside, high[..., None]], dim=-1)
        target = root + self.aim * torch.randn(*many, 3, device=pose.device)
        roll = self.roll * torch.randn(*many, device=pose.device)
        placed = looking(centre, target, roll, torch.ones_like(roll), (1, 1))
        instants, views = batch.pseudo_cameras.size.shape[:2]
        instant, view = (torch.randint(most, many, device=pose.device) for most in (instants, views))
        lens = batch.pseudo_cameras[instant, view]
        return Cameras.make(lens.intrinsics, placed.cam_from_world, lens.size)


@functools.cache
def _generated(skeleton: Skeleton) -> Float[Tensor, "poses joints 3"]:
    """Poses of generated people of different stature; metres, feet on the floor, z up. Always the same.

    They have the joints of H36M_17: of others, such as eyes and heels, NaN."""
    poses = []
    for person in range(_PEOPLE):
        stature = 1.5 + 0.45 * person / (_PEOPLE - 1)
        kind = _POOL[person % len(_POOL)]
        poses.append(random_motion(_POSES, fps=_FPS, seed=person, kind=kind, stature=stature))
    return skeleton_map(H36M_17, skeleton, partial=True).apply(torch.cat(poses))


def _root(pose: Float[Tensor, "instants joints 3"], root: int) -> Float[Tensor, "instants 3"]:
    """The root joint; where it is not known, the middle of what is; 1 m above the origin where nothing is."""
    nothing = pose.new_tensor([0.0, 0.0, 1.0])
    middle = pose.nanmean(dim=-2)
    middle = torch.where(middle.isfinite(), middle, nothing)
    return torch.where(pose[..., root, :].isfinite(), pose[..., root, :], middle)


def _seen(pose: Float[Tensor, "poses joints 3"], cameras: Cameras, batch: MultiView) -> tuple[Tensor, Tensor]:
    """Pixels (NaN: not seen) and confidences of poses in virtual views, with the errors of random real ones."""
    true = cameras.project(pose[:, None])
    real = batch.pseudo_cameras.project(batch.pseudo3d[:, None])
    error = (batch.joints2d - real) / _extent(real)[..., None, None]
    instants, views = error.shape[:2]
    shape = true.shape[:2]
    instant, view = (torch.randint(most, shape, device=error.device) for most in (instants, views))
    seen = true + error[instant, view] * _extent(true)[..., None, None]
    inside = ((seen >= -0.5) & (seen <= cameras.size[..., None, :] - 0.5)).all(dim=-1)  # NaN is outside
    confidence = torch.where(inside, batch.confidence[instant, view], 0.0)
    return torch.where((confidence > 0)[..., None], seen, torch.nan), confidence


def _extent(pixels: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch"]:
    """Size of a person in the picture: RMS distance of the known joints from their mean, pixels; NaN without."""
    off = pixels - pixels.nanmean(dim=-2, keepdim=True)
    return off.square().sum(dim=-1).nanmean(dim=-1).sqrt()


def _joined(first: Cameras, second: Cameras, dim: int) -> Cameras:
    """One after the other along an axis of the batch."""
    pairs = {name: (part, getattr(second, name)) for name, part in vars(first).items()}
    return Cameras(**{name: torch.cat([a, b.to(a.dtype)], dim=dim) for name, (a, b) in pairs.items()})
