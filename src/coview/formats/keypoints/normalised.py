"""2D joints that are no pixels: shares of the image's width and height, found and made pixels."""

from dataclasses import replace
from typing import Literal

import torch

from coview.errors import InputError
from coview.formats.keypoints.view_joints import ViewJoints

# "unit": 0 to 1 across the image; "signed": −1 to 1
Normalised = Literal["unit", "signed"]

# A person is never this small: coordinates of all joints within it are no pixels.
_SMALLEST = 2.0
# share of coordinates beyond, which wild detections explain
_RARE = 0.01


def in_pixels(
    view: ViewJoints, camera: str, size: tuple[int, int] | None, normalised: Normalised | None = None
) -> ViewJoints:
    """The 2D joints of one camera in pixels.

    Args:
        view: The joints as a file gives them.
        camera: The camera's name, for messages.
        size: Width and height of the image in pixels, where a video or the user says it.
        normalised: What the user says that x and y are; otherwise the file's own statement counts.

    Returns:
        The joints in pixels, `view` itself where they are; with `size` where the file says none.

    Raises:
        InputError: They are normalised, and the size or which way is not known; or the user says so and they are not.
    """
    xy = view.points[..., :2]
    seen = view.points.isfinite().all(dim=-1) & (view.points[..., 2] > 0) & (xy != 0).any(dim=-1)
    is_small = bool(seen.any()) and float((xy[seen].abs() > _SMALLEST).any(dim=-1).float().mean()) <= _RARE
    kind = normalised or view.normalised
    if kind is None and not is_small:
        return view if view.size else replace(view, size=size)
    if kind is None:
        raise InputError(_no_pixels(camera, xy[seen], size))
    if not is_small and seen.any():
        raise InputError(
            f"camera '{camera}': x and y reach {float(xy[seen].abs().max()):.0f}; they are pixels already, and not "
            f"normalised. Leave --normalised out."
        )
    size = view.size or size
    if size is None:
        raise InputError(
            f"camera '{camera}': x and y of its 2D joints are shares of the image's width and height, and the size of "
            f"the image is not known, so that they cannot be made pixels. Give the video, or pass "
            f"--image-size WIDTH HEIGHT."
        )
    scale = torch.tensor([float(side) for side in size])
    pixels = torch.where((xy == 0).all(dim=-1, keepdim=True), xy, _shares(xy, kind) * scale)
    return replace(view, points=torch.cat([pixels, view.points[..., 2:]], dim=-1), size=size, normalised=None)


def _shares(xy: torch.Tensor, kind: str) -> torch.Tensor:
    return (xy + 1) / 2 if kind == "signed" else xy


def _no_pixels(camera: str, seen: torch.Tensor, size: tuple[int, int] | None) -> str:
    low, high = float(seen.min()), float(seen.max())
    kind = "signed" if low < -0.1 else "unit"
    how = (
        ""
        if size
        else " and --image-size WIDTH HEIGHT (pixels, of all cameras; or put the videos beside the joints)"
    )
    return (
        f"camera '{camera}': x and y of its 2D joints run from {low:.2f} to {high:.2f}. These are no pixels but shares "
        f"of the image ({'−1 to 1' if kind == 'signed' else '0 to 1'}: OpenPose's --keypoint_scale, MediaPipe, YOLO), "
        f"and every length would be wrong. Detect with coordinates in pixels (OpenPose: --keypoint_scale 0), or pass "
        f"--normalised {kind}{how}."
    )
