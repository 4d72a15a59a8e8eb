"""AlphaPose's `--format open` and `--format cmu`: one JSON per video, a table of people for each picture.

Its other form, one flat list, has the layout of COCO results and is read by `coco`.
"""

from pathlib import Path
from typing import Any

from coview.formats.keypoints.frames import image_number, view_of_frames
from coview.formats.keypoints.openpose import people_of_frame
from coview.formats.keypoints.view_joints import ViewJoints


def is_alphapose_pictures(content: Any) -> bool:
    """Whether parsed JSON is AlphaPose's table of pictures.

    Args:
        content: The parsed JSON.

    Returns:
        Whether all its entries have `people` or `bodies`.
    """
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(row, dict) and ("people" in row or "bodies" in row) for row in content.values())
    )


def read_alphapose_pictures(content: dict[str, Any], path: Path) -> ViewJoints:
    """The joints of a video in AlphaPose's table of pictures.

    Args:
        content: The parsed JSON, for which `is_alphapose_pictures` holds.
        path: The file, for messages.

    Returns:
        The joints. A picture in which nobody was found has no entry.

    Raises:
        InputError: It is damaged.
    """
    numbered = {image_number(name, str(path)): people_of_frame(row, path) for name, row in content.items()}
    return view_of_frames(numbered, str(path), lists_empty=not all(numbered.values()))
