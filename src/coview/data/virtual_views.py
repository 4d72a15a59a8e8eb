"""Known poses as cameras that do not exist would see them: what a lifter learns new viewpoints from. ours

Detectors err in their own way. So a virtual view takes its errors and confidences, joint by joint, from a real
view of the same batch: how far the detections lie there from where the pose is seen.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.viewpoints import looking
from coview.sample import MultiView

READS = frozenset({"joints2d", "confidence", "image_size", "pseudo3d", "pseudo_cameras"})
_REAL = frozenset({"images", "cameras", "first_guess"})  # what a view that does not exist cannot have


@dataclass(frozen=True)
class VirtualViews:
    """How many, and where their cameras stand: uniform within these bounds around a person who stands at z = 0."""

    count: int = 0  # per instant, beside the real views; 0: none
    distance: tuple[float, float] = (2.5, 7.0)  # metres along the floor from the root joint
    height: tuple[float, float] = (0.3, 3.0)  # metres above the floor
    roll: float = 0.03  # radians, standard deviation
    aim: float = 0.2  # metres, standard deviation of where a camera looks, about the root joint

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"VirtualViews: count is 0 or more views per instant, got {self.count}.")
        if not 0 < self.distance[0] <= self.distance[1] or not self.height[0] <= self.height[1]:
            raise ValueError(
                f"VirtualViews: distance and height are (least, most) in metres, distance above 0; got "
                f"{self.distance} and {self.height}."
            )
        if min(self.roll, self.aim) < 0:
            raise ValueError(f"VirtualViews: roll and aim are 0 or more, got {self.roll} and {self.aim}.")

    def beside(self, batch: MultiView) -> MultiView:
        """The batch with `count` more views per instant; draws from torch's global generator.

        Needs the fields `READS`; what only real views have (images, true cameras) is left out. A joint is
        missing where it is in the view whose errors are taken, where the pose does not know it, behind the camera
        and outside the image."""
        if not self.count:
            return batch
        cameras = self._cameras(batch)
        seen, confidence = _seen(batch, cameras)
        return batch.only(batch.known - _REAL).replaced(
            joints2d=torch.cat([batch.joints2d, seen], dim=-3),
            confidence=torch.cat([batch.confidence, confidence], dim=-2),
            image_size=torch.cat([batch.image_size, cameras.size], dim=-2),
            pseudo_cameras=_side_by_side(batch.pseudo_cameras, cameras),
        )

    def _cameras(self, batch: MultiView) -> Cameras:
        """Instants × count; each has the lens and the image of one of the instant's real views."""
        pose = batch.pseudo3d
        many = pose.shape[0], self.count
        turn, far, high = torch.rand(3, *many, device=pose.device)
        root = _root(pose, batch.skeleton.root_index)[:, None]
        far = self.distance[0] + (self.distance[1] - self.distance[0]) * far
        high = self.height[0] + (self.height[1] - self.height[0]) * high
        aside = torch.stack([far * (2 * math.pi * turn).cos(), far * (2 * math.pi * turn).sin()], dim=-1)
        centre = torch.cat([root[..., :2] + aside, high[..., None]], dim=-1)
        target = root + self.aim * torch.randn(*many, 3, device=pose.device)
        roll = self.roll * torch.randn(*many, device=pose.device)
        placed = looking(centre, target, roll, torch.ones_like(roll), (1, 1))
        views = batch.pseudo_cameras.size.shape[1]
        view = torch.randint(views, many, device=pose.device)
        lens = batch.pseudo_cameras[torch.arange(many[0], device=pose.device)[:, None], view]
        return Cameras.make(lens.intrinsics, placed.cam_from_world, lens.size)


def _root(pose: Float[Tensor, "instants joints 3"], root: int) -> Float[Tensor, "instants 3"]:
    """The root joint; where it is not known, the middle of what is; 1 m above the origin where nothing is."""
    nothing = pose.new_tensor([0.0, 0.0, 1.0])
    middle = pose.nanmean(dim=-2)
    middle = torch.where(middle.isfinite(), middle, nothing)
    return torch.where(pose[..., root, :].isfinite(), pose[..., root, :], middle)


def _seen(batch: MultiView, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Pixels (NaN: not seen) and confidences in the virtual views, with the errors of random real ones."""
    true = cameras.project(batch.pseudo3d[:, None])
    real = batch.pseudo_cameras.project(batch.pseudo3d[:, None])
    error = (batch.joints2d - real) / _extent(real)[..., None, None]
    instants, views = error.shape[:2]
    shape = true.shape[:2]
    instant = torch.randint(instants, shape, device=error.device)
    view = torch.randint(views, shape, device=error.device)
    seen = true + error[instant, view] * _extent(true)[..., None, None]
    inside = ((seen >= -0.5) & (seen <= cameras.size[..., None, :] - 0.5)).all(dim=-1)  # NaN is outside
    confidence = torch.where(inside, batch.confidence[instant, view], 0.0)
    return torch.where((confidence > 0)[..., None], seen, torch.nan), confidence


def _extent(pixels: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch"]:
    """Size of a person in the picture: RMS distance of the known joints from their mean, pixels; NaN without."""
    off = pixels - pixels.nanmean(dim=-2, keepdim=True)
    return off.square().sum(dim=-1).nanmean(dim=-1).sqrt()


def _side_by_side(real: Cameras, virtual: Cameras) -> Cameras:
    """All views of each instant."""
    pairs = {name: (part, getattr(virtual, name)) for name, part in vars(real).items()}
    return Cameras(**{name: torch.cat([a, b.to(a.dtype)], dim=1) for name, (a, b) in pairs.items()})
