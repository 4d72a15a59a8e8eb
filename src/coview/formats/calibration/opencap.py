"""OpenCap's cameraIntrinsicsExtrinsics.pickle: one per camera, millimetres, image size as [[height], [width]]."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from coview.errors import InputError
from coview.formats.calibration.file_camera import (
    UNKNOWN_SIZE,
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    array,
    distortion_coefficients,
    distortion_list,
    extrinsics,
    nearest_rotation,
    whole_size,
)
from coview.formats.io.camera_names import natural_key
from coview.formats.io.untrusted import read_pickle

_FILE = "cameraIntrinsicsExtrinsics.pickle"
_ENDINGS = (".pickle", ".pkl")
_PLACES = (f"Videos/*/{_FILE}", f"*/{_FILE}", "*.pickle", "*.pkl")
_BOARD = (
    "OpenCap's world is its checkerboard's (x and y in the board): z is up only where the board lay flat."
)


def _recognises(path: Path, text: str) -> bool:
    if path.is_dir():
        return bool(_files(path))
    return path.suffix.casefold() in _ENDINGS


def _files(folder: Path) -> list[Path]:
    found = next((files for place in _PLACES if (files := list(folder.glob(place)))), [])
    return sorted(found, key=lambda path: natural_key(path.as_posix()))


def _read(path: Path) -> FileCalibration:
    files = _files(path) if path.is_dir() else [path]
    cameras = tuple(_camera(file) for file in files)
    notes = (_BOARD,) if all(camera.rotation is not None for camera in cameras) else ()
    return FileCalibration(cameras, OPENCAP.title, "mm", notes=notes)


def _camera(path: Path) -> FileCamera:
    content: Any = read_pickle(path)
    if not isinstance(content, dict) or "intrinsicMat" not in content:
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path} has no `intrinsicMat`, so it is not OpenCap's; it holds: {keys}.")
    name = path.parent.name if path.stem.startswith("cameraIntrinsics") else path.stem
    label = f"{path}: camera '{name}'"
    size = array(content.get("imageSize", UNKNOWN_SIZE), (2,), f"{label}: imageSize")
    pose = content.get("rotation"), content.get("translation")
    if (pose[0] is None) != (pose[1] is None):
        raise InputError(f"{label}: of `rotation` and `translation` only one is there. Calibrate again.")
    rotation, translation = pose
    return FileCamera(
        name,
        name,
        # written height first
        (float(size[1]), float(size[0])),
        array(content["intrinsicMat"], (3, 3), f"{label}: intrinsicMat"),
        distortion_list(content.get("distortion"), f"{label}: distortion"),
        False,
        None if rotation is None else nearest_rotation(array(rotation, (3, 3), f"{label}: rotation")),
        None if translation is None else array(translation, (3,), f"{label}: translation"),
    )


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    if path.suffix.casefold() in _ENDINGS:
        [camera] = cameras
        return {path: _pickled(camera)}
    return {path / "Videos" / camera.name / _FILE: _pickled(camera) for camera in cameras}


def _pickled(camera: FileCamera) -> bytes:
    """The one pickle that coview writes, because OpenCap reads nothing else: a dict of arrays of numbers.

    Protocol 2 names numpy's modules in plain text; the names of numpy 1, which numpy 2 reads too, are put there,
    because OpenCap runs on numpy 1."""
    width, height = whole_size(camera)
    content: dict[str, np.ndarray] = {
        "intrinsicMat": camera.matrix,
        "distortion": np.array([distortion_coefficients(camera, 5)]),
        "imageSize": np.array([[float(height)], [float(width)]]),
    }
    if camera.rotation is not None:
        rotation, translation = extrinsics(camera, 1000.0)
        content |= {
            "rotation": rotation,
            "translation": translation[:, None],
            "rotation_EulerAngles": Rotation.from_matrix(rotation).as_rotvec()[:, None],
        }
    return pickle.dumps(content, protocol=2).replace(b"cnumpy._core.", b"cnumpy.core.")


OPENCAP = CalibrationFormat(
    key="opencap",
    title="OpenCap pickle",
    place="a folder (Videos/<camera>/… in it), or a .pickle for one camera",
    recognises=_recognises,
    read=_read,
    write=_write,
    means=lambda path: path.suffix.casefold() in _ENDINGS,
    unit="mm",
    world="kept as it is; OpenCap's own is its checkerboard's",
)
