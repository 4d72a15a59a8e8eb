"""Human motion prepared by `coview data prepare cmu_mocap`: clips of joints in metres, z up.

Files: cmu_train.npz, cmu_val.npz, cmu_test.npz with an array (frames, 19 joints, 3) per clip, and meta.json with the
unit, the vertical axis and a description of each clip.
"""

import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.mocap.skeleton_plausibility import stature
from coview.errors import InputError, MissingFileError, NotAFolderError
from coview.formats.io.damage import reader
from coview.formats.io.text import read_json
from coview.formats.io.untrusted import read_npz
from coview.skeletons import MOCAP_19, Skeleton

Split = Literal["train", "val", "test"]
META = "meta.json"
# range of statures in metres: wider than that of people, narrow enough to detect every wrong unit
PLAUSIBLE = (0.8, 2.5)
# every n-th frame is measured for the stature; bones do not change
_EVERY = 60
_PREPARE = (
    "Make it with `coview data prepare cmu_mocap SOURCE`; "
    "see docs/howto/data_sets.md for where to get the source."
)


@dataclass(frozen=True)
class Clip:
    """One take of one person."""

    name: str
    subject: str
    # metres, world z up, float32
    points: Float[Tensor, "frames joints 3"]
    fps: float
    skeleton: Skeleton = MOCAP_19


def data_folder(folder: Path | None = None, name: str = "cmu_mocap") -> Path:
    """Folder of a data set: `folder`, else $COVIEW_DATA/<name>, else ~/.cache/coview/data/<name>.

    Args:
        folder: given by the user.
        name: of the data set.

    Raises:
        NotADirectoryError: $COVIEW_DATA is a file."""
    if folder is not None:
        return Path(folder)
    root = os.environ.get("COVIEW_DATA")
    asked = Path(root).expanduser() if root else Path.home() / ".cache" / "coview" / "data"
    if root and asked.exists() and not asked.is_dir():
        raise NotAFolderError(
            f"COVIEW_DATA is '{root}', which is a file. Set it to the folder for data sets, or unset it."
        )
    return asked / name


def split_file(folder: Path, split: Split) -> Path:
    """The npz file of one split.

    Args:
        folder: of the data set.
        split: its name."""
    return folder / f"cmu_{split}.npz"


@reader("a folder of prepared motion")
def read_clips(folder: Path, split: Split) -> tuple[Clip, ...]:
    """The clips of a split, in the order of meta.json.

    Args:
        folder: of the data set.
        split: its name.

    Raises:
        FileNotFoundError: nothing was prepared.
        ValueError: the content is not what meta.json says, has another unit or vertical axis, or a person of impossible
            size; names file and clip."""
    path = split_file(folder, split)
    for needed in (folder / META, path):
        if not needed.is_file():
            raise MissingFileError(f"{needed} is not there: no prepared motion in {folder}. {_PREPARE}")
    meta = read_meta(folder)
    _check(meta, folder / META)
    arrays = read_split(path)
    entries = [entry for entry in meta["clips"] if entry["split"] == split]
    missing = [entry["id"] for entry in entries if entry["id"] not in arrays]
    if missing:
        raise InputError(
            f"{path} lacks {len(missing)} clips that {META} names, e.g. '{missing[0]}'. {_PREPARE}"
        )
    return tuple(_clip(entry, torch.from_numpy(arrays[entry["id"]]), path) for entry in entries)


def read_meta(folder: Path) -> dict[str, Any]:
    """meta.json with checked types.

    Args:
        folder: of the data set.

    Raises:
        ValueError: a field is missing or of another type; names file, clip and field."""
    path = folder / META
    meta = read_json(path)
    _typed(isinstance(meta, dict), path, "it", "an object with joints, units, up and clips", meta)
    joints, clips = meta.get("joints"), meta.get("clips")
    names = isinstance(joints, list) and all(isinstance(joint, str) for joint in joints)
    _typed(names, path, "'joints'", "a list of names", joints)
    _typed(isinstance(clips, list), path, "'clips'", "a list of clips", clips)
    for number, entry in enumerate(clips):
        _typed(isinstance(entry, dict), path, f"entry {number} of 'clips'", "an object", entry)
        for field, (fits, wanted) in _FIELDS.items():
            value = entry.get(field)
            where = f"'{field}' of clip '{entry.get('id', f'number {number}')}'"
            _typed(fits(value), path, where, wanted, value)
    return meta


def _typed(fits: bool, path: Path, where: str, wanted: str, found: object) -> None:
    if not fits:
        shown = "missing or null" if found is None else f"{found!r:.60}"
        raise InputError(f"{path}: {where} is {shown}, and must be {wanted}. {_PREPARE}")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _rate(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
    )


_FIELDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "id": (lambda value: isinstance(value, str), "a name"),
    "split": (lambda value: value in get_args(Split), f"one of {', '.join(get_args(Split))}"),
    "subject": (lambda value: isinstance(value, str), "the name of the person"),
    "fps": (_rate, "a number of frames per second"),
    "frames": (_whole, "a number of frames"),
}


@reader("prepared motion")
def read_split(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a split's file, by clip.

    Args:
        path: of the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged."""
    try:
        return read_npz(path)
    except (ValueError, zlib.error, NotImplementedError) as error:
        raise InputError(
            f"{path} is damaged, or is not what `coview data prepare` made. Prepare the folder again from the source, "
            f"with --overwrite, or copy it again from where it came."
        ) from error


def _check(meta: dict[str, Any], path: Path) -> None:
    if meta.get("units") != "m" or meta.get("up") != "+Y":
        raise InputError(
            f"{path}: units '{meta.get('units')}' and up '{meta.get('up')}'; prepared motion is in m with +Y up. "
            f"{_PREPARE}"
        )
    if len(meta.get("joints", ())) != len(MOCAP_19):
        raise InputError(
            f"{path} names {len(meta.get('joints', ()))} joints instead of {len(MOCAP_19)}. {_PREPARE}"
        )


def _clip(entry: dict[str, Any], points: Tensor, path: Path) -> Clip:
    if points.ndim != 3 or points.shape[1:] != (len(MOCAP_19), 3) or len(points) != entry["frames"]:
        raise InputError(
            f"{path}: clip '{entry['id']}' has shape {tuple(points.shape)}, expected "
            f"({entry['frames']}, {len(MOCAP_19)}, 3). {_PREPARE}"
        )
    if not points.isfinite().all():
        raise InputError(f"{path}: clip '{entry['id']}' holds NaN or infinite coordinates. {_PREPARE}")
    _check_size(stature(points[::_EVERY].float()), entry["id"], path)
    return Clip(entry["id"], entry["subject"], z_up(points.float()), float(entry["fps"]))


def _check_size(height: float, name: str, path: Path) -> None:
    low, high = PLAUSIBLE
    if not low <= height <= high:
        raise InputError(
            f"{path}: the person in clip '{name}' is {height:.4g} m tall, so the clip is not in metres, and a model "
            f"trained on it would be of no use. `coview data check cmu_mocap {path.parent}` says which unit fits; "
            f"then prepare it again from the source."
        )


def z_up(y_up: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """Points of a y-up world in a z-up world: rotated by 90° about x (exchanging two axes would reflect).

    Args:
        y_up: any unit."""
    x, y, z = y_up.unbind(-1)
    return torch.stack([x, -z, y], dim=-1)
