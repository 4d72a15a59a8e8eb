"""CSV for spreadsheets and scripts: one row per frame, columns that name joint, axis and unit."""

import csv
import io
from pathlib import Path

import numpy as np
import torch

from coview.errors import InputError
from coview.formats.io.atomic import write_text
from coview.formats.io.damage import reader
from coview.formats.io.text import read_text
from coview.formats.motion.marker_names import skeleton_of
from coview.formats.motion.poses3d import Poses3D

_AXES = ("x", "y", "z")


def write_csv(poses: Poses3D, path: Path) -> None:
    """Write CSV: frame, time_s, <joint>_x_m …, and <joint>_sigma_x_m … where the covariance is known; atomic.

    The first lines begin with # and state units and axes. Missing joints are blank. Frames count from 0 at the
    beginning of the recording.

    Args:
        poses: The joints.
        path: The file.
    """
    points = poses.points.double().cpu().numpy()
    blocks = {"": points}
    if poses.sigma is not None:
        blocks["sigma_"] = poses.sigma.double().cpu().numpy()
    header = ["frame", "time_s"]
    header += [
        f"{joint}_{kind}{axis}_m" for kind in blocks for joint in poses.skeleton.joints for axis in _AXES
    ]
    numbers = np.concatenate([block.reshape(len(points), -1) for block in blocks.values()], axis=1)
    text = io.StringIO()
    text.write("# coview 3D joints; units: m; axes: right-handed world, z up; sigma: standard deviation\n")
    text.write(f"# fps: {poses.fps:.10g}; skeleton: {poses.skeleton.name}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for number, row in enumerate(numbers, poses.first_frame):
        cells = [f"{value:.6f}" if np.isfinite(value) else "" for value in row]
        writer.writerow([number, f"{number / poses.fps:.6f}", *cells])
    write_text(Path(path), text.getvalue())


@reader("a CSV file of coview")
def read_csv(path: Path) -> Poses3D:
    """Read the CSV that `write_csv` wrote; covariances come back without their off-diagonal entries.

    Args:
        path: The file.

    Returns:
        The joints.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else; the message names the line.
    """
    path = Path(path)
    lines = read_text(path).splitlines()
    comments = [line for line in lines if line.startswith("#")]
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    if not rows or rows[0][:2] != ["frame", "time_s"] or len(rows) < 2:
        raise InputError(f"{path} is not a CSV file of coview: no columns 'frame' and 'time_s', or no rows.")
    header = rows[0][2:]
    joints = [name.removesuffix("_x_m") for name in header if name.endswith("_x_m") and "_sigma_" not in name]
    numbers = np.array(
        [_numbers(row, header, path, len(comments) + n) for n, row in enumerate(rows[1:], start=2)]
    )
    blocks = numbers.reshape(len(numbers), -1, len(joints), 3).astype(np.float32)
    covariance = torch.diag_embed(torch.from_numpy(blocks[:, 1]).square()) if blocks.shape[1] > 1 else None
    return Poses3D(
        torch.from_numpy(blocks[:, 0].copy()),
        covariance,
        None,
        None,
        _fps(comments, path),
        skeleton_of(joints, path.stem),
        {"file": str(path), "format": "CSV"},
        int(rows[1][0]) if rows[1][0].isdecimal() else 0,
    )


def _numbers(row: list[str], header: list[str], path: Path, line: int) -> list[float]:
    cells = row[2:]
    if len(cells) != len(header):
        raise InputError(f"{path}, line {line}: {len(row)} cells, and the header has {len(header) + 2}.")
    try:
        return [float(cell) if cell else np.nan for cell in cells]
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}.") from error


def _fps(comments: list[str], path: Path) -> float:
    found = [
        part for line in comments for part in line.lstrip("# ").split(";") if part.strip().startswith("fps:")
    ]
    if not found:
        raise InputError(f"{path}: the line '# fps: …' is missing, so that times cannot be told exactly.")
    return float(found[0].split(":")[1])
