"""Ultralytics' (YOLO's) label files: a text file per frame, a line per person, coordinates 0 to 1 across the image."""

from pathlib import Path

import numpy as np

from coview.errors import InputError
from coview.formats.io.text import read_text
from coview.formats.keypoints.view_joints import single_precision
from coview.skeletons import SKELETONS

# class and box before the joints; confidence of the box and number of the track may follow them
_BEFORE, _AFTER = 5, 2
_COUNTS = frozenset(len(skeleton) for skeleton in SKELETONS)


def is_ultralytics(text: str) -> bool:
    """Whether text is of a label file with joints.

    Args:
        text: The beginning of the file.

    Returns:
        Whether its first line is a whole number and at least 21 further numbers, the box within 0 and 1.
    """
    words = text.partition("\n")[0].split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return False
    box = numbers[1:_BEFORE]
    return len(numbers) >= 22 and numbers[0].is_integer() and all(-0.1 <= side <= 1.1 for side in box)


def ultralytics_people(file: Path) -> list[np.ndarray]:
    """The people of one frame.

    Args:
        file: The label file; an empty one shows nobody.

    Returns:
        Per person, shape (joints, 3): x and y as shares of the image's width and height, confidence.

    Raises:
        InputError: A line is no numbers, or it cannot be told how many joints it holds.
    """
    rows = [line.split() for line in read_text(file).splitlines() if line.strip()]
    try:
        numbers = [single_precision([float(word) for word in row]) for row in rows]
    except ValueError as error:
        raise InputError(
            f"{file}: a line should be numbers: {error}. This is no Ultralytics label file."
        ) from error
    return [_person(row, file) for row in numbers]


def _person(row: np.ndarray, file: Path) -> np.ndarray:
    """Lines hold x, y, confidence (or x, y alone) per joint; a known number of joints that fits is taken, 17 first."""
    found = [
        (joints != 17, -dims, joints)
        for dims in (3, 2)
        for after in range(_AFTER + 1)
        for joints in _COUNTS
        if joints * dims == len(row) - _BEFORE - after
    ]
    if not found:
        raise InputError(
            f"{file}: a line of {len(row)} numbers is not class, box and x, y, confidence of 17 joints (or of another "
            f"known number: {', '.join(map(str, sorted(_COUNTS)))}), with the box's confidence and the track after it."
        )
    _, dims, joints = min(found)
    places = row[_BEFORE : _BEFORE - dims * joints].reshape(joints, -dims)
    return places if dims == -3 else np.concatenate([places, np.ones((joints, 1), np.float32)], axis=1)
