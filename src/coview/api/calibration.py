"""Cameras from numbers and from people: `make_cameras`, `calibrate_from_people`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from coview.api.arrays import ArrayLike, Number, read
from coview.api.axes import Axis, expect
from coview.api.session import Session
from coview.cameras import Cameras
from coview.errors import InputError
from coview.formats.calibration.calibration import Calibration
from coview.formats.calibration.validate import check_cameras
from coview.geometry.rotations import rotation_from_axis_angle
from coview.skeletons import Skeleton


def make_cameras(
    intrinsics: ArrayLike,
    rotation: ArrayLike,
    translation: ArrayLike,
    image_size: ArrayLike,
    distortion: ArrayLike | None = None,
    *,
    fisheye: bool = False,
) -> Cameras:
    """Make calibrated cameras from matrices, in OpenCV's conventions: x_camera = rotation @ x_world + translation.

    Camera axes x right, y down, z forward; pixel (0, 0) is the centre of the top-left pixel. What all cameras share
    (intrinsics, image size, distortion) may be given once.

    Args:
        intrinsics: (views, 3, 3) or (3, 3), pixels: [[fx, skew, cx], [0, fy, cy], [0, 0, 1]].
        rotation: (views, 3, 3) matrices, or (views, 3) rotation vectors (OpenCV's rvec, radians).
        translation: (views, 3) or (views, 3, 1), metres (OpenCV's tvec): where the world's origin is in the camera; not
            the camera's centre, which is -rotationᵀ @ translation.
        image_size: (views, 2) or (2,): width, height in pixels.
        distortion: (views, n) or (n,): k1, k2, p1, p2[, k3[, k4, k5, k6]] in OpenCV's order, or k1 to k4 of a fisheye
            lens (equidistant [KB06]). Default: no distortion.
        fisheye: Whether `distortion` is the fisheye model's (equidistant).

    Returns:
        The cameras, batch axis `views`, float64.

    Raises:
        CoviewError: Numbers that no real camera has: a rotation that is none or is left-handed, a principal point
            outside of the image, width and height exchanged, ...; the message names the camera.

    Example:
        >>> import coview, numpy as np
        >>> intrinsics = [[1000, 0, 959.5], [0, 1000, 539.5], [0, 0, 1]]
        >>> turned = [[0, 0, 0], [0, -np.pi / 2, 0]]  # both look at the origin, the second one from the left
        >>> cameras = coview.make_cameras(intrinsics, turned, [[0, 0, 3], [0, 0, 3]], (1920, 1080))
        >>> cameras.centres.numpy().round(3) + 0.0
        array([[ 0.,  0., -3.],
               [-3.,  0.,  0.]])
    """
    place = _numbers("translation", translation)
    place = place[..., 0] if place.ndim == 3 and place.shape[-1] == 1 else place
    expect("translation", place, Axis("views"), Axis("", 3), batch=False)
    views = len(place)
    rotations = _numbers("rotation", rotation)
    rotations = rotation_from_axis_angle(rotations) if tuple(rotations.shape) == (views, 3) else rotations
    expect("rotation", rotations, Axis("views", views), Axis("", 3), Axis("", 3), batch=False)
    lens = None if distortion is None else _shared("distortion", distortion, views, 1)
    cameras = Cameras.make(
        _shared("intrinsics", intrinsics, views, 2, 3, 3),
        torch.cat([rotations, place[..., None]], dim=-1),
        _shared("image_size", image_size, views, 1, 2),
        lens,
        fisheye,
    )
    check_cameras([str(view) for view in range(views)], cameras, "make_cameras")
    return cameras


def _numbers(name: str, values: ArrayLike) -> Tensor:
    return read(name, values)[0].detach().cpu().double()


def _shared(name: str, values: ArrayLike, views: int, axes: int, *sizes: int) -> Tensor:
    """One value of `axes` axes per view; given once, it is every view's."""
    numbers = _numbers(name, values)
    numbers = numbers.expand(views, *numbers.shape).clone() if numbers.ndim == axes else numbers
    last = [Axis("", size) for size in sizes] or [Axis("coefficients")]
    expect(name, numbers, Axis("views", views), *last, batch=False)
    return numbers


def calibrate_from_people(
    pixels: ArrayLike,
    confidence: ArrayLike | None = None,
    *,
    skeleton: str | Skeleton,
    fps: Number,
    image_size: ArrayLike | None = None,
    intrinsics: Cameras | Calibration | None = None,
    camera_names: Sequence[str] | None = None,
    stature: Number | None = None,
    distance: tuple[str, str, float] | None = None,
    fit_clock: Literal["auto", "fixed", "offset", "drift"] = "auto",
    seed: int = 0,
) -> Calibration:
    """Calibrate cameras from the joints of a person whom they saw together: no board, no 3D labels.

    Relative poses [Nister04], then bundle adjustment [Triggs00] of poses, of what is not known of the intrinsics, and
    of time offsets between the cameras. The world is metric, z up (from the body), its origin on the floor. For several
    people, files and boards see `Session.calibrate`.

    Args:
        pixels: (frames, views, joints, 2), as filmed; NaN: not seen. One person who walks about; half a minute is
            plenty. NumPy array, tensor or nested lists.
        confidence: (frames, views, joints), in [0, 1]; below 0.3 a detection is left out. Default: all count.
        skeleton: Of the joints, or its name.
        fps: Frames per second.
        image_size: (views, 2) or (2,): width, height in pixels. Needed where no `intrinsics` are given.
        intrinsics: Cameras whose intrinsics and distortion are known; where they stand is ignored. Default: no
            distortion, and one focal length for all cameras, which is found.
        camera_names: Default: cam_1, cam_2, ...
        stature: Height of the person in metres; sets the scale. Default: an adult's, 1.7 m give or take.
        distance: Two joints or two cameras, and the metres between them; sets the scale instead.
        fit_clock: "auto": estimate each camera's time offset, where that is more than noise; "fixed": they are
            synchronised; "offset", "drift": find these in any case.
        seed: Of the robust search.

    Returns:
        The calibration: `.cameras` with their `.names`, `.sigma` (standard deviations), `.clocks`, `.provenance`.

    Raises:
        CoviewError: Axes in another order; a recording that does not determine the cameras (the message says what to
            record instead); both a stature and a distance.

    Example:
        >>> import coview
        >>> pixels, confidence = coview.example_session("walk").joints2d()
        >>> found = coview.calibrate_from_people(
        ...     pixels, confidence, skeleton="h36m_17", fps=25, image_size=(1000, 1000), stature=1.75
        ... )
        >>> len(found.cameras)
        4
    """
    if image_size is None and intrinsics is None:
        raise InputError(
            "image_size: without intrinsics the images' width and height are needed, (width, height) or one pair per "
            "view: the principal point is taken to be in the middle."
        )
    with tempfile.TemporaryDirectory(prefix="coview-") as folder:
        session = Session.from_arrays(
            Path(folder) / "recording",
            pixels,
            confidence,
            fps=fps,
            skeleton=skeleton,
            image_size=image_size,
            camera_names=camera_names,
            calibration=intrinsics,
        )
        given: dict[str, Any] = {"stature": stature, "distance": distance, "seed": seed}
        return session.calibrate("people", fit_clock=fit_clock, **given).calibration
