"""Cameras as calibration files describe them, before checks and unit conversion; and what a file format is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from coview.cameras import Cameras
from coview.errors import InputError

UNKNOWN_SIZE = (float("nan"), float("nan"))
# a matrix whose RᵀR is this near to the identity was rounded when written, and is made orthonormal
_ROUNDED = 1e-3


@dataclass(frozen=True)
class FileCamera:
    """One camera as a file describes it: the file's unit of length, OpenCV axes, pixel centres at whole numbers."""

    # of the camera
    name: str
    # the name of its section, which may differ
    alias: str
    # width, height in pixels; NaN: not said
    size: tuple[float, float]
    # K, shape (3, 3), pixels
    matrix: np.ndarray
    # OpenCV's order k1 k2 p1 p2 k3 k4 k5 k6; k1..k4 for a fisheye lens
    distortions: tuple[float, ...]
    # whether the distortion is the equidistant fisheye model's
    fisheye: bool
    # shape (3, 3), camera from world; None: only the intrinsics are known
    rotation: np.ndarray | None
    # shape (3,), camera from world, in the file's unit; None: only the intrinsics are known
    translation: np.ndarray | None


@dataclass(frozen=True)
class FileCalibration:
    """The cameras of a calibration file before they are checked and converted to metres."""

    # in the file's order
    cameras: tuple[FileCamera, ...]
    # title of the format
    format: str
    # "m", "cm", "mm"; None: the file does not say
    units: str | None
    # the file's own table of further facts
    metadata: dict[str, Any] = field(default_factory=dict)
    # what the user should know before relying on it
    notes: tuple[str, ...] = ()
    # False: the format's lengths are up to an unknown scale, so no unit may be inferred
    scale_known: bool = True
    # the cameras by every documented reading of the format, in words, where there are several: what the cameras saw
    # decides
    readings: tuple[tuple[str, tuple[FileCamera, ...]], ...] = ()


@dataclass(frozen=True)
class CalibrationFormat:
    """A file format: how it is recognised, read and written, and what it can hold."""

    # its name for `--to`
    key: str
    # its name in messages
    title: str
    # what the file or folder to write is called, in words
    place: str
    # whether a file is in this format, from its path and its text ("" for folders and binary files)
    recognises: Callable[[Path, str], bool]
    # reads a file of this format
    read: Callable[[Path], FileCalibration]
    # content of each file to write, from cameras in metres and the path of the target
    write: Callable[[Sequence[FileCamera], Path], dict[Path, bytes]]
    # whether the name of a target means this format
    means: Callable[[Path], bool]
    # unit of length of what is written, in words
    unit: str
    # indices (OpenCV's order) of the distortion coefficients that it can hold
    coefficients: frozenset[int] = frozenset(range(5))
    # whether it can hold fisheye distortion (equidistant, k1..k4)
    fisheye: bool = False
    # whether it can hold skew
    skew: bool = True
    # whether it can hold cameras without extrinsics
    intrinsics_only: bool = True
    # name of a camera in this format, from its name and index
    rename: Callable[[str, int], str] = lambda name, index: name
    # what its readers expect of the world frame, in words
    world: str = ""


def array(value: Any, shape: tuple[int, ...] | None, label: str) -> np.ndarray:
    """An array of a given shape from nested lists; columns such as [[1], [2], [3]] are taken for shape (3,).

    Args:
        value: Nested lists of numbers.
        shape: The shape required; None: any.
        label: File and place, for messages.

    Returns:
        float64.

    Raises:
        ValueError: These are not numbers, or of another shape; the message begins with `label`.
    """
    try:
        found = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{label} should be numbers, found {value!r}.") from error
    if shape is not None and len(shape) == 1 and found.size == shape[0]:
        found = found.ravel()
    if shape is not None and found.shape != shape:
        raise InputError(f"{label} should have shape {shape}, found {found.shape}: {value!r}.")
    return found


def numbers(text: str, count: int, label: str) -> list[float]:
    """The first numbers of a text, separated by spaces.

    Args:
        text: The text.
        count: How many are needed; more are ignored.
        label: File and place, for messages.

    Returns:
        `count` numbers.

    Raises:
        ValueError: These are not numbers, or too few; the message begins with `label`.
    """
    try:
        found = [float(part) for part in text.split()]
    except ValueError as error:
        raise InputError(f"{label} should be numbers, found '{text[:80]}'.") from error
    if len(found) < count:
        raise InputError(f"{label} should be {count} numbers, found {len(found)}: '{text[:80]}'.")
    return found[:count]


def distortion_list(value: Any, label: str, *, fisheye: bool = False) -> tuple[float, ...]:
    """The distortion coefficients of a file, of which OpenCV writes 4, 5, 8, 12 or 14.

    Zeros beyond those that are understood change no pixel and are dropped: calibration functions pad with them.

    Args:
        value: Nested lists of numbers in OpenCV's order, k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 τx τy; None: none.
        label: File and place, for messages.
        fisheye: Whether they are k1 … k4 of the equidistant model.

    Returns:
        At most 8 coefficients, at most 4 of a fisheye lens.

    Raises:
        ValueError: These are not numbers, or coefficients of a model that is not understood are not zero.
    """
    found = array([] if value is None else value, None, label).ravel()
    most = 4 if fisheye else 8
    if bool((found[most:] != 0).any()):
        lens = (
            "a fisheye lens has k1 to k4"
            if fisheye
            else "the thin-prism and tilted models are not understood"
        )
        raise InputError(
            f"{label}: {len(found)} distortion coefficients, those from number {most + 1} on not all zero; "
            f"at most {most} are understood ({lens}). Calibrate again without them, or undistort the videos first."
        )
    return tuple(found[:most].tolist())


