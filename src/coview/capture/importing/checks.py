"""Checks whether the files of a folder can be one recording: refused where not, noted where questionable."""

from collections.abc import Iterable

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
# relative difference up to which cameras may have filmed one recording
_SAME_RATE = 0.01
# relative difference up to which frame rates are one number, rounded
_EQUAL_RATE = 1e-5
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


def camera_rates(views: dict[str, ViewJoints], infos: dict[str, VideoInfo]) -> tuple[dict[str, float], str]:
    """Pictures per second of the cameras, as their videos say it, else as the files of 2D joints do.

    Args:
        views: 2D joints of every camera.
        infos: The videos of the cameras.

    Returns:
        Rates by camera name, of the cameras of which they are known, and where they come from, in words.
    """
    films = {name: info.fps for name, info in infos.items() if info.fps}
    if films:
        return films, "the videos"
    return {name: view.fps for name, view in views.items() if view.fps}, "the files of 2D joints"


def rate(given: float | None, views: dict[str, ViewJoints], infos: dict[str, VideoInfo]) -> tuple[float, str]:
    """Determine the frame rate of a recording.

    Args:
        given: Frames per second that the user gave, or None.
        views: 2D joints of every camera; their files may say a rate.
        infos: The videos of the cameras; their rate goes before that of the joints' files.

    Returns:
        Frames per second, that of most cameras, and where the number comes from, in words.

    Raises:
        InputError: Where the cameras have different rates.
    """
    if given is not None:
        return given, f"{given:g}, as given by --fps"
    rates, origin = camera_rates(views, infos)
    if not rates:
        return _GUESSED_FPS, f"{_GUESSED_FPS:g}, A GUESS: neither video nor file says; pass --fps"
    # the mean rate of a video whose pictures come unevenly says little; their times are used
    even = {name: value for name, value in rates.items() if name not in infos or not infos[name].uneven}
    return _common_rate(even or rates, origin)


def _common_rate(rates: dict[str, float], origin: str) -> tuple[float, str]:
    low, high = min(rates.values()), max(rates.values())
    if high / low - 1 > _SAME_RATE:
        shown = ", ".join(f"{name} {rate:g}" for name, rate in rates.items())
        raise InputError(
            f"the cameras have different frame rates: {shown} (from {origin}). Frame n would not be the same "
            f"instant. Convert the videos to one rate and detect again; pass --fps if the rates are wrong."
        )
    known = list(rates.values())
    most = max(known, key=lambda one: sum(abs(other / one - 1) < _EQUAL_RATE for other in known))
    return most, f"{most:g}, from {origin}"


def other_rates(rates: dict[str, float], fps: float, moved: Iterable[str], given: bool) -> dict[str, str]:
    """Notes on cameras whose pictures do not come at the session's frame rate.

    Args:
        rates: Of `camera_rates`.
        fps: Frames per second of the session.
        moved: Cameras whose 2D joints were moved to the common instants.
        given: Whether the user gave `fps`.

    Returns:
        Entries for the session's provenance.
    """
    told = {}
    moved = list(moved)
    if moved:
        shown = ", ".join(f"{name} {rates[name]:.6g}" for name in moved)
        told["warning_times"] = (
            f"pictures of some cameras do not come at {fps:g} per second ({shown} on average): their 2D joints were "
            f"moved to the common instants by the time at which each picture is shown. If these times are wrong and "
            f"frames of one number are one instant, pass --fps."
        )
    differ = {n: r for n, r in rates.items() if n not in moved and abs(r / fps - 1) > _EQUAL_RATE}
    if differ and given:
        shown = ", ".join(f"{name} {value:.6g}" for name, value in differ.items())
        told["warning_given_rate"] = (
            f"--fps {fps:g} was taken for all cameras; their own rates are {shown}. Leave --fps out if those are right."
        )
    return told


def warnings(
    views: dict[str, ViewJoints], infos: dict[str, VideoInfo], moved: Iterable[str] = ()
) -> dict[str, str]:
    """Collect what does not stop an import and should be looked at.

    Args:
        views: 2D joints of every camera.
        infos: The videos of the cameras.
        moved: Cameras whose 2D joints were moved to the common instants.

    Returns:
        Entries for the session's provenance: unequal lengths, confidences above 1, uneven frame rates.
    """
    found = {}
    lengths = {name: (len(views[name].points), info.frames) for name, info in infos.items()}
    # where frames without anybody are not in the files, one camera that shows somebody at the end proves the length
    open_ended = not any(view.lists_empty for view in views.values()) and any(
        video - views[name].first - joints <= TOLERATED for name, (joints, video) in lengths.items()
    )
    differ = {
        name: (joints, video)
        for name, (joints, video) in lengths.items()
        if joints - video > TOLERATED or (video - joints > TOLERATED and not open_ended)
    }
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
    uneven = [name for name, info in infos.items() if info.uneven and name not in set(moved)]
    if uneven:
        found["warning_rate"] = (
            f"the frame rate of {listed(uneven)} varies (phones do that), so that frame numbers do not tell "
            f"the time; convert the videos to a constant rate before detecting."
        )
    return found


def _share_above_one(view: ViewJoints) -> float:
    confidence = view.points[..., 2]
    return float((confidence > 1).sum() / (confidence > 0).sum().clamp(min=1))
