"""EasyMocap's 2D joints: `annots/<camera>/000000.json`, 25 joints in the order of BODY_25."""

from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError
from coview.formats.keypoints.frames import person


def is_easymocap(content: Any) -> bool:
    """Whether parsed JSON is one frame of EasyMocap's.

    Args:
        content: The parsed JSON.

    Returns:
        Whether it has a list `annots`.
    """
    return isinstance(content, dict) and isinstance(content.get("annots"), list)


def easymocap_people(content: Any, file: Path) -> list[np.ndarray]:
    """The people of one frame.

    Args:
        content: The parsed JSON.
        file: The file, for messages.

    Returns:
        Per person, shape (joints, 3): x, y, confidence.

    Raises:
        InputError: It is no such frame, or damaged.
    """
    if not is_easymocap(content) or not all(isinstance(row, dict) for row in content["annots"]):
        raise InputError(f"{file}: no list `annots` of people; this is not EasyMocap's JSON.")
    return [person(row["keypoints"], str(file)) for row in content["annots"] if row.get("keypoints")]


def easymocap_size(content: Any) -> tuple[int, int] | None:
    """The size of the image, which EasyMocap writes into every frame.

    Args:
        content: The parsed JSON.

    Returns:
        Width and height in pixels; None where they are not there.
    """
    width, height = content.get("width"), content.get("height")
    if not (isinstance(width, int) and isinstance(height, int)):
        return None
    return (width, height) if width > 0 and height > 0 else None
