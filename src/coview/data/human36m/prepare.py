"""Conversion of the label file of Learnable Triangulation to coview's, without pickle and in metres."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from coview.data.human36m.labels import PREPARED, Labels, checked, write_labels
from coview.errors import InputError
from coview.formats.io.untrusted import read_object_npy

_TABLE = ("subject_idx", "action_idx", "frame_idx", "keypoints", "bbox_by_camera_tlbr")
_CAMERAS = ("R", "t", "K", "dist")


def convert(source: Path) -> Labels:
    """The labels of a `human36m-multiview-labels-*.npy` [Iskakov19], checked and in metres. Nothing in it is executed.

    Args:
        source: the file.

    Raises:
        ValueError: something is missing, of another shape or in another unit."""
    content = read_object_npy(source)
    names = ("subject_names", "action_names", "camera_names", "cameras", "table")
    if not isinstance(content, dict) or not content.keys() >= set(names):
        found = ", ".join(sorted(map(str, content))) if isinstance(content, dict) else type(content).__name__
        raise InputError(
            f"{source} is no label file of Learnable Triangulation: it holds {found}, and must hold {', '.join(names)}."
        )
    cameras = _columns(content["cameras"], _CAMERAS, source, "cameras")
    table = _columns(content["table"], _TABLE, source, "table")
    rotation, translation = _metric(cameras["R"]), _metric(cameras["t"]) / 1000
    return checked(
        {
            "subjects": _words(content["subject_names"]),
            "actions": _words(content["action_names"]),
            "cameras": _words(content["camera_names"]),
            "intrinsics": _metric(cameras["K"]),
            "cam_from_world": torch.cat([rotation, translation.reshape(*rotation.shape[:-1], 1)], dim=-1),
            "lens": _metric(cameras["dist"]).flatten(2),
            "subject": _whole(table["subject_idx"]),
            "action": _whole(table["action_idx"]),
            "frame": _whole(table["frame_idx"]),
            "joints3d": _metric(table["keypoints"]) / 1000,
            "boxes": _whole(table["bbox_by_camera_tlbr"]),
        },
        source,
    )


def prepare_labels(source: Path, folder: Path, *, overwrite: bool = False) -> Labels:
    """Converts a label file and writes it to a folder.

    Args:
        source: the file.
        folder: of the result.
        overwrite: replace labels that are there.

    Raises:
        ValueError: the source is wrong, or labels are there and `overwrite` is not set."""
    labels = convert(source)
    if (folder / PREPARED).exists() and not overwrite:
        raise InputError(
            f"{folder / PREPARED} is there already. Pass --overwrite to replace it, or --out for another folder."
        )
    write_labels(labels, folder)
    return labels


def _columns(array: Any, names: tuple[str, ...], source: Path, what: str) -> dict[str, np.ndarray]:
    """Fields of a structured array."""
    columns = getattr(getattr(array, "dtype", None), "names", None) or ()
    if missing := [name for name in names if name not in columns]:
        raise InputError(
            f"{source}: '{what}' lacks {', '.join(missing)}; it has {', '.join(columns) or 'no columns'}. "
            f"Make the label file again with the authors' scripts."
        )
    return {name: np.asarray(array[name]) for name in names}


def _words(names: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in names)


def _metric(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _whole(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array, dtype=np.int16 if array.ndim > 1 else np.int32))
