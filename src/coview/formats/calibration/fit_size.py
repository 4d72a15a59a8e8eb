"""Fit a camera to images of another size than it was calibrated for: scaled, cropped, or refused."""

from typing import Literal

import torch

from coview.cameras import Cameras
from coview.errors import InputError

SizeMismatch = Literal["keep", "centre", "resize", "refuse"]
# aspect ratios closer than this are the same picture, scaled
_SAME_SHAPE = 0.005


def fit_size(
    camera: Cameras, size: tuple[int, int], name: str, on_mismatch: SizeMismatch
) -> tuple[Cameras, str]:
    """One camera's intrinsics for images of a given size, and what to tell the user.

    The same aspect ratio means scaling: K is scaled, with pixel centres at whole numbers. Anything else is an unknown
    crop.

    Args:
        camera: One camera, no batch axis.
        size: Width, height of the images, pixels.
        name: Of the camera, for messages.
        on_mismatch: What to do where the aspect ratio differs: "keep" leaves K (taken as cropped at the right and
            bottom), "centre" crops equally on both sides, "resize" scales each side, "refuse" raises.

    Returns:
        The camera with that size, and a note; "" where the size is the same.

    Raises:
        ValueError: Width and height are exchanged, or "refuse" and the aspect ratio differs.
    """
    old = (int(camera.size[0]), int(camera.size[1]))
    if old == size:
        return camera, ""
    across, down = size[0] / old[0], size[1] / old[1]
    new = torch.tensor(size).to(camera.size)
    if abs(across / down - 1) < _SAME_SHAPE and across != 1 and down != 1:
        return camera.resize(new), _scaled(name, old, size, across)
    turned = (size[0] / old[1]) / (size[1] / old[0])
    if abs(turned - 1) < _SAME_SHAPE:
        raise InputError(_turned(name, old, size))
    return _cropped(camera, old, size, name, on_mismatch)


def _cropped(
    camera: Cameras, old: tuple[int, int], size: tuple[int, int], name: str, on_mismatch: SizeMismatch
) -> tuple[Cameras, str]:
    new = torch.tensor(size).to(camera.size)
    fact = f"camera '{name}': the calibration is for {_by(old)} pixels, the video has {_by(size)}"
    off = max(abs(size[0] - old[0]), abs(size[1] - old[1]))
    if on_mismatch == "refuse":
        raise InputError(
            f"{fact}. That is no plain scaling, so the principal point may be off by up to {off} px. "
            f"Find out how the video was cropped, or choose --size-mismatch keep, centre or resize."
        )
    if on_mismatch == "centre":
        return camera.crop((camera.size - new) / 2, new), f"{fact}; taken for a crop around the middle."
    if on_mismatch == "resize":
        return camera.resize(new), f"{fact}; taken for a stretched picture, K was scaled along each side."
    note = (
        f"{fact}. The video was probably cropped; K is used UNCHANGED, so the principal point may be off by "
        f"up to {off} px. If you know better: --size-mismatch centre (cropped equally on both sides), "
        f"resize (stretched) or refuse (stop here), given to `coview calibrate`."
    )
    return camera.crop(torch.zeros_like(new), new), note


def _scaled(name: str, old: tuple[int, int], size: tuple[int, int], factor: float) -> str:
    return (
        f"camera '{name}': the calibration is for {_by(old)} pixels, the video has {_by(size)}: the same "
        f"picture {factor:.4g} times as large; K was scaled to it."
    )


def _turned(name: str, old: tuple[int, int], size: tuple[int, int]) -> str:
    return (
        f"camera '{name}': the calibration is for {_by(old)} pixels (width × height), the video has "
        f"{_by(size)}: width and height are exchanged. Either the calibration's `size` is written "
        f"[height, width], or the video is turned by a quarter; mend the file or turn the video."
    )


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}×{size[1]}"
