"""3D joints of one person with their uncertainty, and the npz file that holds them."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview import __version__
from coview.errors import InputError
from coview.formats.io.atomic import replacing
from coview.formats.io.damage import reader
from coview.formats.io.untrusted import read_npz
from coview.skeletons import Skeleton

# Said in every file, so that no reader has to guess.
CONVENTIONS = {"units": "m", "up_axis": "z", "handedness": "right"}


@dataclass(frozen=True)
class Poses3D:
    """3D joints of one person in the world frame: metres, right-handed, z up. NaN: unknown."""

    # metres; NaN: unknown
    points: Float[Tensor, "frames joints 3"]
    # m², world axes; None: not estimated
    covariance: Float[Tensor, "frames joints 3 3"] | None
    # whether a view was used for the point; None: not kept
    inliers: Bool[Tensor, "frames views joints"] | None
    # reprojection error, pixels; NaN where a view did not see the joint; None: not kept
    residuals: Float[Tensor, "frames views joints"] | None
    # frames per second
    fps: float
    # names of the joints, and bones
    skeleton: Skeleton
    # topic: where it came from, in words
    provenance: dict[str, str] = field(default_factory=dict)
    # number of the first frame, counted from 0 at the beginning of the recording
    first_frame: int = 0

    def __post_init__(self) -> None:
        if self.points.shape[1] != len(self.skeleton):
            raise InputError(
                f"Poses3D: {self.points.shape[1]} joints given, and skeleton '{self.skeleton.name}' has "
                f"{len(self.skeleton)}."
            )
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(
                f"Poses3D: {self.fps} frames per second; a number above 0 is needed, or times mean nothing."
            )

    @property
    def sigma(self) -> Float[Tensor, "frames joints 3"] | None:
        """Standard deviation along the world's axes, metres, shape (frames, joints, 3); None without covariance."""
        return None if self.covariance is None else self.covariance.diagonal(dim1=-2, dim2=-1).sqrt()

    def save(self, path: Path) -> None:
        """Write the npz file, atomically.

        Args:
            path: The file.
        """
        write_npz(self, path)

    @staticmethod
    def load(path: Path) -> "Poses3D":
        """Read the npz file that `save` wrote.

        Args:
            path: The file.

        Returns:
            The joints.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is something else.
        """
        return read_poses_npz(path)


def write_npz(poses: Poses3D, path: Path) -> None:
    """Write joints, uncertainty, units, axes, names, software and the calibration's hash as npz; atomic, no pickles.

    Args:
        poses: The joints.
        path: The file.
    """
    arrays = {
        "points": poses.points,
        "covariance": poses.covariance,
        "inliers": poses.inliers,
        "residuals": poses.residuals,
    }
    given = {name: tensor.cpu().numpy() for name, tensor in arrays.items() if tensor is not None}
    with replacing(Path(path)) as temporary:
        np.savez_compressed(temporary, **given, **_words(poses))  # type: ignore[arg-type]


def _words(poses: Poses3D) -> dict[str, np.ndarray]:
    skeleton = poses.skeleton
    texts: dict[str, Any] = {
        **CONVENTIONS,
        "fps": float(poses.fps),
        "first_frame": poses.first_frame,
        "skeleton": skeleton.name,
        "joint_names": skeleton.joints,
        "bones": np.array(skeleton.bones, dtype=np.str_).reshape(-1, 2),
        "left_right": np.array(skeleton.left_right, dtype=np.str_).reshape(-1, 2),
        "root": skeleton.root,
        "software": f"coview {__version__}",
        "calibration_hash": poses.provenance.get("calibration_hash", "unknown"),
        "provenance": json.dumps(poses.provenance),
    }
    return {name: np.array(value) for name, value in texts.items()}


@reader("3D joints of coview")
def read_poses_npz(path: Path) -> Poses3D:
    """Read the npz file that `write_npz` wrote.

    Args:
        path: The file.

    Returns:
        The joints.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is something else; the message says what is missing or has another convention.
    """
    path = Path(path)
    arrays = read_npz(path)
    try:
        foreign = {key: str(arrays[key]) for key, ours in CONVENTIONS.items() if str(arrays[key]) != ours}
        if foreign:
            raise InputError(f"it holds {foreign}, and coview's own files hold {CONVENTIONS}")
        _check_shapes(arrays)
        return Poses3D(
            points=torch.from_numpy(arrays["points"]),
            covariance=_optional(arrays, "covariance"),
            inliers=_optional(arrays, "inliers"),
            residuals=_optional(arrays, "residuals"),
            fps=float(arrays["fps"]),
            skeleton=_skeleton(arrays),
            provenance=json.loads(str(arrays["provenance"])),
            # files of coview 0.1 do not say it
            first_frame=int(arrays["first_frame"]) if "first_frame" in arrays else 0,
        )
    except KeyError as error:
        raise InputError(
            f"{path} holds no 3D joints of coview: {error} is missing. Run `coview reconstruct` again."
        ) from error
    except ValueError as error:
        raise InputError(f"{path} cannot be read as 3D joints: {error}.") from error


def _check_shapes(arrays: dict[str, np.ndarray]) -> None:
    """That every array has the axes, the length and the kind of numbers that `Poses3D` promises."""
    frames, joints = (*arrays["points"].shape, 0, 0)[:2]
    views = (*arrays.get("inliers", arrays.get("residuals", np.zeros((0, 0)))).shape, 0, 0)[1]
    wanted = {
        "points": ("f", (frames, joints, 3)),
        "covariance": ("f", (frames, joints, 3, 3)),
        "inliers": ("b", (frames, views, joints)),
        "residuals": ("f", (frames, views, joints)),
    }
    for name, (kind, shape) in wanted.items():
        if name in arrays and (arrays[name].dtype.kind, arrays[name].shape) != (kind, shape):
            raise InputError(
                f"'{name}' has the shape {arrays[name].shape} of {arrays[name].dtype}, and {frames} frames of {joints} "
                f"joints need {shape}"
            )


def _optional(arrays: dict[str, np.ndarray], name: str) -> Tensor | None:
    return torch.from_numpy(arrays[name]) if name in arrays else None


def _skeleton(arrays: dict[str, np.ndarray]) -> Skeleton:
    pairs = {key: tuple((str(a), str(b)) for a, b in arrays[key]) for key in ("bones", "left_right")}
    joints = tuple(str(name) for name in arrays["joint_names"])
    return Skeleton(str(arrays["skeleton"]), joints, pairs["bones"], str(arrays["root"]), pairs["left_right"])
