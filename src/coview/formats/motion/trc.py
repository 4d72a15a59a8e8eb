"""TRC, OpenSim's marker file: tab-separated text, y up and x forward, blanks for missing markers."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch

from coview.errors import InputError
from coview.formats.io.atomic import write_text
from coview.formats.io.damage import reader
from coview.formats.io.text import read_text
from coview.formats.motion.marker_names import joint_from_marker, marker_from_joint, skeleton_of
from coview.formats.motion.poses3d import Poses3D

_SETTINGS = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame OrigNumFrames"
_PER_METRE = {"m": 1.0, "cm": 100.0, "mm": 1000.0}
# a micrometre, which no camera resolves
_DIGITS = {"m": 6, "cm": 4, "mm": 3}
# Our world is z up; the file's axes are our (y, z, x), as Pose2Sim writes them. Both are right-handed.
_FILE_FROM_WORLD = (1, 2, 0)
_WORLD_FROM_FILE = (2, 0, 1)


def write_trc(poses: Poses3D, path: Path, *, units: Literal["m", "mm"] = "m") -> None:
    """Write TRC with Pose2Sim's marker names; atomic. The format holds no covariances.

    Frame numbers count from 1 at the beginning of the recording, and times from 0 there. Missing joints are blank
    cells: OpenSim refuses the text NaN. Every row ends with a tab: without it OpenSim counts too few columns where the
    last marker is missing.

    Args:
        poses: The joints.
        path: The file.
        units: Unit of length in the file.
    """
    points = poses.points.double().cpu().numpy()[..., list(_FILE_FROM_WORLD)] * _PER_METRE[units]
    frames, joints = points.shape[:2]
    markers = [marker_from_joint(joint) for joint in poses.skeleton.joints]
    rate, first = f"{poses.fps:.10g}", poses.first_frame + 1
    header = [
        ["PathFileType", "4", "(X/Y/Z)", Path(path).name],
        _SETTINGS.split(),
        [rate, rate, str(frames), str(joints), units, rate, str(first), str(frames)],
        ["Frame#", "Time", *(cell for marker in markers for cell in (marker, "", ""))],
        ["", "", *(f"{axis}{number}" for number in range(1, joints + 1) for axis in "XYZ")],
    ]
    rows = [
        [str(number), f"{(number - 1) / poses.fps:.6f}", *_cells(row, _DIGITS[units]), ""]
        for number, row in enumerate(points.reshape(frames, -1), first)
    ]
    write_text(Path(path), "".join("\t".join(cells) + "\n" for cells in (*header, *rows)))


def _cells(row: np.ndarray, digits: int) -> list[str]:
    return [f"{value:.{digits}f}" if np.isfinite(value) else "" for value in row]


@reader("a TRC file")
def read_trc(path: Path) -> Poses3D:
    """Read TRC of coview, Pose2Sim or OpenSim (y up) into the world frame: metres, z up.

    Args:
        path: The file.

    Returns:
        The joints; marker names become ours (RHip: right_hip), with the skeleton of `skeleton_of`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is malformed; the message names the line.
    """
    path = Path(path)
    lines = read_text(path).splitlines()
    if len(lines) < 6 or not lines[0].startswith("PathFileType"):
        raise InputError(
            f"{path} is not a TRC file: it should begin with 'PathFileType' and have 5 header lines."
        )
    settings = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    units, rate = settings.get("Units", "?").strip(), settings.get("DataRate", "?")
    if units not in _PER_METRE:
        raise InputError(f"{path}, line 3: units are '{units}'; understood are {', '.join(_PER_METRE)}.")
    joints = [joint_from_marker(cell.strip()) for cell in lines[3].split("\t")[2:] if cell.strip()]
    if not joints:
        raise InputError(f"{path}, line 4: no marker names.")
    rows = [_numbers(line, n, len(joints), path) for n, line in enumerate(lines[5:], start=6) if line.strip()]
    points = (
        np.array(rows).reshape(len(rows), len(joints), 3)[..., list(_WORLD_FROM_FILE)] / _PER_METRE[units]
    )
    return Poses3D(
        torch.from_numpy(points.astype(np.float32)),
        None,
        None,
        None,
        _float(rate, path, 3),
        skeleton_of(joints, path.stem),
        {"file": str(path), "format": "TRC", "units": f"{units}, as stated by the file"},
        _first_frame(lines[5:]),
    )


def _first_frame(rows: list[str]) -> int:
    """Number of the first row, counted from 0; 0 where the file does not number its rows."""
    number = next((line.split("\t", 1)[0].strip() for line in rows if line.strip()), "")
    return max(0, int(number) - 1) if number.isdecimal() and len(number) < 10 else 0


def _numbers(line: str, number: int, joints: int, path: Path) -> list[float]:
    """The coordinates of one row; blanks (also those cut off at the end) are NaN."""
    cells = line.rstrip("\r\n").split("\t")[2:]
    while len(cells) > 3 * joints and not cells[-1].strip():
        cells.pop()
    if len(cells) > 3 * joints:
        raise InputError(f"{path}, line {number}: {len(cells)} coordinates for {joints} markers.")
    values = [_float(cell, path, number) if cell.strip() else np.nan for cell in cells]
    return values + [np.nan] * (3 * joints - len(values))


def _float(cell: str, path: Path, number: int) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: '{cell}' is no number.") from error
