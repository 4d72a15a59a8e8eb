"""2D joints in one file per camera: our plain JSON, COCO results, and npz."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from coview.errors import InputError
from coview.formats.io.damage import reader
from coview.formats.io.text import read_json
from coview.formats.io.untrusted import read_npz
from coview.formats.keypoints.view_joints import ViewJoints, stack_people

ENDINGS = frozenset({".json", ".npz"})


def is_keypoint_content(content: Any) -> bool:
    """Whether parsed JSON looks like the 2D joints of one camera (and not like settings or a calibration).

    Args:
        content: The parsed JSON.

    Returns:
        Whether it is our plain JSON or a list of COCO results.
    """
    if isinstance(content, dict):
        return isinstance(content.get("frames"), list)
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and "keypoints" in content[0]
    )


@reader("2D joints of one camera")
def read_keypoint_file(path: Path) -> ViewJoints:
    """Read all frames of one camera from one file; the format is found from the content.

    Plain JSON: {"camera", "fps", "size": [w, h], "skeleton", "frames": [{"people": [[[x, y, c], …], …]}, …]}, all but
    `frames` optional. COCO results: a list of {"image_id", "keypoints": [x, y, c, …]} where the image id (or the last
    digits of its file name) is the frame number. npz: array `joints` of shape (frames, people, joints, 3).

    Args:
        path: The file, .json or .npz.

    Returns:
        The joints as the file has them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged or holds nobody; the message names file and frame.
    """
    if path.suffix.casefold() == ".npz":
        return _from_npz(path)
    content = read_json(path)
    if not is_keypoint_content(content):
        raise InputError(
            f"{path} holds no 2D joints: neither `frames` with `people` nor a list of COCO results."
        )
    return _plain(content, path) if isinstance(content, dict) else _coco(content, path)


def _from_npz(path: Path) -> ViewJoints:
    joints = read_npz(path).get("joints")
    if joints is None or joints.ndim != 4 or joints.shape[-1] != 3 or joints.dtype.kind not in "fiu":
        raise InputError(f"{path}: needs an array 'joints' of shape (frames, people, joints, 3).")
    return ViewJoints(torch.from_numpy(joints.astype(np.float32)))


def _plain(content: dict[str, Any], path: Path) -> ViewJoints:
    frames = [
        [
            _triples(person, f"{path}, frame {number}")
            for person in (frame or {}).get("people") or []
            if person
        ]
        for number, frame in enumerate(content["frames"])
    ]
    size = content.get("size")
    return ViewJoints(
        stack_people(frames, _joint_count(frames, path)),
        size=None if size is None else (int(size[0]), int(size[1])),
        fps=None if content.get("fps") is None else float(content["fps"]),
        skeleton=content.get("skeleton"),
    )


def _coco(content: list[dict[str, Any]], path: Path) -> ViewJoints:
    numbered: dict[int, list[np.ndarray]] = {}
    for row in content:
        number = _image_number(row.get("image_id"), path)
        numbered.setdefault(number, []).append(_triples(row.get("keypoints"), f"{path}, image {number}"))
    first, last = min(numbered), max(numbered)
    if last - first + 1 > 20 * len(numbered) + 1000:
        raise InputError(f"{path}: image ids run from {first} to {last}; these are no frame numbers.")
    frames = [numbered.get(number, []) for number in range(first, last + 1)]
    return ViewJoints(stack_people(frames, _joint_count(frames, path)), first)


def _image_number(image: Any, path: Path) -> int:
    digits = re.findall(r"\d+", Path(str(image)).stem)
    if not digits:
        raise InputError(f"{path}: image_id {image!r} holds no frame number.")
    return int(digits[-1])


def _triples(numbers: Any, label: str) -> np.ndarray:
    """x, y, confidence per joint, flat or nested."""
    try:
        values = np.asarray(numbers, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"{label}: a person should be a list of [x, y, confidence]: {error}.") from error
    if values.size == 0 or values.size % 3 or (values.ndim == 2 and values.shape[1] != 3) or values.ndim > 2:
        raise InputError(
            f"{label}: a person should be a list of [x, y, confidence], found shape {values.shape}."
        )
    return values.reshape(-1, 3)


def _joint_count(frames: list[list[np.ndarray]], path: Path) -> int:
    counts = sorted({len(person) for frame in frames for person in frame})
    if not counts:
        raise InputError(f"{path}: nobody is in any of the {len(frames)} frames. Detect again.")
    if len(counts) > 1:
        raise InputError(f"{path}: people have different numbers of joints: {counts}. Use one detector.")
    return counts[0]
