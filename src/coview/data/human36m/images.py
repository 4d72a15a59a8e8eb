"""Images of Human3.6M: undistorted by the data set's own lens model, cropped to a box, resized, as RGB bytes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from coview.cameras import Cameras
from coview.data.human36m.labels import Labels
from coview.errors import InputError, MissingFileError


def raw_pixels(
    pixels: Float[Tensor, "*points 2"], intrinsics: Float[Tensor, "3 3"], lens: Float[Tensor, "5"]
) -> Float[Tensor, "*points 2"]:
    """Distorted pixels of undistorted ones, by Human3.6M's lens model. [Ionescu14]

    The radial terms are OpenCV's; the tangential terms p1·x·y, p2·x² and their like have half of OpenCV's factors.

    Args:
        pixels: undistorted.
        intrinsics: in pixels.
        lens: k1 k2 p1 p2 k3."""
    focal, centre = intrinsics.diagonal()[:2], intrinsics[:2, 2]
    flat = (pixels - centre) / focal
    k1, k2, p1, p2, k3 = lens
    swapped, r2 = torch.stack([p2, p1]), flat.square().sum(dim=-1, keepdim=True)
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    tangential = p1 * flat[..., 1:] + p2 * flat[..., :1]
    return (flat * (radial + tangential) + swapped * r2) * focal + centre


def crop_regions(boxes: Int[Tensor, "*views 4"], scale: float) -> Int[Tensor, "*views 4"]:
    """Crop regions of boxes scaled about their centres.

    Args:
        boxes: top, left, bottom, right in pixels.
        scale: factor.

    Returns:
        Left, top, width, height in whole pixels."""
    top, left, bottom, right = boxes.long().unbind(-1)
    width, height = ((right - left) * scale).long(), ((bottom - top) * scale).long()
    x, y = (left + right) // 2 - width // 2, (top + bottom) // 2 - height // 2
    return torch.stack([x, y, width, height], dim=-1)


def crop_cameras(
    cameras: Cameras, regions: Int[Tensor, "*views 4"], size: int, *, released_numerics: bool
) -> Cameras:
    """Cameras of crops that are resized to a square.

    Args:
        cameras: of the whole images.
        regions: left, top, width, height in pixels.
        size: side of the resized crops, pixels.
        released_numerics: as the released weights were trained: ignore that pixel centres are half a pixel off the
            borders, an error of 0.5·(scale − 1) pixels."""
    wanted = torch.full((2,), float(size))
    cropped = cameras.crop(regions[..., :2].float(), regions[..., 2:].float())
    if not released_numerics:
        return cropped.resize(wanted)
    return resized_without_half_pixel(cropped, size)


def resized_without_half_pixel(cameras: Cameras, size: int) -> Cameras:
    """Cameras of pictures that were resized to a square, as the released weights were trained.

    That pixel centres are half a pixel off the borders is ignored: c' = c s instead of (c + ½) s − ½.

    Args:
        cameras: of the pictures before, which have a size.
        size: side of the pictures after, pixels."""
    wanted = torch.full((2,), float(size)).to(cameras.intrinsics)
    scale = wanted / cameras.size
    rows = torch.cat([scale, torch.ones_like(scale[..., :1])], dim=-1)
    return replace(
        cameras, intrinsics=cameras.intrinsics * rows[..., None], size=wanted.expand_as(scale).clone()
    )


@dataclass(frozen=True)
class CropReader:
    """Reads the crop of a row in a view, for `OnDisk`; black for an absent view."""

    # of the rows
    labels: Labels
    # left, top, width, height in pixels
    regions: Int[Tensor, "rows views 4"]
    # folder of the subjects
    pictures: Path
    # side of the crop, pixels
    size: int
    # undistort the image; False: it is read from the folder of undistorted ones
    undistort: bool
    # interpolate as the released weights were trained
    released_numerics: bool

    def __call__(self, row: int, view: int) -> UInt8[Tensor, "3 height width"]:
        """The crop as RGB bytes. FileNotFoundError or ValueError naming an image that is missing or cannot be
        decoded."""
        import cv2

        if not self.regions[row, view, 2:].any():
            return torch.zeros(3, self.size, self.size, dtype=torch.uint8)
        path = self.labels.picture(self.pictures, row, view, undistorted=not self.undistort)
        raw = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
        if raw is None:
            raise _unreadable(path)
        left, top, width, height = self.regions[row, view].tolist()
        straight = self._undistorted(raw, row, view) if self.undistort else _as_it_is(raw)
        crop = _padded(straight, raw.shape, left, top, width, height)
        shrinks = width >= self.size and height >= self.size
        how = cv2.INTER_AREA if shrinks or self.released_numerics else cv2.INTER_LINEAR
        resized = cv2.resize(crop, (self.size, self.size), interpolation=how)
        return torch.from_numpy(np.ascontiguousarray(resized[..., ::-1].transpose(2, 0, 1)))

    def _undistorted(self, raw: np.ndarray, row: int, view: int) -> "_Part":
        import cv2

        subject = int(self.labels.subject[row])
        intrinsics, lens = self.labels.intrinsics[subject, view], self.labels.lens[subject, view]
        place, fraction = lens_map(
            tuple(intrinsics.flatten().tolist()), tuple(lens.tolist()), raw.shape[1], raw.shape[0]
        )

        def part(rows: slice, columns: slice) -> np.ndarray:
            return cv2.remap(
                raw,
                np.ascontiguousarray(place[rows, columns]),
                np.ascontiguousarray(fraction[rows, columns]),
                cv2.INTER_CUBIC,
            )

        return part


# reads rows and columns of the undistorted image
_Part = Callable[[slice, slice], np.ndarray]


def _as_it_is(raw: np.ndarray) -> _Part:
    return lambda rows, columns: raw[rows, columns]


# 6 MB each; the intrinsics of the four cameras are the same for every subject
@lru_cache(maxsize=32)
def lens_map(
    intrinsics: tuple[float, ...], lens: tuple[float, ...], width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Undistortion map: the raw pixel of every undistorted one, in OpenCV's fixed point (1/32 pixel). Cached.

    Args:
        intrinsics: 3 × 3, row by row.
        lens: k1 k2 p1 p2 k3.
        width: of the image, pixels.
        height: of the image, pixels."""
    import cv2

    columns, rows = torch.arange(width, dtype=torch.float64), torch.arange(height, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    matrix = torch.tensor(intrinsics, dtype=torch.float64).reshape(3, 3)
    raw = raw_pixels(grid, matrix, torch.tensor(lens, dtype=torch.float64)).float().numpy()
    return cv2.convertMaps(raw[..., 0].copy(), raw[..., 1].copy(), cv2.CV_16SC2)


def _padded(
    part: _Part, shape: tuple[int, ...], left: int, top: int, width: int, height: int
) -> UInt8[np.ndarray, "height width 3"]:
    """The region of an image, black outside of it."""
    crop = np.zeros((height, width, 3), dtype=np.uint8)
    x0, x1 = max(left, 0), min(left + width, shape[1])
    y0, y1 = max(top, 0), min(top + height, shape[0])
    if x0 < x1 and y0 < y1:
        crop[y0 - top : y1 - top, x0 - left : x1 - left] = part(slice(y0, y1), slice(x0, x1))
    return crop


def _unreadable(path: Path) -> Exception:
    if path.is_file():
        return InputError(f"{path} is no picture that can be decoded; fetch it again.")
    return MissingFileError(
        f"{path} is not there. `coview data check human36m` lists what is missing; extract the frames with h36m-fetch."
    )
