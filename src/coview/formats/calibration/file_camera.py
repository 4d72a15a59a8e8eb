"""Cameras as calibration files describe them, before they are checked and converted; and what a format is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from coview.errors import InputError

UNKNOWN_SIZE = (float("nan"), float("nan"))
_ROUNDED = 1e-3  # a rotation matrix this near to a rotation was rounded when written, and is mended


@dataclass(frozen=True)
class FileCamera:
    """One camera as a file describes it, in the file's unit of length; OpenCV axes, pixel centres at whole numbers."""

    name: str
    alias: str  # the name of its section, which may differ
    size: tuple[float, float]  # width, height in pixels; NaN: not said
    matrix: np.ndarray  # 3 3
    distortions: tuple[float, ...]  # OpenCV's order k1 k2 p1 p2 k3 k4 k5 k6; k1..k4 for a fisheye lens
    fisheye: bool
    rotation: np.ndarray | None  # 3 3, camera from world; None: only the lens is known
    translation: np.ndarray | None  # 3


@dataclass(frozen=True)
class FileCalibration:
    """A calibration file before it is checked and converted."""

    cameras: tuple[FileCamera, ...]
    format: str
    units: str | None  # "m", "cm", "mm"; None: the file does not say
    metadata: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    scale_known: bool = True  # False: the format's lengths are in no unit at all, so that none may be guessed


@dataclass(frozen=True)
class CalibrationFormat:
    """How a format is recognised, read and written, and what it can hold."""

    key: str  # for --to
    title: str
    place: str  # what B is named, in words
    recognises: Callable[[Path, str], bool]  # path, and its text ("" for folders and binary files)
    read: Callable[[Path], FileCalibration]
    write: Callable[[Sequence[FileCamera], Path], dict[Path, bytes]]  # cameras in metres, and B
    means: Callable[[Path], bool]  # whether a file of this name is to be in this format
    unit: str
    coefficients: frozenset[int] = frozenset(range(5))  # indices in OpenCV's order that it can express
    fisheye: bool = False
    skew: bool = True
    intrinsics_only: bool = True  # whether it can say that it is not known where a camera stands
    rename: Callable[[str, int], str] = lambda name, index: name  # what the format makes of a camera's name
    world: str = ""  # what its readers expect of the world


def array(value: Any, shape: tuple[int, ...] | None, label: str) -> np.ndarray:
    """Numbers of a known shape. Columns such as [[1], [2], [3]] are taken for (3,). ValueError with `label`."""
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
    """`count` numbers or more, separated by spaces; the first `count` of them."""
    try:
        found = [float(part) for part in text.split()]
    except ValueError as error:
        raise InputError(f"{label} should be numbers, found '{text[:80]}'.") from error
    if len(found) < count:
        raise InputError(f"{label} should be {count} numbers, found {len(found)}: '{text[:80]}'.")
    return found[:count]


def rotation_matrix(value: Any, label: str) -> np.ndarray:
    """A Rodrigues vector or a 3×3 matrix, as a matrix; one that was rounded is made orthonormal."""
    found = array(value, None, label)
    if found.size == 3:
        return Rotation.from_rotvec(found.ravel()).as_matrix()
    return mended(array(value, (3, 3), label))


def rotation_from_quaternion(wxyz: Sequence[float], label: str) -> np.ndarray:
    """Rotation matrix of a unit quaternion, scalar first. ValueError where it is not of unit length."""
    length = float(np.linalg.norm(wxyz))
    if not abs(length - 1) < _ROUNDED:
        raise InputError(
            f"{label}: the quaternion {tuple(wxyz)} has length {length:.4g} instead of 1, so these four numbers "
            f"are not the rotation. Are columns missing, or in another order?"
        )
    w, x, y, z = wxyz
    return Rotation.from_quat([x, y, z, w]).as_matrix()


def quaternion(rotation: np.ndarray) -> tuple[float, float, float, float]:
    """Unit quaternion (w, x, y, z) of a rotation matrix, w not negative."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True).tolist()
    return w, x, y, z


def mended(matrix: np.ndarray) -> np.ndarray:
    """The nearest rotation where `matrix` is off by rounding only; else `matrix`, for the gate to refuse."""
    error = np.abs(matrix.T @ matrix - np.eye(3)).max()
    if not error <= _ROUNDED or np.linalg.det(matrix) < 0:
        return matrix
    left, _, right = np.linalg.svd(matrix)
    return left @ right


def camera_matrix(fx: float, fy: float, cx: float, cy: float, skew: float = 0.0) -> np.ndarray:
    """K, pixels."""
    return np.array([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def lens(camera: FileCamera, count: int) -> list[float]:
    """`count` distortion coefficients, padded with zeros."""
    return [*camera.distortions, *[0.0] * 8][:count]


def placed(camera: FileCamera, per_metre: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation (metres times `per_metre`) of a camera that is known to have them."""
    assert camera.rotation is not None
    assert camera.translation is not None
    return camera.rotation, camera.translation * per_metre


def whole_size(camera: FileCamera) -> tuple[int, int]:
    """Width and height in whole pixels."""
    return round(camera.size[0]), round(camera.size[1])
