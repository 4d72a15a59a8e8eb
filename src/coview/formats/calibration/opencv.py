"""OpenCV YAML: one camera per file, a stereo pair in one file, and JARVIS, which writes matrices transposed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError
from coview.formats.calibration.file_camera import (
    UNKNOWN_SIZE,
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    array,
    distortion_list,
    extrinsics,
    rotation_matrix,
    whole_size,
)
from coview.formats.calibration.opencv_yaml import dump_opencv_yaml, read_opencv_yaml
from coview.formats.io.camera_names import listed, natural_key

_ENDINGS = (".yml", ".yaml")
# the names that OpenCV's own samples and common tools give to one thing
_MATRIX = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "K", "M")
_LENS = ("distortion_coefficients", "Distortion_Coefficients", "distCoeffs", "dist_coeffs", "D")
_WIDTH, _HEIGHT = ("image_width", "image_Width", "width"), ("image_height", "image_Height", "height")
_ROTATION, _TRANSLATION = ("R", "Rot", "rotation", "rvec"), ("T", "t", "translation", "tvec")
_FISHEYE = frozenset({"fisheye", "equidistant", "kannala_brandt"})
_FIRST, _SECOND = "cam_1", "cam_2"


def _recognises(path: Path, text: str) -> bool:
    if path.is_dir():
        return bool(_yaml_files(path))
    return path.suffix.casefold() in _ENDINGS or text.startswith("%YAML")


def _yaml_files(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.suffix.casefold() in _ENDINGS and path.is_file()]
    return sorted(files, key=lambda path: natural_key(path.name))


def _read(path: Path) -> FileCalibration:
    if not path.is_dir():
        return _from_table(read_opencv_yaml(path), path)
    parts = [_from_table(read_opencv_yaml(file), file) for file in _yaml_files(path)]
    cameras = tuple(camera for part in parts for camera in part.cameras)
    without = [camera.name for camera in cameras if camera.rotation is None]
    if without and len(without) < len(cameras):
        raise InputError(
            f"{path}: the files of {listed(without)} hold intrinsics only, the others say where their cameras stand. "
            f"Calibrate all together, or move those files away."
        )
    units = {part.units for part in parts}
    if len(units) > 1:
        raise InputError(f"{path}: the files state different units: {listed(map(str, units))}.")
    return FileCalibration(
        cameras, parts[0].format, units.pop(), notes=tuple(n for p in parts for n in p.notes)
    )


def _from_table(table: dict[str, Any], path: Path) -> FileCalibration:
    if "intrinsicMatrix" in table:
        return FileCalibration((_jarvis(table, path),), "JARVIS YAML", None)
    if _given(table, [f"{name}1" for name in _MATRIX]) is not None:
        return _stereo(table, path)
    matrix = _given(table, _MATRIX)
    if matrix is None:
        raise InputError(
            f"{path} holds no camera matrix under a name that OpenCV's tools use ({', '.join(_MATRIX)}; K1, K2 for "
            f"a pair). Its names are: {', '.join(table) or 'none'}."
        )
    name = str(table.get("camera_name") or path.stem)
    pose = _given(table, _ROTATION), _given(table, _TRANSLATION)
    camera = _camera(name, table, matrix, _given(table, _LENS), pose, path)
    units = table.get("units")
    return FileCalibration((camera,), OPENCV.title, units if isinstance(units, str) else None)


def _camera(
    name: str, table: dict[str, Any], matrix: Any, lens: Any, pose: tuple[Any, Any], path: Path
) -> FileCamera:
    label = f"{path}: camera '{name}'"
    fisheye = (
        str(table.get("distortion_model", "")).casefold() in _FISHEYE or table.get("fisheye_model") == "1"
    )
    rotation, translation = pose
    if (rotation is None) != (translation is None):
        missing = "rotation R" if rotation is None else "translation T"
        raise InputError(
            f"{label}: the {missing} is missing. Give both, or neither if only the lens is known."
        )
    return FileCamera(
        name,
        name,
        _size(table, label),
        array(matrix, (3, 3), f"{label}: camera matrix"),
        distortion_list(lens, f"{label}: distortion", fisheye=fisheye),
        fisheye,
        None if rotation is None else rotation_matrix(rotation, f"{label}: R"),
        None if translation is None else array(translation, (3,), f"{label}: T"),
    )


def _size(table: Mapping[str, Any], label: str) -> tuple[float, float]:
    width, height = _given(table, _WIDTH), _given(table, _HEIGHT)
    if width is None or height is None:
        return UNKNOWN_SIZE
    found = array([width, height], (2,), f"{label}: image size")
    return float(found[0]), float(found[1])


def _stereo(table: dict[str, Any], path: Path) -> FileCalibration:
    """The first camera is the world; x₂ = R x₁ + T."""
    second = _given(table, _ROTATION), _given(table, _TRANSLATION)
    first = (None, None) if second[0] is None else (np.eye(3), np.zeros(3))
    cameras = []
    for name, number, pose in ((_FIRST, "1", first), (_SECOND, "2", second)):
        matrix, lens = (_given(table, [f"{key}{number}" for key in keys]) for keys in (_MATRIX, _LENS))
        if matrix is None:
            raise InputError(
                f"{path}: of the stereo pair only one camera matrix is there; K2 (or M2) is missing."
            )
        cameras.append(_camera(name, table, matrix, lens, pose, path))
    said = f"{path.name}: a stereo pair without names; its cameras are called {_FIRST} and {_SECOND}."
    return FileCalibration(tuple(cameras), "OpenCV stereo YAML", None, notes=(said,))


def _jarvis(table: dict[str, Any], path: Path) -> FileCamera:
    """MATLAB's row vectors: pixels ~ [X 1] [R; T] K, so that every matrix is OpenCV's transposed."""
    name = path.stem
    transposed = {
        key: array(table[key], (3, 3), f"{path}: {key}").T for key in ("intrinsicMatrix", "R") if key in table
    }
    pose = transposed.get("R"), table.get("T")
    lens = table.get("distortionCoefficients")
    return _camera(name, table, transposed["intrinsicMatrix"], lens, pose, path)


def _given(table: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((table[name] for name in names if name in table), None)


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    if path.suffix.casefold() in _ENDINGS:
        [camera] = cameras
        return {path: _text(camera)}
    return {path / f"{camera.name}.yml": _text(camera) for camera in cameras}


def _text(camera: FileCamera) -> bytes:
    width, height = whole_size(camera)
    table: dict[str, Any] = {
        "camera_name": camera.name,
        "image_width": width,
        "image_height": height,
        "camera_matrix": camera.matrix,
        "distortion_model": "fisheye" if camera.fisheye else "plumb_bob",
        "distortion_coefficients": np.array([camera.distortions]),
    }
    if camera.rotation is not None:
        rotation, translation = extrinsics(camera)
        table |= {"R": rotation, "T": translation[:, None], "units": "m"}
    return dump_opencv_yaml(table).encode()


OPENCV = CalibrationFormat(
    key="opencv",
    title="OpenCV YAML",
    place="a folder (one .yml per camera), or a .yml for one camera",
    recognises=_recognises,
    read=_read,
    write=_write,
    means=lambda path: path.suffix.casefold() in _ENDINGS,
    unit="m",
    coefficients=frozenset(range(8)),
    fisheye=True,
)
