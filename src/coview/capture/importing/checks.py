"""Checks whether the files of a folder can be one recording: refused where not, noted where questionable."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.camera_names import listed
from coview.formats.io.video import VideoInfo
from coview.formats.keypoints import named_joints
from coview.formats.keypoints.detections import Detections
from coview.formats.keypoints.view_joints import TOLERATED, ViewJoints
from coview.skeletons import Skeleton

# frames per second assumed where neither videos nor files give them
_GUESSED_FPS = 30.0
# relative difference up to which frame rates are equal
_SAME_RATE = 0.01
# share of confidences above 1 that rounding does not explain
_RARE = 0.05
# share of joints outside the image that is no accident
_OUTSIDE = 0.2


def check_several(views: dict[str, ViewJoints], where: str) -> None:
    """Check that there are two or more cameras, all with the same number of joints per person.

    Args:
        views: 2D joints of every camera.
        where: The folder, for the message.

    Raises:
        InputError: Where there are not.
    """
    if len(views) < 2:
        raise InputError(
            f"{where} holds 2D joints of one camera only ({listed(views)}). "
            f"coview compares cameras and needs two or more that saw the same person at the same time."
        )
    counts = {name: view.joint_count for name, view in views.items()}
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise InputError(
            f"{where}: the cameras have different numbers of joints per person: {shown}. Detect all "
            f"views with the same model."
        )


def said_skeleton(views: dict[str, ViewJoints]) -> str | Skeleton | None:
    """The skeleton that the files name, or whose joints they name.

    Args:
        views: 2D joints of every camera.

    Returns:
        The skeleton or its name; None where no file says it.

    Raises:
        InputError: Where files name different ones, or joints that are not of a human body.
    """
    said = list(dict.fromkeys(one for view in views.values() if (one := named_joints.said_skeleton(view))))
    if len(said) > 1:
        names = [one if isinstance(one, str) else f"{one.name} ({', '.join(one.joints)})" for one in said]
        raise InputError(f"the cameras' files name different skeletons: {listed(names)}. Pass --skeleton.")
    return next(iter(said), None)


def check_seen(detections: Detections, sizes: dict[str, tuple[int, int] | None]) -> None:
    """Check that every camera sees somebody, inside its image: else the detections belong to another video.

    Args:
        detections: 2D detections, pixels.
        sizes: Width and height of every camera's image, pixels; None: not known.

    Raises:
        InputError: Naming the camera that sees nobody, or most of whose joints lie outside.
    """
    for (camera, size), joints in zip(sizes.items(), detections.joints, strict=True):
        seen = joints[joints.isfinite().all(dim=-1)]
        if len(seen) == 0:
            raise InputError(
                f"camera '{camera}': {len(joints)} frames, but not one joint with a confidence above 0. "
                f"Detect again, or leave this camera's 2D joints out."
            )
        if size is not None and _outside(seen, size) > _OUTSIDE:
            raise InputError(_outside_message(camera, seen, size))


def check_calibration_fits(
    detections: Detections, sizes: dict[str, tuple[int, int] | None], file: str
) -> None:
    """Check that the 2D joints lie inside the images that a calibration is for: else it is for images of another size.

    Args:
        detections: 2D detections, pixels.
        sizes: Width and height of every camera's image according to the calibration, pixels.
        file: The calibration file, for the message.

    Raises:
        InputError: Naming the camera many of whose joints lie outside.
    """
    for (camera, size), joints in zip(sizes.items(), detections.joints, strict=True):
        seen = joints[joints.isfinite().all(dim=-1)]
        if size is not None and _outside(seen, size) > _OUTSIDE:
            right, bottom = (float(value) for value in seen.max(dim=0).values)
            raise InputError(
                f"{file}: camera '{camera}' is calibrated for images of {size[0]}×{size[1]} pixels (width × height), "
                f"and {_outside(seen, size):.0%} of its 2D joints lie outside; they reach to x = {right:.0f}, "
                f"y = {bottom:.0f}. The calibration would give wrong angles. Give the one of these images, or import "
                f"with the videos, so that it can be scaled to their size."
            )


def _outside(joints: Float[Tensor, "joints 2"], size: tuple[int, int]) -> float:
    limit = torch.tensor(size)
    return float(((joints < -0.5) | (joints > limit - 0.5)).any(dim=-1).float().mean())


def _outside_message(camera: str, joints: Float[Tensor, "joints 2"], size: tuple[int, int]) -> str:
    right, bottom = (float(value) for value in joints.max(dim=0).values)
    turned = _outside(joints, (size[1], size[0])) <= _OUTSIDE
    why = (
        "They would fit if width and height were swapped: the video was turned after the detection."
        if turned
        else "They were detected in another video, or in one of another size."
    )
    return (
        f"camera '{camera}': {_outside(joints, size):.0%} of its 2D joints lie outside the video of "
        f"{size[0]}×{size[1]} pixels (width × height); they reach to x = {right:.0f}, "
        f"y = {bottom:.0f}. {why} Detect again in this video."
    )


def rate(given: float | None, views: dict[str, ViewJoints], infos: dict[str, VideoInfo]) -> tuple[float, str]:
    """Determine the frame rate of a recording.

    Args:
        given: Frames per second that the user gave, or None.
        views: 2D joints of every camera; their files may say a rate.
        infos: The videos of the cameras; their rate goes before that of the joints' files.

    Returns:
        Frames per second, and where the number comes from, in words.

    Raises:
        InputError: Where the cameras have different rates.
    """
    if given is not None:
        return given, f"{given:g}, as given by --fps"
    for origin, rates in (
        ("the videos", {name: info.fps for name, info in infos.items() if info.fps}),
        ("the files of 2D joints", {name: view.fps for name, view in views.items() if view.fps}),
    ):
        if rates:
            return _common_rate(rates, origin)
    return _GUESSED_FPS, f"{_GUESSED_FPS:g}, A GUESS: neither video nor file says; pass --fps"


def _common_rate(rates: dict[str, float], origin: str) -> tuple[float, str]:
    low, high = min(rates.values()), max(rates.values())
    if high / low - 1 > _SAME_RATE:
        shown = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
        raise InputError(
            f"the cameras have different frame rates: {shown} (from {origin}). Frame n would not be the same "
            f"instant. Convert the videos to one rate and detect again; pass --fps if the rates are wrong."
        )
    return low, f"{low:g}, from {origin}"


def warnings(views: dict[str, ViewJoints], infos: dict[str, VideoInfo]) -> dict[str, str]:
    """Collect what does not stop an import and should be looked at.

    Args:
        views: 2D joints of every camera.
        infos: The videos of the cameras.

    Returns:
        Entries for the session's provenance: unequal lengths, confidences above 1, uneven frame rates.
    """
    found = {}
    lengths = {name: (len(views[name].points), info.frames) for name, info in infos.items()}
    differ = {name: pair for name, pair in lengths.items() if abs(pair[0] - pair[1]) > TOLERATED}
    if differ:
        shown = ", ".join(
            f"{name}: {joints} frames of joints, {video} of video" for name, (joints, video) in differ.items()
        )
        found["warning_lengths"] = (
            f"2D joints and videos differ in length: {shown}. Is it the same recording?"
        )
    high = [name for name, view in views.items() if _share_above_one(view) > _RARE]
    if high:
        found["warning_confidence"] = (
            f"many confidences of {listed(high)} are above 1 and were cut to 1, so all joints there count "
            f"the same; coview expects confidences from 0 to 1."
        )
    uneven = [name for name, info in infos.items() if info.uneven]
    if uneven:
        found["warning_rate"] = (
            f"the frame rate of {listed(uneven)} varies (phones do that), so that frame numbers do not tell "
            f"the time; convert the videos to a constant rate before detecting."
        )
    return found


def _share_above_one(view: ViewJoints) -> float:
    confidence = view.points[..., 2]
    return float((confidence > 1).sum() / (confidence > 0).sum().clamp(min=1))