def rotation_matrix(value: Any, label: str) -> np.ndarray:
    """Rotation matrix of a Rodrigues vector or of a 3×3 matrix; one that was rounded is made orthonormal.

    Args:
        value: 3 numbers (axis times angle, radians), or 3×3.
        label: File and place, for messages.

    Returns:
        Shape (3, 3). A matrix that is no rotation is returned as it is: `check_cameras` refuses it.

    Raises:
        ValueError: These are neither 3 nor 3×3 numbers.
    """
    found = array(value, None, label)
    if found.size == 3:
        return Rotation.from_rotvec(found.ravel()).as_matrix()
    return nearest_rotation(array(value, (3, 3), label))


def rotation_from_quaternion(wxyz: Sequence[float], label: str) -> np.ndarray:
    """Rotation matrix of a unit quaternion.

    Args:
        wxyz: Scalar first.
        label: File and place, for messages.

    Returns:
        Shape (3, 3).

    Raises:
        ValueError: The quaternion is not of unit length (within 1e-3).
    """
    length = float(np.linalg.norm(wxyz))
    if not abs(length - 1) < _ROUNDED:
        raise InputError(
            f"{label}: the quaternion {tuple(wxyz)} has length {length:.4g} instead of 1, so these four numbers "
            f"are not the rotation. Are columns missing, or in another order?"
        )
    w, x, y, z = wxyz
    return Rotation.from_quat([x, y, z, w]).as_matrix()


def quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """Unit quaternion (w, x, y, z) of a rotation matrix, with w not negative.

    Args:
        rotation: Shape (3, 3).

    Returns:
        w, x, y, z.
    """
    x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True).tolist()
    return w, x, y, z


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """The nearest rotation (by SVD) to a matrix that is one up to rounding.

    Args:
        matrix: Shape (3, 3).

    Returns:
        Shape (3, 3); `matrix` itself where it is farther from a rotation than rounding: `check_cameras` refuses it.
    """
    error = np.abs(matrix.T @ matrix - np.eye(3)).max()
    if not error <= _ROUNDED or np.linalg.det(matrix) < 0:
        return matrix
    left, _, right = np.linalg.svd(matrix)
    return left @ right


def camera_matrix(fx: float, fy: float, cx: float, cy: float, skew: float = 0.0) -> np.ndarray:
    """The camera matrix K.

    Args:
        fx: Focal length along x, pixels.
        fy: Focal length along y, pixels.
        cx: Principal point's x, pixels.
        cy: Principal point's y, pixels.
        skew: Pixels.

    Returns:
        Shape (3, 3).
    """
    return np.array([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def distortion_coefficients(camera: FileCamera, count: int) -> list[float]:
    """Distortion coefficients of a camera, padded with zeros.

    Args:
        camera: The camera.
        count: How many coefficients, in OpenCV's order; further ones are dropped.

    Returns:
        `count` numbers.
    """
    return [*camera.distortions, *[0.0] * 8][:count]


def extrinsics(camera: FileCamera, per_metre: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation of a camera that has extrinsics.

    Args:
        camera: The camera; an assertion fails where it has none.
        per_metre: Factor to the unit of the translation returned.

    Returns:
        Camera from world: shape (3, 3), and shape (3,) times `per_metre`.
    """
    assert camera.rotation is not None
    assert camera.translation is not None
    return camera.rotation, camera.translation * per_metre


def whole_size(camera: FileCamera) -> tuple[int, int]:
    """Width and height in whole pixels."""
    return round(camera.size[0]), round(camera.size[1])


def camera_table(camera: Cameras, name: str) -> dict[str, Any]:
    """One camera as anipose and Pose2Sim read it.

    Args:
        camera: One camera, no batch axis; extrinsics in metres, NaN where not known.
        name: Of the camera.

    Returns:
        The table for TOML.
    """
    table = {
        "name": name,
        "size": [round(side) for side in camera.size.tolist()],
        "matrix": camera.intrinsics.tolist(),
        "distortions": _coefficients(camera),
        "fisheye": bool(camera.fisheye),
    }
    if bool(camera.cam_from_world.isnan().any()):
        return table
    return table | {
        "rotation": Rotation.from_matrix(camera.rotation.double().numpy()).as_rotvec().tolist(),
        "translation": camera.translation.tolist(),
    }


def _coefficients(camera: Cameras) -> list[float]:
    """As many as other programs expect: 4 for a fisheye lens, 5, or 8 where the last three matter."""
    values: list[float] = camera.distortion.tolist()
    if bool(camera.fisheye):
        return values[:4]
    return values if any(values[5:]) else values[:5]
