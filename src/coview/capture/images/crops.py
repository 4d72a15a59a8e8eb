"""Crops of the person from video frames, as a perfect pinhole camera would have taken them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.images.person_boxes import Boxes
from coview.formats.io.video import read_frames

# tangent of the widest angle from the axis at which a distortion is evaluated (76°)
_FARTHEST = 4.0
# undistorted pixels between the points at which the distortion is evaluated; linear in between
_GRID_STEP = 8.0
# pixels: far from every image
_OUTSIDE = -1e6


@dataclass(frozen=True)
class Crops:
    """A few frames in a row, all views cut to the person."""

    # numbers of the frames
    frames: tuple[int, ...]
    # RGB; black outside the picture and in absent views
    images: UInt8[Tensor, "frames views 3 size size"]
    # frames × views, without distortion, of `size` pixels
    cameras: Cameras
    # whether the view has a box and its video has the frame
    present: Bool[Tensor, "frames views"]


def stream_crops(
    videos: Sequence[Path],
    cameras: Cameras,
    boxes: Boxes,
    size: int,
    *,
    frames: Sequence[int],
    pictures: Int[Tensor, "frames views"] | None = None,
    at_once: int = 8,
    released_numerics: bool = False,
) -> Iterator[Crops]:
    """Cut frames of all views to the person, a few frames at a time; each video is decoded once, and never held.

    Args:
        videos: One per view.
        cameras: The cameras, views.
        boxes: Where the person is in every frame and view.
        size: Pixels of a crop.
        frames: The frames, ascending.
        pictures: Which of a video's own pictures belongs to a frame, -1 for none; default: the same number.
        at_once: Frames in one portion.
        released_numerics: Whether to crop as the released weights were trained: whole pixels, their areas averaged, and
            cameras that ignore half a pixel.

    Yields:
        Crops of up to `at_once` frames.

    Raises:
        MissingFileError: Naming a video that is missing.
        InputError: Naming a video that cannot be read.
    """
    boxes = boxes.whole_pixels() if released_numerics else boxes
    croppers = [UndistortedCropper(cameras[view]) for view in range(len(videos))]
    if pictures is None:
        pictures = torch.arange(len(boxes.present))[:, None].expand_as(boxes.present)
    own = torch.where(boxes.present, pictures, -1).tolist()
    wanted = [[own[frame][view] for frame in frames if own[frame][view] >= 0] for view in range(len(videos))]
    readers = [read_frames(video, numbers) for video, numbers in zip(videos, wanted, strict=True)]
    waiting = [next(reader, None) for reader in readers]
    for first in range(0, len(frames), at_once):
        portion = tuple(frames[first : first + at_once])
        images = np.zeros((len(portion), len(videos), size, size, 3), dtype=np.uint8)
        present = torch.zeros(len(portion), len(videos), dtype=torch.bool)
        for view, reader in enumerate(readers):
            for row, frame in enumerate(portion):
                while (one := waiting[view]) is not None and one[0] < own[frame][view]:
                    waiting[view] = next(reader, None)
                if one is not None and one[0] == own[frame][view]:
                    box = boxes.left_top[frame, view], float(boxes.side[frame, view])
                    images[row, view] = croppers[view].cut(one[1], *box, size, by_area=released_numerics)
                    present[row, view] = True
        index = torch.tensor(portion)
        cut = Boxes(boxes.left_top[index], boxes.side[index]).cameras(
            cameras, size, released_numerics=released_numerics
        )
        yield Crops(portion, torch.from_numpy(images).permute(0, 1, 4, 2, 3), cut, present)


class UndistortedCropper:
    """Undistortion of one camera: where the light of an undistorted pixel lies in the picture as filmed."""

    def __init__(self, camera: Cameras) -> None:
        """`camera` has no batch axes; its extrinsics do not matter."""
        nowhere = torch.eye(3, 4).to(camera.intrinsics)
        self.camera = replace(camera.to(torch.float64), cam_from_world=nowhere.double())
        # radius at depth one beyond which the lens model is not monotonic
        self.reach = _reach(self.camera)

    def cut(
        self,
        picture: UInt8[np.ndarray, "height width 3"],
        left_top: Float[Tensor, "2"],
        side: float,
        size: int,
        *,
        by_area: bool = False,
    ) -> UInt8[np.ndarray, "size size 3"]:
        """Cut a square from a picture, undistorted and resized.

        It is the image of `camera.without_distortion().crop(left_top, side).resize(size)`. Pixels that shrink are
        averaged over their area, then read bilinearly.

        Args:
            picture: RGB, as filmed.
            left_top: Undistorted pixel at which the square starts.
            side: Side of the square, undistorted pixels.
            size: Pixels of the result.
            by_area: Whether to undistort first, and then average the areas of pixels (OpenCV's INTER_AREA), as the
                released weights were trained; `side` is then whole.

        Returns:
            RGB; black where the square leaves the picture.
        """
        if by_area:
            straight = self.cut(picture, left_top, side, round(side))
            return cv2.resize(straight, (size, size), interpolation=cv2.INTER_AREA)
        step = max(1, int(_GRID_STEP * size / side))
        grid = self._filmed(left_top, side, size, step)
        shrink = max(1, round(side / size))
        found = _region(grid, picture, shrink)
        if found is None:
            return np.zeros((size, size, 3), dtype=np.uint8)
        region, corner = found
        small = cv2.resize(region, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        at = cv2.resize((grid - corner + 0.5) / shrink - 0.5, None, fx=step, fy=step)
        at = at[step : step + size, step : step + size].astype(np.float32)
        return cv2.remap(small, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderValue=(0, 0, 0))

    def _filmed(
        self, left_top: Float[Tensor, "2"], side: float, size: int, step: int
    ) -> Float[np.ndarray, "nodes nodes 2"]:
        """Where the middles of blocks of `step` × `step` crop pixels were filmed, with one block more all around;
        far outside where the lens model does not reach."""
        middles = (torch.arange(-1, -(-size // step) + 1, dtype=torch.float64) + 0.5) * step
        across, down = (middles * (side / size) - 0.5 + float(start) for start in left_top)
        straight = torch.stack(torch.meshgrid(across, down, indexing="xy"), dim=-1).flatten(0, 1)
        flat = self.camera.without_distortion().normalise(straight)
        filmed = self.camera.project(torch.cat([flat, torch.ones_like(flat[:, :1])], dim=-1))
        filmed = torch.where(flat.norm(dim=-1, keepdim=True) <= self.reach, filmed, _OUTSIDE)
        return filmed.unflatten(0, (len(middles), len(middles))).numpy()


def _region(
    filmed: np.ndarray, picture: np.ndarray, shrink: int
) -> tuple[UInt8[np.ndarray, "height width 3"], Float[np.ndarray, "2"]] | None:
    """Part of the picture that is read, whole multiples of `shrink` pixels large and padded with black.

    Returns it with its first pixel (x, y); None where nothing is read.
    """
    height, width = picture.shape[:2]
    reached = filmed[filmed[..., 0] > _OUTSIDE]
    if not len(reached):
        return None
    low = np.maximum(np.floor(reached.min(axis=0)).astype(int), 0) - shrink
    high = np.minimum(np.ceil(reached.max(axis=0)).astype(int) + 1, (width, height)) + shrink
    if (high - low <= 2 * shrink).any():
        return None
    high += -(high - low) % shrink
    (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, (width, height))
    padded = np.zeros((high[1] - low[1], high[0] - low[0], 3), dtype=np.uint8)
    padded[top - low[1] : bottom - low[1], left - low[0] : right - low[0]] = picture[top:bottom, left:right]
    return padded, low.astype(np.float64)


def _reach(camera: Cameras) -> float:
    """Largest radius, at depth one, up to which farther points are also filmed farther out.

    Distortion polynomials are fitted inside the picture; outside they turn back and would show a part of the picture
    again.
    """
    radius = torch.linspace(0.0, _FARTHEST, 1001, dtype=torch.float64)
    angle = torch.linspace(0.0, 2 * torch.pi, 9, dtype=torch.float64)[:-1]
    plain = replace(camera, intrinsics=torch.eye(3, dtype=torch.float64))
    rim = torch.stack([angle.cos(), angle.sin()], dim=-1) * radius[:, None, None]
    points = torch.cat([rim, torch.ones_like(rim[..., :1])], dim=-1)
    distorted = plain.project(points.flatten(0, 1)).unflatten(0, rim.shape[:2]).norm(dim=-1)
    back = (distorted.diff(dim=0) <= 0).any(dim=-1).nonzero()
    return float(radius[back[0, 0]]) if len(back) else float("inf")
