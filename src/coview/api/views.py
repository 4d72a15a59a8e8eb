"""Checks that functions on cameras and pixels share: one view per camera, pixels (*batch, views, joints, 2)."""

import torch
from torch import Tensor

from coview.api.arrays import ArrayLike, read_beside
from coview.api.axes import Axis, expect, expect_equal
from coview.cameras import Cameras
from coview.errors import InputError

VIEWS, JOINTS = "views", "joints"


def check_cameras(cameras: object, least: int = 1) -> int:
    """The number of views. InputError where `cameras` are none, have no axis of views, or are fewer than `least`."""
    if not isinstance(cameras, Cameras):
        hint = (
            " Pass its `.cameras`."
            if hasattr(cameras, "cameras")
            else " Build them with coview.make_cameras."
        )
        raise InputError(f"cameras: coview.Cameras are needed, got {type(cameras).__name__}.{hint}")
    batch = tuple(cameras.fisheye.shape)
    if not batch:
        raise InputError(
            "cameras: this is a single camera without an axis of views. Take cameras[i : i + 1] instead of cameras[i]."
        )
    if batch[-1] < least:
        raise InputError(
            f"cameras: {least} or more are needed, got {batch[-1]}: one ray has no depth. For one camera use a model "
            f"(coview.load_model, coview.predict)."
        )
    if not bool(cameras.intrinsics.isfinite().all()):
        raise InputError(
            "cameras: their intrinsics hold NaN or infinity. Look at the calibration that they came from."
        )
    return batch[-1]


def check_placed(cameras: Cameras) -> None:
    """InputError where it is not known where a camera stands."""
    unknown = cameras.cam_from_world.isnan().flatten(-2).any(dim=-1)
    if bool(unknown.any()):
        views = sorted({int(place[-1]) for place in unknown.nonzero()})
        raise InputError(
            f"cameras: where camera {', '.join(map(str, views))} stands is not known (cam_from_world is NaN), only its "
            f"intrinsics. Calibrate first: coview.calibrate_from_people, or Session.calibrate."
        )


def check_pixels(pixels: Tensor, views: int) -> None:
    """InputError naming the mistake where pixels are not (*batch, views, joints, 2)."""
    shape = tuple(pixels.shape)
    more = f"there are {views} cameras and {shape[-3]} views." if len(shape) > 2 else ""
    if len(shape) > 2 and shape[-1] == 3 and shape[-3] == views:
        raise InputError(
            f"pixels: expected (*batch, views={views}, joints, 2), got {shape}: a third number beside x and y. If "
            f"it is the confidence, pass pixels[..., :2] and confidence=pixels[..., 2]."
        )
    if shape == (views, 2):
        raise InputError(
            f"pixels: expected (*batch, views={views}, joints, 2), got {shape}: an axis of joints is missing. Pass "
            f"pixels[..., None, :]."
        )
    expect("pixels", pixels, Axis(VIEWS, views), Axis(JOINTS), Axis("", 2), more=more)


def check_batches(cameras: Cameras, pixels: Tensor) -> None:
    """InputError where every instant has cameras of its own, and not as many as there are instants."""
    given, batch = tuple(cameras.fisheye.shape[:-1]), tuple(pixels.shape[:-3])
    fits = len(given) <= len(batch) and all(
        a in (1, b) for a, b in zip(reversed(given), reversed(batch), strict=False)
    )
    if not fits:
        raise InputError(
            f"cameras: their batch is {given} and that of the points {batch}. Give one set of cameras for all, or one "
            f"per instant."
        )


def read_confidence(confidence: ArrayLike | None, pixels: Tensor) -> Tensor:
    """Weights of the pixels, (*batch, views, joints): 0 where a pixel or its confidence is not finite.

    InputError for another shape, and for confidences below 0."""
    seen = pixels.isfinite().all(dim=-1)
    if confidence is None:
        return seen.to(pixels)
    weights = read_beside("confidence", confidence, pixels).to(pixels)
    expect_equal("confidence", weights, "pixels", tuple(pixels.shape[:-1]), (VIEWS, JOINTS))
    if bool((weights < 0).any()):
        raise InputError(
            f"confidence: it must be 0 (not seen) or more, and the least is {float(weights.nan_to_num(0.0).min()):g}."
        )
    return torch.where(seen & weights.isfinite(), weights, 0.0)
