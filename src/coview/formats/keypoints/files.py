"""2D joints in one file per camera: the formats, and the recognition of a file's from its content."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coview.errors import InputError
from coview.formats.io.damage import reader
from coview.formats.io.text import read_json
from coview.formats.io.untrusted import read_npz
from coview.formats.keypoints.alphapose import is_alphapose_pictures, read_alphapose_pictures
from coview.formats.keypoints.coco import (
    is_coco_annotations,
    is_coco_results,
    read_coco_annotations,
    read_coco_results,
)
from coview.formats.keypoints.deeplabcut import is_deeplabcut, read_deeplabcut
from coview.formats.keypoints.frames import People, joint_count, person
from coview.formats.keypoints.hdf5 import read_hdf5
from coview.formats.keypoints.mmpose import is_mmpose, read_mmpose
from coview.formats.keypoints.view_joints import ViewJoints, single_precision, stack_people

ENDINGS = frozenset({".json", ".npz", ".csv", ".h5", ".hdf5"})
# one of these is in an npz of 2D joints
_JOINT_ARRAYS = frozenset({"joints", "keypoints"})
# pixels along a side, and frames per second, that no camera has
_LARGEST, _FASTEST = 1_000_000, 1_000_000
# bytes that show what a text file is
_BEGINNING = 1 << 16


@dataclass(frozen=True)
class _JsonFormat:
    """A layout of JSON with all frames of one camera."""

    title: str
    recognises: Callable[[Any], bool]
    read: Callable[[Any, Path], ViewJoints]


def _is_plain(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("frames"), list)


def _plain(content: dict[str, Any], path: Path) -> ViewJoints:
    frames = [
        _plain_people(frame, f"{path}, frame {number}") for number, frame in enumerate(content["frames"])
    ]
    skeleton = content.get("skeleton")
    if not isinstance(skeleton, str | None):
        raise InputError(f"{path}: `skeleton` should be a name, found {skeleton!r:.60}.")
    joints = joint_count(frames, str(path))
    size, fps = _whole_size(content.get("size"), path), _rate(content.get("fps"), path)
    return ViewJoints(stack_people(frames, joints), size=size, fps=fps, skeleton=skeleton)


def _plain_people(frame: Any, label: str) -> People:
    people = (frame or {}).get("people") if isinstance(frame, dict | None) else frame
    if not isinstance(people, list | None):
        raise InputError(f"{label}: should be a table with a list `people`, found {frame!r:.60}.")
    return [person(numbers, label) for numbers in people or [] if numbers]


def _whole_size(size: Any, path: Path) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = size if isinstance(size, list) and len(size) == 2 else []
    whole = [
        int(side)
        for side in sides
        if isinstance(side, int | float) and 1 <= side <= _LARGEST and side == int(side)
    ]
    if len(whole) != 2:
        raise InputError(f"{path}: `size` should be width and height in pixels, found {size!r:.60}.")
    return whole[0], whole[1]


def _rate(fps: Any, path: Path) -> float | None:
    if fps is None:
        return None
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < _FASTEST:
        raise InputError(f"{path}: `fps` should be frames per second, found {fps!r:.60}.")
    return float(fps)


JSON_FORMATS = (
    _JsonFormat("our plain JSON", _is_plain, _plain),
    _JsonFormat("MMPose's predictions of a video", is_mmpose, read_mmpose),
    _JsonFormat("COCO results or AlphaPose's list", is_coco_results, read_coco_results),
    _JsonFormat("COCO annotations", is_coco_annotations, read_coco_annotations),
    _JsonFormat("AlphaPose's table of pictures", is_alphapose_pictures, read_alphapose_pictures),
)


def is_keypoint_content(content: Any) -> bool:
    """Whether parsed JSON looks like the 2D joints of one camera (and not like settings or a calibration).

    Args:
        content: The parsed JSON.

    Returns:
        Whether one of `JSON_FORMATS` recognises it.
    """
    return any(form.recognises(content) for form in JSON_FORMATS)


def is_keypoint_file(path: Path) -> bool:
    """Whether a file looks like the 2D joints of one camera. Broken JSON counts: reading it will say what is wrong.

    Args:
        path: The file.

    Returns:
        Whether `read_keypoint_file` is meant for it.
    """
    ending = path.suffix.casefold()
    if ending == ".json":
        try:
            return is_keypoint_content(read_json(path))
        except ValueError:
            return True
    if ending == ".npz":
        return _holds_joints(path)
    if ending == ".csv":
        with path.open("rb") as file:
            return is_deeplabcut(file.read(_BEGINNING).decode("utf-8-sig", "replace"))
    # whatever else an .h5 may be is said where it is read
    return ending in ENDINGS


@reader("2D joints of one camera")
def read_keypoint_file(path: Path) -> ViewJoints:
    """Read all frames of one camera from one file; the format is found from the content.

    Plain JSON: {"camera", "fps", "size": [w, h], "skeleton", "frames": [{"people": [[[x, y, c], …], …]}, …]}, all but
    `frames` optional. Other JSON: see `JSON_FORMATS`. csv: DeepLabCut's and Lightning Pose's. h5: SLEAP's and
    DeepLabCut's. npz: array `joints` of shape (frames, people, joints, 3).

    Args:
        path: The file, .json, .csv, .h5 or .npz.

    Returns:
        The joints as the file has them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged or holds nobody; the message names file and frame.
    """
    ending = path.suffix.casefold()
    if ending == ".npz":
        return _from_npz(path)
    if ending == ".csv":
        return read_deeplabcut(path)
    if ending in (".h5", ".hdf5"):
        return read_hdf5(path)
    content = read_json(path)
    form = next((form for form in JSON_FORMATS if form.recognises(content)), None)
    if form is None:
        raise InputError(
            f"{path} holds no 2D joints of one camera. Understood are "
            f"{', '.join(form.title for form in JSON_FORMATS)}."
        )
    return form.read(content, path)


def _holds_joints(path: Path) -> bool:
    # elsewhere an npz may be anything, and is asked
    if path.parent.name in {"joints2d", "keypoints"}:
        return True
    try:
        return not _JOINT_ARRAYS.isdisjoint(read_npz(path))
    except ValueError:
        return False


def _from_npz(path: Path) -> ViewJoints:
    arrays = read_npz(path)
    joints = arrays.get("joints")
    if joints is None and {"keypoints", "scores"} <= arrays.keys():
        joints = _with_scores(arrays["keypoints"], arrays["scores"])
    if joints is None or joints.ndim != 4 or joints.shape[-1] != 3 or joints.dtype.kind not in "fiu":
        found = {name: value.shape for name, value in arrays.items()}
        raise InputError(
            f"{path}: needs an array 'joints' of shape (frames, people, joints, 3), or 'keypoints' (…, 2) and 'scores' "
            f"(…); found {found}."
        )
    return ViewJoints(torch.from_numpy(single_precision(joints)))


def _with_scores(places: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
    """What rtmlib and MMPose return, saved as it is: (frames, people, joints, 2) and (frames, people, joints)."""
    if places.shape[-1:] != (2,) or scores.shape != places.shape[:-1] or scores.dtype.kind not in "fiu":
        return None
    joints = np.concatenate([places, scores[..., None]], axis=-1)
    # one person in every frame
    return joints[:, None] if joints.ndim == 3 else joints
