"""From what files say of single frames and people to the 2D joints of one camera."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError
from coview.formats.keypoints.view_joints import SPARSE, ViewJoints, single_precision, stack_people

# people of one frame, each of shape (joints, 3): x, y, confidence
People = list[np.ndarray]


def person(numbers: Any, label: str) -> np.ndarray:
    """The joints of one person from a list of numbers.

    Args:
        numbers: x, y, confidence per joint, flat or nested.
        label: Where this is, for messages.

    Returns:
        Shape (joints, 3), float32.

    Raises:
        InputError: It is anything else.
    """
    try:
        values = single_precision(numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{label}: a person should be a list of [x, y, confidence]: {error}.") from error
    if values.size == 0 or values.size % 3 or (values.ndim == 2 and values.shape[1] != 3) or values.ndim > 2:
        raise InputError(
            f"{label}: a person should be a list of [x, y, confidence], found shape {values.shape}."
        )
    return values.reshape(-1, 3)


def scored_person(places: Any, scores: Any, label: str) -> np.ndarray:
    """The joints of one person whose places and scores stand apart.

    Args:
        places: [x, y] per joint.
        scores: A confidence per joint.
        label: Where this is, for messages.

    Returns:
        Shape (joints, 3), float32: x, y, confidence.

    Raises:
        InputError: They do not belong together, or the places are in 3D.
    """
    try:
        xy, confidence = single_precision(places), single_precision(scores)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{label}: joints should be [x, y], with a score each: {error}.") from error
    if xy.ndim != 2 or xy.shape[1] != 2 or confidence.shape != xy.shape[:1] or not len(xy):
        hint = " These are joints in 3D; coview needs those in the image." if xy.shape[-1:] == (3,) else ""
        raise InputError(
            f"{label}: joints should be [x, y], with a score each; found shapes {xy.shape} and "
            f"{confidence.shape}.{hint}"
        )
    return np.concatenate([xy, confidence[:, None]], axis=1)


def image_number(image: Any, label: str) -> int:
    """The number of a frame in the name of its image.

    Args:
        image: A number, or a file name whose last digits are the number.
        label: Where this is, for messages.

    Returns:
        The number.

    Raises:
        InputError: There are no digits.
    """
    digits = re.findall(r"[0-9]+", Path(str(image)).stem)
    if not digits:
        raise InputError(f"{label}: image_id {image!r} holds no frame number.")
    return int(digits[-1][-18:])


def view_of_frames(numbered: dict[int, People], label: str, **facts: Any) -> ViewJoints:
    """The joints of one camera from its frames by number.

    Args:
        numbered: People by number of the frame. Frames that are not there are left empty.
        label: The file, for messages.
        **facts: What else the file says, as `ViewJoints` has it.

    Returns:
        The joints.

    Raises:
        InputError: Nobody is in any frame, people have different numbers of joints, or the numbers cannot be those of
            frames.
    """
    joints = joint_count(list(numbered.values()), label)
    first, last = min(numbered), max(numbered)
    if last - first + 1 > SPARSE * len(numbered) + 1000:
        raise InputError(f"{label}: image ids run from {first} to {last}; these are no frame numbers.")
    frames = [numbered.get(number, []) for number in range(first, last + 1)]
    return ViewJoints(stack_people(frames, joints), first, missing=len(frames) - len(numbered), **facts)


def joint_count(frames: list[People], label: str) -> int:
    """The number of joints per person, which must be one.

    Args:
        frames: People of each frame.
        label: The file, for messages.

    Returns:
        The number.

    Raises:
        InputError: There is nobody, or people have different numbers of joints.
    """
    counts = sorted({len(joints) for frame in frames for joints in frame})
    if not counts:
        raise InputError(f"{label}: nobody is in any of the {len(frames)} frames. Detect again.")
    if len(counts) > 1:
        raise InputError(f"{label}: people have different numbers of joints: {counts}. Use one detector.")
    return counts[0]
