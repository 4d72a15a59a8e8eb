"""Camera TOML: the layout of aniposelib (shared by Pose2Sim, FreeMoCap and others), and Caliscope's own."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from coview.errors import InputError
from coview.formats.calibration.file_camera import (
    UNKNOWN_SIZE,
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    array,
    distortion_coefficients,
    distortion_list,
    rotation_matrix,
    whole_size,
)
from coview.formats.io.text import read_toml
from coview.formats.io.toml import dump_toml

_NOT_CAMERAS = frozenset({"metadata", "capture_volume", "charuco", "checkerboard"})
_NATIVE = re.compile(r"^\s*\[cameras\.[^\]]+\]", re.MULTILINE)
_MATRIX = re.compile(r"^\s*matrix\s*=\s*\[", re.MULTILINE)
_NUMBERED = re.compile(r"(?:cam|camera|port)?[ _-]?(\d+)", re.IGNORECASE)


def _is_camera(row: Any) -> bool:
    return isinstance(row, dict) and "matrix" in row


# --- anipose, Pose2Sim, FreeMoCap, coview ----------------------------------------------------------


def _read_anipose(path: Path) -> FileCalibration:
    """One table per camera. ValueError where there is none, or a table is damaged."""
    table = read_toml(path)
    rows = {title: row for title, row in table.items() if title not in _NOT_CAMERAS and _is_camera(row)}
    if not rows:
        raise InputError(
            f"{path} holds no camera: no table with a `matrix`. Its tables are: {', '.join(table) or 'none'}. "
            f"If it is a calibration of another format, look up its file names: docs/howto/calibration_files.md."
        )
    metadata = table.get("metadata", {})
    cameras = tuple(_camera(str(row.get("name", title)), title, row, path) for title, row in rows.items())
    # zeros throughout are how intrinsics-only files fill the fields; one camera may well be the origin
    if all(c.translation is None or not c.translation.any() for c in cameras) and (
        len(cameras) > 1 or "rotation" not in next(iter(rows.values()))
    ):
        cameras = tuple(replace(camera, rotation=None, translation=None) for camera in cameras)
    units = metadata.get("units") if isinstance(metadata, dict) else None
    return FileCalibration(cameras, ANIPOSE.title, units, dict(metadata))


def _camera(name: str, title: str, row: dict[str, Any], path: Path) -> FileCamera:
    label = f"{path}: camera '{name}'"
    size = array(row.get("size", UNKNOWN_SIZE), (2,), f"{label}: size")
    fisheye = _flag(row.get("fisheye", False), f"{label}: fisheye")
    rotation, translation = _given(row.get("rotation")), _given(row.get("translation"))
    if (rotation is None) != (translation is None):
        missing = "rotation" if rotation is None else "translation"
        raise InputError(f"{label}: `{missing}` is missing. Give both, or neither if only the lens is known.")
    return FileCamera(
        name,
        title,
        (float(size[0]), float(size[1])),
        array(row["matrix"], (3, 3), f"{label}: matrix"),
        distortion_list(row.get("distortions"), f"{label}: distortions", fisheye=fisheye),
        fisheye,
        None if rotation is None else rotation_matrix(rotation, f"{label}: rotation"),
        None if translation is None else array(translation, (3,), f"{label}: translation"),
    )


def _flag(value: Any, label: str) -> bool:
    """A fisheye lens that is read as another puts pixels far off, so nothing but true and false is taken."""
    if not isinstance(value, bool):
        raise InputError(f"{label} is {value!r} and must be true or false, without quotation marks.")
    return value


def _given(value: Any) -> Any:
    """Caliscope writes the text "null" for what it does not know."""
    return None if value is None or value == "null" else value


def _write_anipose(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    raise NotImplementedError("calibrations.write_calibration writes this one, with all that coview knows")


ANIPOSE = CalibrationFormat(
    key="anipose",
    title="anipose/Pose2Sim TOML",
    place="a .toml",
    recognises=lambda path, text: path.suffix.casefold() == ".toml" or bool(_MATRIX.search(text)),
    read=_read_anipose,
    write=_write_anipose,
    means=lambda path: path.suffix.casefold() == ".toml" and path.name != "camera_array.toml",
    unit="m",
    coefficients=frozenset(range(8)),
    fisheye=True,
)


# --- Caliscope -------------------------------------------------------------------------------------


def _read_caliscope(path: Path) -> FileCalibration:
    cameras, notes = [], []
    rows = read_toml(path)["cameras"]
    for title, row in ((title, row) for title, row in rows.items() if _is_camera(row)):
        # as Caliscope names its videos
        name = f"cam_{row.get('cam_id', row.get('port', title))}"
        if row.get("ignore") is True:
            notes.append(f"camera '{name}' is marked `ignore` in {path.name} and was left out.")
        else:
            cameras.append(_camera(name, title, row, path))
            notes += _turned(name, row, path)
    if not cameras:
        raise InputError(
            f"{path}: none of its {len(rows)} cameras is calibrated and in use (`ignore = false`)."
        )
    return FileCalibration(tuple(cameras), CALISCOPE.title, "m", {}, tuple(notes))


def _turned(name: str, row: dict[str, Any], path: Path) -> list[str]:
    """Caliscope shows pictures turned, and calibrates and stores points in those that were filmed."""
    quarters = row.get("rotation_count", 0)
    if not isinstance(quarters, int) or quarters % 4 == 0:
        return []
    return [
        f"camera '{name}': rotation_count = {quarters} in {path.name}, so Caliscope shows its pictures turned by "
        f"{90 * (quarters % 4)}°. Its calibration is for the pictures as they were filmed: 2D joints found in turned "
        f"pictures do not fit it."
    ]


def _write_caliscope(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    rows = {camera.name.removeprefix("cam_"): _caliscope_row(camera) for camera in cameras}
    return {path: dump_toml({"cameras": rows}).encode()}


def _caliscope_row(camera: FileCamera) -> dict[str, Any]:
    pose = camera.rotation, camera.translation
    rotation, translation = ("null" if part is None else part.tolist() for part in pose)
    return {
        "cam_id": int(camera.name.removeprefix("cam_")),
        "rotation_count": 0,
        "error": "null",
        "exposure": "null",
        "grid_count": "null",
        "ignore": False,
        "size": list(whole_size(camera)),
        "matrix": camera.matrix.tolist(),
        "distortions": distortion_coefficients(camera, 5),
        "verified_resolutions": [list(whole_size(camera))],
        "translation": translation,
        "rotation": rotation,
    }


def _caliscope_name(name: str, index: int) -> str:
    """Cameras have numbers there, and `cam_N` is what its videos are called."""
    numbered = _NUMBERED.fullmatch(name)
    return f"cam_{int(numbered.group(1)) if numbered else index}"


CALISCOPE = CalibrationFormat(
    key="caliscope",
    title="Caliscope TOML",
    place="camera_array.toml",
    recognises=lambda path, text: bool(_NATIVE.search(text) and _MATRIX.search(text)),
    read=_read_caliscope,
    write=_write_caliscope,
    means=lambda path: path.name == "camera_array.toml",
    unit="m",
    rename=_caliscope_name,
)
