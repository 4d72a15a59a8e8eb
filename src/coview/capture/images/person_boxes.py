"""Boxes of the person in each view: a square around the 2D joints, frame by frame."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.reconstruction.filtering import fill_gaps
from coview.data.human36m.images import resized_without_half_pixel
from coview.data.viewpoints import MARGIN

# joints that make a box: fewer can be an arm, and a person is larger than an arm
FEWEST = 4
# frames whose median a box is: one wrong joint in one frame moves nothing
_WINDOW = 5
# pixels: a joint whose undistortion leaves a larger residual lies beyond the lens model
_MISSED_PX = 1.0


@dataclass(frozen=True)
class Boxes:
    """Squares around a person in undistorted images (pixels that went through `Cameras.undistort`).

    NaN where a view does not see the person.
    """

    # the centre of the box's first pixel
    left_top: Float[Tensor, "frames views 2"]
    # pixels
    side: Float[Tensor, "frames views"]

    @property
    def present(self) -> Bool[Tensor, "frames views"]:
        """Whether there is a box, frames × views."""
        return self.side.isfinite()

    def whole_pixels(self) -> "Boxes":
        """The boxes of whole pixels that cover most nearly the same; the released weights were trained on such."""
        side = self.side.round().clamp_min(1)
        middle = self.left_top + self.side[..., None] / 2
        return Boxes((middle - side[..., None] / 2).round(), side)

    def cameras(self, cameras: Cameras, size: int, *, released_numerics: bool = False) -> Cameras:
        """The cameras of the boxes resized to squares of one size.

        Args:
            cameras: The cameras, views.
            size: Pixels.
            released_numerics: Whether to ignore that pixel centres are half a pixel off the borders, as the released
                weights were trained.

        Returns:
            Cameras without distortion, frames × views; NaN where there is no box.
        """
        straight = cameras.without_distortion().expand(*self.side.shape)
        cropped = straight.crop(self.left_top, self.side[..., None].expand_as(self.left_top))
        if released_numerics:
            return resized_without_half_pixel(cropped, size)
        return cropped.resize(torch.full_like(self.left_top, float(size)))


def person_boxes(
    cameras: Cameras,
    joints: Float[Tensor, "frames views joints 2"],
    confidence: Float[Tensor, "frames views joints"],
    *,
    min_confidence: float = 0.3,
    margin: float = MARGIN,
    max_gap: int = 10,
) -> Boxes:
    """Compute squares around the 2D joints of a person, smoothed by a median over time.

    A view with too few joints for up to `max_gap` frames gets boxes interpolated between those before and after; where
    the gap is longer, or at an end of the recording, the view has none.

    Args:
        cameras: The cameras, views.
        joints: Distorted pixels, NaN where not seen.
        confidence: Confidence of every joint.
        min_confidence: Joints below this confidence are left out.
        margin: Side of the square over the extent of the joints. The default is that of rendered people: models expect
            people of the size that they were trained on.
        max_gap: Frames.

    Returns:
        The squares.
    """
    seen = (confidence >= min_confidence) & (confidence > 0) & joints.isfinite().all(dim=-1)
    straight, missed = cameras.undistort(torch.nan_to_num(joints).to(cameras.intrinsics))
    seen = seen & (missed < _MISSED_PX)
    low = torch.where(seen[..., None], straight, torch.inf).amin(dim=-2)
    high = torch.where(seen[..., None], straight, -torch.inf).amax(dim=-2)
    side = margin * (high - low).amax(dim=-1, keepdim=True)
    enough = (seen.sum(dim=-1) >= FEWEST) & (side[..., 0] > 0)
    squares = torch.cat([(low + high) / 2, side], dim=-1)
    squares = _steadied(torch.where(enough[..., None], squares, torch.nan))
    squares = fill_gaps(squares, None, max_gap)[0]
    centre, side = squares[..., :2], squares[..., 2]
    # a box of n pixels reaches from half a pixel before its first centre to half a pixel past its last
    return Boxes(centre - side[..., None] / 2 + 0.5, side)


def _steadied(squares: Float[Tensor, "frames views 3"]) -> Float[Tensor, "frames views 3"]:
    """The median over a few frames; frames without a box stay without."""
    half = _WINDOW // 2
    padded = torch.nn.functional.pad(squares, (0, 0, 0, 0, half, half), value=torch.nan)
    median = padded.unfold(0, _WINDOW, 1).nanmedian(dim=-1).values
    return torch.where(squares.isfinite(), median, torch.nan)
