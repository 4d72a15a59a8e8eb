"""MMPose's predictions: one JSON per video (of its inferencer or its demos), or one per picture."""

from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError
from coview.formats.keypoints.frames import scored_person, view_of_frames
from coview.formats.keypoints.view_joints import ViewJoints


def is_mmpose(content: Any) -> bool:
    """Whether parsed JSON is MMPose's of a video.

    Args:
        content: The parsed JSON.

    Returns:
        Whether it is a list of frames with `instances`, or has such a list as `instance_info`.
    """
    rows = content.get("instance_info") if isinstance(content, dict) else content
    return isinstance(rows, list) and bool(rows) and isinstance(rows[0], dict) and "instances" in rows[0]


def is_mmpose_picture(content: Any) -> bool:
    """Whether parsed JSON is MMPose's of one picture.

    Args:
        content: The parsed JSON.

    Returns:
        Whether it is a list of people with `keypoints` and `keypoint_scores`.
    """
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and {"keypoints", "keypoint_scores"} <= content[0].keys()
    )


def read_mmpose(content: Any, path: Path) -> ViewJoints:
    """The joints of a video in MMPose's JSON.

    Args:
        content: The parsed JSON, for which `is_mmpose` holds.
        path: The file, for messages.

    Returns:
        The joints; the names of joints where the file has them.

    Raises:
        InputError: It is damaged, or holds nobody.
    """
    rows = content["instance_info"] if isinstance(content, dict) else content
    numbered = {}
    for place, row in enumerate(rows):
        row = row if isinstance(row, dict) else {}
        number = row.get("frame_id", place)
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"{path}, entry {place}: `frame_id` {number!r} is no number of a frame.")
        numbered[number] = mmpose_people(row.get("instances") or [], f"{path}, frame {number}")
    meta = content.get("meta_info") if isinstance(content, dict) else None
    return view_of_frames(numbered, str(path), joint_names=_names(meta))


def mmpose_people(instances: Any, label: str) -> list[np.ndarray]:
    """The people of one frame.

    Args:
        instances: MMPose's list of people.
        label: Where this is, for messages.

    Returns:
        Per person, shape (joints, 3): x, y, confidence.

    Raises:
        InputError: It is damaged, or the joints are in 3D.
    """
    if not isinstance(instances, list) or not all(isinstance(one, dict) for one in instances):
        raise InputError(f"{label}: `instances` should be a list of people with `keypoints`.")
    return [scored_person(one.get("keypoints"), one.get("keypoint_scores"), label) for one in instances]


def _names(meta: Any) -> tuple[str, ...]:
    """Names of the joints in the order of their numbers, where all are there."""
    names = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if not isinstance(names, dict):
        return ()
    ordered = [names.get(str(number)) for number in range(len(names))]
    found = tuple(name for name in ordered if isinstance(name, str))
    return found if len(found) == len(ordered) else ()
