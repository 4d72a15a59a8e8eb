"""Calibration files of other programs, as they say it: anipose/Pose2Sim/Caliscope TOML and Qualisys XML."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from scipy.spatial.transform import Rotation

from coview.formats.text import read_text, read_toml, read_xml

_NOT_CAMERAS = frozenset({"metadata", "capture_volume", "charuco", "checkerboard"})
_ROUNDED = 1e-3  # a rotation matrix this near to a rotation was rounded when written, and is mended
_QUALISYS_MODELS = ("video", "hybrid", "none")  # the others are marker cameras, which film nothing


@dataclass(frozen=True)
class FileCamera:
    """One camera as a file describes it, in the file's unit of length."""

    name: str
    alias: str  # the name of its section, which may differ
    size: tuple[float, float]  # width, height in pixels; NaN: not said
    matrix: np.ndarray  # 3 3
    distortions: tuple[float, ...]
    fisheye: bool
    rotation: np.ndarray | None  # 3 3, camera from world; None: only the lens is known
    translation: np.ndarray | None  # 3


@dataclass(frozen=True)
class FileCalibration:
    """A calibration file before it is checked and converted."""

    cameras: tuple[FileCamera, ...]
    format: str
    units: str | None  # "m", "cm", "mm"; None: the file does not say
    metadata: dict[str, Any]
    notes: tuple[str, ...] = ()


def read_calibration_file(path: Path) -> FileCalibration:
    """Find out the format from the content and read it. Raises ValueError naming what is understood."""
    if read_text(path).lstrip().startswith("<"):
        return _qualisys(read_xml(path), path)
    table = read_toml(path)
    native = table.get("cameras")
    if isinstance(native, dict) and any(_is_camera(row) for row in native.values()):
        return _caliscope(native, path)
    if any(_is_camera(row) for title, row in table.items() if title not in _NOT_CAMERAS):
        return _anipose(table, path)
    raise ValueError(
        f"{path} holds no camera: no table with a `matrix`. Its tables are: {', '.join(table) or 'none'}. "
        f"Understood are anipose/Pose2Sim TOML, Caliscope's camera_array.toml and Qualisys .qca.txt."
    )


# --- TOML ----------------------------------------------------------------------------------------


def _is_camera(row: Any) -> bool:
    return isinstance(row, dict) and "matrix" in row


def _anipose(table: dict[str, Any], path: Path) -> FileCalibration:
    metadata = table.get("metadata", {})
    rows = {title: row for title, row in table.items() if title not in _NOT_CAMERAS and _is_camera(row)}
    cameras = tuple(
        _toml_camera(str(row.get("name", title)), title, row, path) for title, row in rows.items()
    )
    # zeros throughout are how intrinsics-only files fill the fields; one camera may well be the origin
    if all(c.translation is None or not c.translation.any() for c in cameras) and (
        len(cameras) > 1 or "rotation" not in next(iter(rows.values()))
    ):
        cameras = tuple(_lens_only(camera) for camera in cameras)
    units = metadata.get("units") if isinstance(metadata, dict) else None
    return FileCalibration(cameras, "anipose/Pose2Sim TOML", units, dict(metadata))


def _caliscope(table: dict[str, Any], path: Path) -> FileCalibration:
    cameras, notes = [], []
    for title, row in table.items():
        name = f"cam_{row.get('cam_id', row.get('port', title))}"  # as Caliscope names its videos
        if row.get("ignore") is True:
            notes.append(f"camera '{name}' is marked `ignore` in {path.name} and was left out.")
        else:
            cameras.append(_toml_camera(name, title, row, path))
    return FileCalibration(tuple(cameras), "Caliscope TOML", "m", {}, tuple(notes))


def _toml_camera(name: str, title: str, row: dict[str, Any], path: Path) -> FileCamera:
    label = f"{path}: camera '{name}'"
    size = _array(row.get("size", [np.nan, np.nan]), (2,), f"{label}: size")
    distortions = _array(row.get("distortions", []), None, f"{label}: distortions").ravel()
    if len(distortions) > 8:
        raise ValueError(f"{label}: {len(distortions)} distortion coefficients; at most 8 are understood.")
    rotation, translation = _given(row.get("rotation")), _given(row.get("translation"))
    if (rotation is None) != (translation is None):
        missing = "rotation" if rotation is None else "translation"
        raise ValueError(f"{label}: `{missing}` is missing. Give both, or neither if only the lens is known.")
    return FileCamera(
        name,
        title,
        (float(size[0]), float(size[1])),
        _array(row["matrix"], (3, 3), f"{label}: matrix"),
        tuple(float(value) for value in distortions),
        row.get("fisheye") is True,
        None if rotation is None else _rotation(rotation, f"{label}: rotation"),
        None if translation is None else _array(translation, (3,), f"{label}: translation"),
    )


def _given(value: Any) -> Any:
    """Caliscope writes the text "null" for what it does not know."""
    return None if value is None or value == "null" else value


