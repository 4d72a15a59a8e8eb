"""C3D, the binary file of motion capture laboratories, through ezc3d (the extra `mocap`)."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coview import __version__
from coview.errors import InputError, MissingPackageError
from coview.formats.io.atomic import replacing
from coview.formats.io.damage import reader
from coview.formats.motion.c3d_header import check_claims
from coview.formats.motion.marker_names import joint_from_marker, marker_from_joint, skeleton_of
from coview.formats.motion.poses3d import Poses3D

# the header counts them in 16 bits
_MAX_FRAMES = 65_535
_WORD = 65_536
_MAX_RESIDUAL = 127.0
# cameras for which the format has a bit
_MASKED_VIEWS = 7
_PER_METRE = {"m": 1.0, "cm": 100.0, "mm": 1000.0}


def write_c3d(poses: Poses3D, path: Path) -> None:
    """Write C3D in millimetres, z up as in our world (Y_SCREEN is +Z); atomic.

    Missing joints have the residual -1. The residual of the others is their standard deviation in mm (rounded, root
    mean square of the three axes; 0 where it is unknown), and the first seven cameras that a joint was triangulated
    from are marked.

    Args:
        poses: The joints.
        path: The file.

    Raises:
        ImportError: ezc3d is not installed.
        ValueError: There are more than 65535 frames.
    """
    ezc3d = _ezc3d()
    frames = len(poses.points)
    if frames > _MAX_FRAMES:
        raise InputError(
            f"C3D counts frames in 16 bits: at most {_MAX_FRAMES}, and there are {frames}. "
            f"Export to TRC, CSV or npz, or cut the recording."
        )
    points = poses.points.double().cpu().numpy().transpose(2, 1, 0) * 1000
    missing = ~np.isfinite(points).all(axis=0)
    file = ezc3d.c3d()
    _parameters(file, poses)
    _number(file, poses.first_frame, frames)
    file["data"]["points"] = np.concatenate([np.where(missing, 0.0, points), np.ones((1, *missing.shape))])
    file["data"]["meta_points"]["residuals"] = np.where(missing, -1.0, _residuals(poses))[None]
    file["data"]["meta_points"]["camera_masks"] = _masks(poses)
    with replacing(Path(path)) as temporary:
        file.write(str(temporary))
        _check_complete(temporary, frames * missing.shape[0] * 16)


def _parameters(file: Any, poses: Poses3D) -> None:
    point = file["parameters"]["POINT"]
    point["RATE"]["value"] = [float(poses.fps)]
    point["UNITS"]["value"] = ["mm"]
    point["LABELS"]["value"] = [marker_from_joint(joint) for joint in poses.skeleton.joints]
    file.add_parameter("POINT", "X_SCREEN", ["+X"])
    file.add_parameter("POINT", "Y_SCREEN", ["+Z"])
    file.add_parameter("MANUFACTURER", "SOFTWARE", [f"coview {__version__}"])


def _number(file: Any, first: int, frames: int) -> None:
    """The number of the first frame: in the header, which has 16 bits, or in TRIAL as two words, as the format has it.

    ezc3d's headers count from 0, the file from 1."""
    if first + frames <= _MAX_FRAMES:
        file["header"]["points"]["first_frame"] = first
        return
    for name, number in (("ACTUAL_START_FIELD", first + 1), ("ACTUAL_END_FIELD", first + frames)):
        file.add_parameter("TRIAL", name, [_signed(number % _WORD), number // _WORD])


def _signed(word: int) -> int:
    """Parameters of the format are signed words."""
    return word - _WORD if word >= _WORD // 2 else word


def _first_frame(file: Any) -> int:
    trial = file["parameters"].get("TRIAL", {})
    words = trial["ACTUAL_START_FIELD"]["value"] if "ACTUAL_START_FIELD" in trial else []
    if len(words) == 2:
        return max(0, int(words[0]) % _WORD + int(words[1]) * _WORD - 1)
    return int(file["header"]["points"]["first_frame"])


def _residuals(poses: Poses3D) -> np.ndarray:
    """Joints × frames, mm."""
    if poses.sigma is None:
        return np.zeros(poses.points.shape[1::-1])
    rms = poses.sigma.double().square().mean(dim=-1).sqrt().cpu().numpy().T * 1000
    return np.nan_to_num(rms, nan=0.0).clip(0, _MAX_RESIDUAL).round()


def _masks(poses: Poses3D) -> np.ndarray:
    """Cameras × joints × frames."""
    masks = np.zeros((_MASKED_VIEWS, *poses.points.shape[1::-1]), dtype=bool)
    if poses.inliers is not None:
        used = poses.inliers.cpu().numpy().transpose(1, 2, 0)[:_MASKED_VIEWS]
        masks[: len(used)] = used
    return masks


def _check_complete(path: Path, data: int) -> None:
    """ezc3d does not notice a full disk; the size of the file tells."""
    size = path.stat().st_size if path.is_file() else 0
    if size < 512 + data:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


@reader("a C3D file")
def read_c3d(path: Path) -> Poses3D:
    """Read the points of a C3D file into the world frame: metres, z up.

    The up axis is POINT:Y_SCREEN (+Z or +Y; z where it is absent).

    Args:
        path: The file.

    Returns:
        The joints; NaN where the residual is below 0. Where coview wrote the file, `covariance` is made from positive
        residuals, equal along all axes.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: ezc3d is not installed.
        ValueError: It is no C3D file, is cut short, or has an unknown unit or up axis.
    """
    path = Path(path)
    check_claims(path)
    file = _ezc3d().c3d(str(path))
    point = file["parameters"]["POINT"]
    units = _word(point, "UNITS", "mm")
    if units not in _PER_METRE:
        raise InputError(f"{path}: POINT:UNITS is '{units}'; understood are {', '.join(_PER_METRE)}.")
    points = file["data"]["points"][:3].transpose(2, 1, 0) / _PER_METRE[units]
    residuals = file["data"]["meta_points"]["residuals"][0].T
    points = np.where((residuals < 0)[..., None], np.nan, points)
    up = _word(point, "Y_SCREEN", "+Z")
    if up not in ("+Z", "+Y"):
        raise InputError(
            f"{path}: POINT:Y_SCREEN is '{up}'; understood are +Z and +Y as the axis that is up."
        )
    points = points[..., [2, 0, 1]] if up == "+Y" else points
    joints = [joint_from_marker(label) for label in point["LABELS"]["value"]]
    return Poses3D(
        torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32)),
        _covariance(file, residuals),
        None,
        None,
        float(point["RATE"]["value"][0]),
        skeleton_of(joints, path.stem),
        {"file": str(path), "format": "C3D", "units": f"{units}, as stated by the file"},
        _first_frame(file),
    )


def _covariance(file: Any, residuals: np.ndarray) -> torch.Tensor | None:
    group = file["parameters"].get("MANUFACTURER", {})
    if not _word(group, "SOFTWARE", "").startswith("coview") or not (residuals > 0).any():
        return None
    sigma = torch.from_numpy(np.where(residuals > 0, residuals, np.nan).astype(np.float32) / 1000)
    return torch.diag_embed(sigma[..., None].expand(-1, -1, 3).square())


def _word(group: Any, name: str, otherwise: str) -> str:
    value = group[name]["value"] if name in group else []
    return str(value[0]).strip() if len(value) else otherwise


def _ezc3d() -> Any:
    try:
        import ezc3d
    except ImportError as error:
        raise MissingPackageError(
            "C3D files need the package ezc3d, which is not installed. "
            "Run `pip install 'coview[mocap]'`, or export to TRC, CSV or npz."
        ) from error
    return ezc3d
