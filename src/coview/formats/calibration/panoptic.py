"""CMU Panoptic's calibration_<sequence>.json: centimetres; its world with y down is rotated to z up on reading."""

import json
import re
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
    distortion_coefficients,
    distortion_list,
    extrinsics,
    nearest_rotation,
    whole_size,
)
from coview.formats.io.text import read_json

# Panoptic's world has −y up. X_panoptic = _TURN X_ours: ours is (x, z, −y), a quarter turn about x.
_TURN = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
_NAME = re.compile(r"(\d+)_(\d+)")


def _recognises(path: Path, text: str) -> bool:
    return path.suffix.casefold() == ".json" or text.lstrip().startswith("{")


def _read(path: Path) -> FileCalibration:
    content = read_json(path)
    rows = content.get("cameras") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise InputError(
            f"{path}: JSON without a list `cameras`, so it is not CMU Panoptic's calibration_<sequence>.json; nor has "
            f"it a table per camera with R, T, fx, fy, cx, cy (VoxelPose) or K, RT (4d_association)."
        )
    cameras = tuple(_camera(row, number, path) for number, row in enumerate(rows))
    return FileCalibration(cameras, PANOPTIC.title, "cm", notes=(_TURNED,))


_TURNED = "Panoptic's world (−y up) was turned to z up: (x, y, z) there is (x, z, −y) here."


def _camera(row: dict[str, Any], number: int, path: Path) -> FileCamera:
    name = str(row.get("name", f"number {number}"))
    label = f"{path}: camera '{name}'"
    missing = [key for key in ("K", "R", "t") if key not in row]
    if missing:
        raise InputError(f"{label} has no {', '.join(missing)}. Download the sequence's calibration again.")
    size = array(row.get("resolution", UNKNOWN_SIZE), (2,), f"{label}: resolution")
    rotation = nearest_rotation(array(row["R"], (3, 3), f"{label}: R"))
    return FileCamera(
        name,
        name,
        (float(size[0]), float(size[1])),
        array(row["K"], (3, 3), f"{label}: K"),
        distortion_list(row.get("distCoef"), f"{label}: distCoef"),
        False,
        rotation @ _TURN,
        array(row["t"], (3,), f"{label}: t"),
    )


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    rows = [_row(camera, number) for number, camera in enumerate(cameras)]
    content = {"calibDataSource": "coview", "cameras": rows}
    return {path: (json.dumps(content, indent=1) + "\n").encode()}


def _row(camera: FileCamera, number: int) -> dict[str, Any]:
    rotation, translation = extrinsics(camera, 100.0)
    said = _NAME.fullmatch(camera.name)
    panel, node = (int(said.group(1)), int(said.group(2))) if said else (0, number)
    return {
        "name": camera.name,
        "type": "hd",
        "resolution": list(whole_size(camera)),
        "panel": panel,
        "node": node,
        "K": camera.matrix.tolist(),
        "distCoef": distortion_coefficients(camera, 5),
        "R": (rotation @ _TURN.T).tolist(),
        "t": translation[:, None].tolist(),
    }


PANOPTIC = CalibrationFormat(
    key="panoptic",
    title="CMU Panoptic JSON",
    place="a .json",
    recognises=_recognises,
    read=_read,
    write=_write,
    means=lambda path: path.suffix.casefold() == ".json",
    unit="cm",
    intrinsics_only=False,
    world="turned from z up to Panoptic's −y up, taking for granted that z was up",
)