def _lens_only(camera: FileCamera) -> FileCamera:
    return FileCamera(
        camera.name, camera.alias, camera.size, camera.matrix, camera.distortions, camera.fisheye, None, None
    )


def _array(value: Any, shape: tuple[int, ...] | None, label: str) -> np.ndarray:
    """Numbers of a known shape. Columns such as [[1], [2], [3]] are taken for (3,)."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{label} should be numbers, found {value!r}.") from error
    if shape is not None and len(shape) == 1 and array.size == shape[0]:
        array = array.ravel()
    if shape is not None and array.shape != shape:
        raise ValueError(f"{label} should have shape {shape}, found {array.shape}: {value!r}.")
    return array


def _rotation(value: Any, label: str) -> np.ndarray:
    """A Rodrigues vector or a 3×3 matrix, as a matrix; one that was rounded is made orthonormal."""
    array = _array(value, None, label)
    if array.size == 3:
        return Rotation.from_rotvec(array.ravel()).as_matrix()
    return mended(_array(value, (3, 3), label))


def mended(matrix: np.ndarray) -> np.ndarray:
    """The nearest rotation where `matrix` is off by rounding only; else `matrix`, for the gate to refuse."""
    error = np.abs(matrix.T @ matrix - np.eye(3)).max()
    if not error <= _ROUNDED or np.linalg.det(matrix) < 0:
        return matrix
    left, _, right = np.linalg.svd(matrix)
    return left @ right


# --- Qualisys ------------------------------------------------------------------------------------


def _qualisys(root: Element, path: Path) -> FileCalibration:
    elements = root.findall(".//camera")
    if root.tag != "calibration" or not elements:
        raise ValueError(
            f"{path}: XML with root <{root.tag}> and no <camera>; only Qualisys .qca.txt is known."
        )
    filming = [e for e in elements if e.get("active", "1") != "0" and _films(e)]
    if not filming:
        models = ", ".join(sorted({e.get("model", "?") for e in elements}))
        raise ValueError(
            f"{path}: no active video camera among its {len(elements)} cameras (models: {models})."
        )
    notes = tuple(
        f"camera '{e.get('serial')}' has viewrotation {e.get('viewrotation')}: its video may be turned "
        f"against its calibration; look at the reprojection before trusting it."
        for e in filming
        if float(e.get("viewrotation", "0") or 0) != 0
    )
    cameras = tuple(_qualisys_camera(e, path) for e in filming)
    return FileCalibration(cameras, "Qualisys .qca.txt", "mm", {}, notes)


def _films(camera: Element) -> bool:
    model = camera.get("model", "none").casefold()
    return any(word in model for word in _QUALISYS_MODELS)


def _qualisys_camera(camera: Element, path: Path) -> FileCamera:
    """Centres in mm, axes x right, y up, z backward, pixels in 64ths, distortion as OpenCV's."""
    name = camera.get("serial", "")
    label = f"{path}: camera '{name}'"
    view = _attributes(camera, "fov_video", ("left", "top", "right", "bottom"), label)
    lens = _attributes(camera, "intrinsic", _LENS, label)
    pose = _attributes(camera, "transform", _POSE, label)
    left, top, right, bottom = view
    fx, fy, cx, cy = (value / 64 for value in lens[:4])
    k1, k2, k3, p1, p2 = lens[4:]
    rotation = np.diag([1.0, -1.0, -1.0]) @ mended(np.array(pose[3:]).reshape(3, 3))
    return FileCamera(
        name,
        name,
        (right - left + 1, bottom - top + 1),
        np.array([[fx, lens_skew(camera), cx - left], [0, fy, cy - top], [0, 0, 1]]),
        (k1, k2, p1, p2, k3),
        False,
        rotation,
        -rotation @ np.array(pose[:3]),
    )


_LENS = (
    *("focalLengthU", "focalLengthV", "centerPointU", "centerPointV"),
    *("radialDistortion1", "radialDistortion2", "radialDistortion3"),
    *("tangentalDistortion1", "tangentalDistortion2"),  # Qualisys' spelling
)
_POSE = ("x", "y", "z", "r11", "r12", "r13", "r21", "r22", "r23", "r31", "r32", "r33")


def lens_skew(camera: Element) -> float:
    """Skew in pixels; absent in older files."""
    found = camera.find("intrinsic")
    return float((found.get("skew") if found is not None else None) or 0) / 64


def _attributes(camera: Element, tag: str, names: tuple[str, ...], label: str) -> list[float]:
    element = camera.find(tag)
    if element is None:
        raise ValueError(f"{label}: <{tag}> is missing.")
    try:
        return [float(element.attrib[name]) for name in names]
    except KeyError as error:
        raise ValueError(f"{label}: <{tag}> has no attribute {error}.") from error
    except ValueError as error:
        raise ValueError(f"{label}: <{tag}> holds something that is no number: {error}.") from error
