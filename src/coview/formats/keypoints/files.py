"""2D joints in one file per camera: the formats, and the recognition of a file's from its content."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coview.errors import InputError
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
from coview.formats.keypoints.frames import joint_count, person
from coview.formats.keypoints.hdf5 import read_hdf5
from coview.formats.keypoints.mmpose import is_mmpose, read_mmpose
from coview.formats.keypoints.view_joints import ViewJoints, stack_people

ENDINGS = frozenset({".json", ".npz", ".csv", ".h5", ".hdf5"})
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
        [
            person(numbers, f"{path}, frame {number}")
            for numbers in (frame or {}).get("people") or []
            if numbers
        ]
        for number, frame in enumerate(content["frames"])
    ]
    size = content.get("size")
    return ViewJoints(
        stack_people(frames, joint_count(frames, str(path))),
        size=None if size is None else (int(size[0]), int(size[1])),
        fps=None if content.get("fps") is None else float(content["fps"]),
        skeleton=content.get("skeleton"),
    )


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
        return "joints" in read_npz(path)
    except ValueError:
        return False


def _from_npz(path: Path) -> ViewJoints:
    joints = read_npz(path).get("joints")
    if joints is None or joints.ndim != 4 or joints.shape[-1] != 3 or joints.dtype.kind not in "fiu":
        raise InputError(f"{path}: needs an array 'joints' of shape (frames, people, joints, 3).")
    return ViewJoints(torch.from_numpy(joints.astype(np.float32)))
