"""BioCV's .calib: plain text, one file per camera, millimetres."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from coview.errors import InputError
from coview.formats.calibration.file_camera import (
    CalibrationFormat,
    FileCalibration,
    FileCamera,
    distortion_coefficients,
    distortion_list,
    extrinsics,
    nearest_rotation,
    numbers,
    whole_size,
)
from coview.formats.io.camera_names import natural_key
from coview.formats.io.text import read_text
from coview.formats.io.video import ENDINGS as VIDEO_ENDINGS

_ENDING = ".calib"
# lines up to here are fixed; the last line that is not empty holds the distortion
_POSE_END = 9
_HOMOGENEOUS = ["0", "0", "0", "1"]


def _recognises(path: Path, text: str) -> bool:
    if path.is_dir():
        return bool(_files(path))
    first = text.split("\n", 2)[:2]
    return path.suffix == _ENDING or (len(first) == 2 and all(line.strip().isdecimal() for line in first))


def _files(folder: Path) -> list[Path]:
    files = [path for path in folder.iterdir() if path.suffix == _ENDING and path.is_file()]
    return sorted(files, key=lambda path: natural_key(path.name))


def _read(path: Path) -> FileCalibration:
    files = _files(path) if path.is_dir() else [path]
    return FileCalibration(tuple(_camera(file) for file in files), BIOCV.title, "mm")


def _camera(path: Path) -> FileCamera:
    lines = [line.strip() for line in read_text(path).splitlines()]
    written = [number for number, line in enumerate(lines) if line]
    if len(lines) <= _POSE_END or written[-1] < _POSE_END or lines[written[-1]].split() == _HOMOGENEOUS:
        raise InputError(
            f"{path} ends before its distortion. Expected are lines: width, height, 3 of K, an empty one, 3 of [R|t] "
            f"in millimetres, and last the distortion k1 k2 p1 p2 k3."
        )

    def row(number: int, count: int) -> list[float]:
        return numbers(lines[number - 1], count, f"{path}, line {number}")

    pose = np.array([row(number, 4) for number in (7, 8, 9)])
    last = written[-1] + 1
    distortions = row(last, len(lines[written[-1]].split()))
    name = _name(path)
    return FileCamera(
        name,
        name,
        (row(1, 1)[0], row(2, 1)[0]),
        np.array([row(number, 3) for number in (3, 4, 5)]),
        distortion_list(distortions, f"{path}, line {last}"),
        False,
        nearest_rotation(pose[:, :3]),
        pose[:, 3],
    )


def _name(path: Path) -> str:
    """`00.mp4.calib` is of the video 00.mp4."""
    name = path.name.removesuffix(_ENDING)
    return Path(name).stem if Path(name).suffix.casefold() in VIDEO_ENDINGS else name


def _write(cameras: Sequence[FileCamera], path: Path) -> dict[Path, bytes]:
    if path.suffix == _ENDING:
        [camera] = cameras
        return {path: _text(camera)}
    return {path / f"{camera.name}{_ENDING}": _text(camera) for camera in cameras}


def _text(camera: FileCamera) -> bytes:
    rotation, translation = extrinsics(camera, 1000.0)
    pose = np.vstack([np.column_stack([rotation, translation]), [0, 0, 0, 1]])
    blocks = [
        "\n".join(str(side) for side in whole_size(camera)) + "\n" + _rows(camera.matrix),
        _rows(pose),
        _rows([distortion_coefficients(camera, 5)]),
    ]
    return ("\n\n".join(blocks) + "\n").encode()


def _rows(values: np.ndarray | list[list[float]]) -> str:
    return "\n".join(" ".join(repr(float(value)) for value in row) for row in values)


BIOCV = CalibrationFormat(
    key="biocv",
    title="BioCV .calib",
    place="a folder (one .calib per camera), or a .calib for one camera",
    recognises=_recognises,
    read=_read,
    write=_write,
    means=lambda path: path.suffix == _ENDING,
    unit="mm",
    intrinsics_only=False,
)
