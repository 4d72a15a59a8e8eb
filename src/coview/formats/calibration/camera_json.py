"""Camera JSON by id: VoxelPose's, with centres in millimetres, and 4d_association's, in metres.

Both hold one table per camera under its id; Campus and Shelf are shipped in the first.
"""

import json
from collections.abc import Sequence
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
    camera_matrix,
    distortion_coefficients,
    distortion_list,
    extrinsics,
    nearest_rotation,
    whole_size,
)
from coview.formats.io.camera_names import natural_key
from coview.formats.io.text import read_json

_VOXELPOSE_KEYS = frozenset({"R", "T", "fx", "fy", "cx", "cy"})
_ASSOCIATION_KEYS = frozenset({"K", "RT"})


def camera_tables(path: Path) -> dict[str, dict[str, Any]]:
    """The tables of a JSON file that has one per camera.

    Args:
        path: The file.

    Returns:
        By name, in natural order; empty where it is another kind of JSON.
    """
    if not path.is_file():
        return {}
    try:
        content = read_json(path)
    except ValueError:
        # whoever reads it says what is wrong
        return {}
    if not isinstance(content, dict) or not content:
        return {}
    if not all(isinstance(row, dict) for row in content.values()):
        return {}
    return {str(name): content[name] for name in sorted(content, key=natural_key)}


def _recognised(keys: frozenset[str], path: Path, text: str) -> bool:
    tables = camera_tables(path) if text.lstrip().startswith("{") else {}
    return bool(tables) and all(keys <= set(row) for row in tables.values())


def _size(row: dict[str, Any], key: str, label: str) -> tuple[float, float]:
    size = array(row.get(key, UNKNOWN_SIZE), (2,), f"{label}: {key}")
    return float(size[0]), float(size[1])


# --- VoxelPose ---------------------------------------------------------------------------------------


def _read_voxelpose(path: Path) -> FileCalibration:
    cameras = tuple(_voxelpose(name, row, path) for name, row in camera_tables(path).items())
    return FileCalibration(cameras, VOXELPOSE.title, "mm")


def _voxelpose(name: str, row: dict[str, Any], path: Path) -> FileCamera:
    """x = R (X − T): T is the camera's centre; k holds k1 k2 k3, p holds p1 p2."""
    label = f"{path}: camera '{name}'"
    fx, fy, cx, cy = (float(array(row[key], (1,), f"{label}: {key}")[0]) for key in ("fx", "fy", "cx", "cy"))
    radial = distortion_list(row.get("k"), f"{label}: k")
    tangential = distortion_list(row.get("p"), f"{label}: p")
    if len(radial) > 3 or len(tangential) > 2:
        raise InputError(
            f"{label}: k has {len(radial)} numbers and p {len(tangential)}; understood are k1 k2 k3 and p1 p2."
        )
    k1, k2, k3 = (*radial, 0.0, 0.0, 0.0)[:3]
    p1, p2 = (*tangential, 0.0, 0.0)[:2]
    rotation = nearest_rotation(array(row["R"], (3, 3), f"{label}: R"))
    return FileCamera(
        name,
        name,
        _size(row, "size", label),
        camera_matrix(fx, fy, cx, cy),
        (k1, k2, p1, p2, k3),
        False,
        rotation,
        -rotation @ array(row["T"], (3,), f"{label}: T"),
    )


def _write_voxelpose(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    return {path: _dumped({camera.name: _voxelpose_row(camera) for camera in cameras})}


def _voxelpose_row(camera: FileCamera) -> dict[str, Any]:
    rotation, translation = extrinsics(camera, 1000.0)
    (fx, _, cx), (_, fy, cy), _ = camera.matrix.tolist()
    k1, k2, p1, p2, k3 = distortion_coefficients(camera, 5)
    centre = -rotation.T @ translation
    return {
        "R": rotation.tolist(),
        "T": centre[:, None].tolist(),
        **{"fx": fx, "fy": fy, "cx": cx, "cy": cy},
        "k": [[k1], [k2], [k3]],
        "p": [[p1], [p2]],
        "size": list(whole_size(camera)),
    }


VOXELPOSE = CalibrationFormat(
    key="voxelpose",
    title="VoxelPose JSON",
    place="a .json",
    recognises=lambda path, text: _recognised(_VOXELPOSE_KEYS, path, text),
    read=_read_voxelpose,
    write=_write_voxelpose,
    means=lambda path: False,
    unit="mm",
    skew=False,
    intrinsics_only=False,
)


# --- 4d_association ----------------------------------------------------------------------------------


def _read_association(path: Path) -> FileCalibration:
    cameras = tuple(_association(name, row, path) for name, row in camera_tables(path).items())
    return FileCalibration(cameras, ASSOCIATION.title, "m")


def _association(name: str, row: dict[str, Any], path: Path) -> FileCamera:
    """x = R X + t with RT = [R | t], written as 3×4 or as its 12 numbers row by row; so is K."""
    label = f"{path}: camera '{name}'"
    pose = array(row["RT"], None, f"{label}: RT")
    matrix = array(row["K"], None, f"{label}: K")
    if pose.size != 12 or matrix.size != 9:
        raise InputError(
            f"{label}: K should be 3×3 and RT 3×4 numbers, found {matrix.shape} and {pose.shape}."
        )
    pose = pose.reshape(3, 4)
    return FileCamera(
        name,
        name,
        _size(row, "imgSize", label),
        matrix.reshape(3, 3),
        distortion_list(row.get("distCoeff"), f"{label}: distCoeff"),
        False,
        nearest_rotation(pose[:, :3]),
        pose[:, 3],
    )


def _write_association(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    return {path: _dumped({camera.name: _association_row(camera) for camera in cameras})}


def _association_row(camera: FileCamera) -> dict[str, Any]:
    rotation, translation = extrinsics(camera)
    return {
        "K": camera.matrix.ravel().tolist(),
        "RT": np.column_stack([rotation, translation]).ravel().tolist(),
        "imgSize": list(whole_size(camera)),
        "distCoeff": distortion_coefficients(camera, 5),
    }


def _dumped(tables: dict[str, dict[str, Any]]) -> bytes:
    return (json.dumps(tables, indent=1) + "\n").encode()


ASSOCIATION = CalibrationFormat(
    key="4d_association",
    title="4d_association JSON",
    place="a .json",
    recognises=lambda path, text: _recognised(_ASSOCIATION_KEYS, path, text),
    read=_read_association,
    write=_write_association,
    means=lambda path: False,
    unit="m",
    intrinsics_only=False,
)
