"""Random image augmentation: rotation and scale with the cameras adjusted, colour gain, synthetic occluders.

An image rotated and scaled about its centre is the image of a camera rotated about its optical axis with other
intrinsics: labels in the world stay as they are. [Kocabas19] as released; occluders are drawn rather than cut out of
photographs.
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from coview.cameras import Cameras
from coview.errors import InputError
from coview.sample import MultiView

_CAMERAS = ("cameras", "pseudo_cameras")
# half an axis of the largest occluder, as a share of the image's shorter side; half of it at scale ½
_LARGEST = 0.2
# width of an occluder's soft border, pixels
_SOFT = 1.5


@dataclass(frozen=True)
class ImageAugment:
    """How images are varied, each by itself. Defaults are those of the paper's code; `UNVARIED` does nothing."""

    # standard deviation of the image's scale factor from 1, clipped at one deviation
    scale: float = 0.25
    # standard deviation of the image's rotation in degrees, clipped at two deviations
    rotation: float = 30.0
    # share of images that are rotated
    rotated: float = 0.6
    # largest relative change of a colour channel
    gain: float = 0.2
    # synthetic occluders per image, at most
    occluders: int = 7
    # share of images with at least one occluder
    occluded: float = 1.0

    def __post_init__(self) -> None:
        for name, most in (("scale", 0.9), ("rotated", 1.0), ("gain", 1.0), ("occluded", 1.0)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(
                    f"ImageAugment: {name} is a share, 0 to {most:g} (not per cent), got {getattr(self, name)}."
                )
        if not 0 <= self.rotation <= 90 or self.occluders < 0:
            raise InputError(
                f"ImageAugment: rotation is in degrees, 0 to 90, and occluders 0 or more, got {self.rotation} and "
                f"{self.occluders}."
            )

    @property
    def active(self) -> bool:
        """Whether anything is varied."""
        return self.moves or self.gain > 0 or (self.occluders > 0 and self.occluded > 0)

    @property
    def moves(self) -> bool:
        """Whether joints change their places in the image."""
        return self.scale > 0 or (self.rotation > 0 and self.rotated > 0)

    def __call__(self, batch: MultiView) -> MultiView:
        """The batch with varied images, cameras and 2D joints; draws from torch's global generator.

        Its `rig` is dropped: cameras rotated independently are no static rig. ValueError for distorted cameras."""
        images = batch.images
        pictures = images.flatten(0, -4)
        zoom, angle = self._drawn(len(pictures), pictures)
        if self.moves:
            pictures = warped(pictures, zoom, angle)
            batch = moved(batch, zoom.view(images.shape[:-3]), angle.view(images.shape[:-3]))
        if self.occluders and self.occluded:
            pictures = with_occluders(pictures, self.occluders, self.occluded)
        if self.gain:
            strength = 1 + self.gain * (2 * torch.rand(len(pictures), 3, 1, 1).to(pictures) - 1)
            pictures = (pictures * strength).clamp(0, 1)
        return batch.replaced(images=pictures.view(images.shape))

    def _drawn(self, count: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Random scale (above 1: the content gets smaller) and rotation (radians, clockwise) of so many images."""
        normal, chance = torch.randn(2, count), torch.rand(count)
        zoom = 1 + self.scale * normal[0].clamp(-1, 1)
        angle = math.radians(self.rotation) * normal[1].clamp(-2, 2)
        return zoom.to(like), torch.where(chance < self.rotated, angle, 0.0).to(like)


UNVARIED = ImageAugment(scale=0.0, rotation=0.0, gain=0.0, occluders=0)


def warped(
    images: Float[Tensor, "n 3 height width"], zoom: Float[Tensor, "n"], angle: Float[Tensor, "n"]
) -> Float[Tensor, "n 3 height width"]:
    """Images reduced by a factor and rotated clockwise about their centres; bilinear, black outside.

    Args:
        images: to be warped.
        zoom: factor by which the content gets smaller.
        angle: radians."""
    height, width = images.shape[-2:]
    down, across = torch.meshgrid(
        torch.arange(height).to(images) - (height - 1) / 2,
        torch.arange(width).to(images) - (width - 1) / 2,
        indexing="ij",
    )
    c, s = ((zoom * angle.cos())[:, None, None], (zoom * angle.sin())[:, None, None])
    # where each new pixel comes from, in half sides of the picture
    source = torch.stack([(c * across + s * down) * 2 / width, (c * down - s * across) * 2 / height], dim=-1)
    return functional.grid_sample(images, source, mode="bilinear", padding_mode="zeros", align_corners=False)


def moved(
    batch: MultiView, zoom: Float[Tensor, "*batch views"], angle: Float[Tensor, "*batch views"]
) -> MultiView:
    """Cameras, 2D joints and poses in camera axes of images that went through `warped`; the rig is dropped.

    Joints that are now outside the image have confidence 0.

    Args:
        batch: before the warp.
        zoom: factor by which the content gets smaller.
        angle: radians, clockwise.

    Raises:
        ValueError: a camera has distortion."""
    height, width = batch.stored("images").shape[-2:]
    centre = angle.new_tensor([(width - 1) / 2, (height - 1) / 2])
    c, s = angle.cos() / zoom, angle.sin() / zoom
    linear = torch.stack([c, -s, s, c], dim=-1).unflatten(-1, (2, 2))
    new: dict[str, object] = {}
    for name in _CAMERAS:
        if name in batch.fields:
            new[name] = _transformed(batch.stored(name), linear, centre)
    if "joints2d" in batch.fields:
        joints2d = (batch.joints2d - centre) @ linear.mT + centre
        new["joints2d"] = joints2d
        if "confidence" in batch.fields:
            inside = ((joints2d >= -0.5) & (joints2d <= 2 * centre + 0.5)).all(dim=-1)
            new["confidence"] = torch.where(inside, batch.confidence, 0.0)
    if "first_guess" in batch.fields:
        about = _axis_rotation(batch.cameras.intrinsics, linear)[1]
        new["first_guess"] = batch.first_guess @ about.mT
    return batch.replaced(**new, rig=None)


def _transformed(cameras: Cameras, linear: Tensor, centre: Tensor) -> Cameras:
    """Cameras of the images after p ↦ linear (p − centre) + centre."""
    if bool((cameras.distortion != 0).any() | cameras.fisheye.any()):
        raise InputError(
            "ImageAugment: these cameras have lens distortion, which does not turn and zoom with a picture. Undistort "
            "the pictures, and give `cameras.without_distortion()`."
        )
    upper, about = _axis_rotation(cameras.intrinsics, linear)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., :2, :2] = upper
    intrinsics[..., :2, 2] = (linear @ (cameras.principal_point - centre)[..., None])[..., 0] + centre
    return replace(cameras, intrinsics=intrinsics, cam_from_world=about @ cameras.cam_from_world)


def _axis_rotation(intrinsics: Tensor, linear: Tensor) -> tuple[Tensor, Tensor]:
    """New focal lengths and skew (2 × 2, upper triangular), and the camera's rotation about its axis (3 × 3).

    Their product is `linear` times the old intrinsics: an RQ decomposition [HZ04 §A4.1.1] in closed form."""
    (a, b), (c, d) = (row.unbind(-1) for row in (linear @ intrinsics[..., :2, :2]).unbind(-2))
    length = (c.square() + d.square()).sqrt()
    zero, one = torch.zeros_like(a), torch.ones_like(a)
    upper = torch.stack([(a * d - b * c) / length, (a * c + b * d) / length, zero, length], dim=-1)
    about = torch.stack([d / length, -c / length, zero, c / length, d / length, zero, zero, zero, one], -1)
    return upper.unflatten(-1, (2, 2)), about.unflatten(-1, (3, 3))


def with_occluders(
    images: Float[Tensor, "n 3 height width"], most: int, share: float
) -> Float[Tensor, "n 3 height width"]:
    """Images behind random ellipses and boxes.

    Half of the occluders are striped in a random colour, the others are a piece of another image of the batch. Their
    axes are 0.08 to 0.4 of the shorter side, about the sizes of the paper's pasted objects.

    Args:
        images: to be occluded.
        most: occluders per image, at most.
        share: of images with one occluder or more."""
    count, (height, width) = len(images), images.shape[-2:]
    wanted = 1 + (most * torch.rand(count)).floor()
    wanted = torch.where(torch.rand(count) < share, wanted, 0.0)
    drawn = torch.rand(most, count, 10, 1, 1)
    rows = torch.arange(height).to(images)[:, None]
    columns = torch.arange(width).to(images)
    after = images.clone()
    for number in range(most):
        chosen = (wanted > number).nonzero()[:, 0]
        behind = after[chosen.to(images.device)]
        x0, y0, large, angle, slender, *_, filled = drawn[number, chosen].to(images).unbind(1)
        size = (0.2 + 0.8 * large) * _LARGEST * min(height, width)
        c, s = (2 * math.pi * angle).cos() / size, (2 * math.pi * angle).sin() / size
        x, y = columns - x0 * width, rows - y0 * height
        along, over = c * x + s * y, (c * y - s * x) / (0.4 + 0.6 * slender)
        box, ellipse = along.abs().maximum(over.abs()), (along.square() + over.square()).sqrt()
        radius = torch.where(drawn[number, chosen, 5].to(images) < 0.5, box, ellipse)
        cover = ((1 - radius) * (size / _SOFT) + 0.5).clamp(0, 1)
        stripes = 0.15 * (12 * along).sin()
        colour = (drawn[number, chosen, 6:9, 0].to(images)[..., None] + stripes[:, None]).clamp(0, 1)
        others = images[((chosen + 1 + number) % count).to(images.device)]
        others = others.roll((height // 3, width // 3), dims=(-2, -1))
        fill = torch.where((filled < 0.5)[:, None], colour, others)
        after[chosen.to(images.device)] = torch.lerp(behind, fill, cover[:, None])
    return after
