"""COCO's 2D joints: results (which AlphaPose writes too), and annotations with their list of images."""

from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError
from coview.formats.keypoints.frames import image_number, person, view_of_frames
from coview.formats.keypoints.openpose import frame_numbers
from coview.formats.keypoints.view_joints import ViewJoints


def is_coco_results(content: Any) -> bool:
    """Whether parsed JSON is a list of COCO results, or AlphaPose's list.

    Args:
        content: The parsed JSON.

    Returns:
        Whether it is.
    """
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and {"keypoints", "image_id"} <= content[0].keys()
    )


def read_coco_results(content: list[Any], path: Path) -> ViewJoints:
    """The joints of one camera in a list of COCO results, or AlphaPose's.

    A person's own `score` (AlphaPose's is a sum) and track are not used; confidences are those of the joints.

    Args:
        content: The parsed JSON, for which `is_coco_results` holds.
        path: The file, for messages.

    Returns:
        The joints. A frame in which nobody was found has no entry.

    Raises:
        InputError: It is damaged.
    """
    numbered: dict[int, list[np.ndarray]] = {}
    for row in content:
        if not isinstance(row, dict):
            raise InputError(f"{path}: an entry should be a table with `keypoints`, found {row!r:.60}.")
        number = image_number(row.get("image_id"), str(path))
        numbered.setdefault(number, []).append(person(row.get("keypoints"), f"{path}, image {number}"))
    return view_of_frames(numbered, str(path), lists_empty=False)


def is_coco_frame(content: Any) -> bool:
    """Whether parsed JSON is a list of COCO results of one image.

    Args:
        content: The parsed JSON.

    Returns:
        Whether all its entries are of the same image.
    """
    return (
        is_coco_results(content)
        and len({str(row.get("image_id")) for row in content if isinstance(row, dict)}) == 1
    )


def coco_people(content: Any, file: Path) -> list[np.ndarray]:
    """The people of one image.

    Args:
        content: The parsed JSON: a list of COCO results.
        file: The file, for messages.

    Returns:
        Per person, shape (joints, 3): x, y, confidence.

    Raises:
        InputError: It is damaged.
    """
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise InputError(f"{file}: a frame should be a list of people with `keypoints`.")
    return [person(row.get("keypoints"), str(file)) for row in content]


def is_coco_annotations(content: Any) -> bool:
    """Whether parsed JSON is COCO's annotations.

    Args:
        content: The parsed JSON.

    Returns:
        Whether it has lists of images and of annotations, the first of which has joints.
    """
    if not isinstance(content, dict):
        return False
    images, rows = content.get("images"), content.get("annotations")
    return (
        isinstance(images, list)
        and isinstance(rows, list)
        and any("keypoints" in row for row in rows if isinstance(row, dict))
    )


def read_coco_annotations(content: dict[str, Any], path: Path) -> ViewJoints:
    """The joints of one camera in COCO's annotations.

    Args:
        content: The parsed JSON, for which `is_coco_annotations` holds.
        path: The file, for messages.

    Returns:
        The joints; every image is a frame. Visibility 1 (occluded) becomes a confidence of one half, 2 becomes 1;
        where the third numbers are no visibilities, they are confidences.

    Raises:
        InputError: It is damaged, holds nobody, or images of several cameras.
    """
    images = _images(content["images"], path)
    numbered: dict[int, list[np.ndarray]] = {number: [] for number in images.values()}
    for row in content["annotations"]:
        if isinstance(row, dict) and row.get("keypoints") and not row.get("iscrowd"):
            if not isinstance(row.get("image_id"), int | str) or row["image_id"] not in images:
                raise InputError(
                    f"{path}: an annotation is of image {row.get('image_id')!r}, which is not listed."
                )
            number = images[row["image_id"]]
            numbered[number].append(person(row["keypoints"], f"{path}, image {number}"))
    _visibility_to_confidence([one for people in numbered.values() for one in people])
    return view_of_frames(
        numbered, str(path), size=_size(content["images"]), joint_names=_names(content.get("categories"))
    )


def _images(rows: list[Any], path: Path) -> dict[Any, int]:
    """Number of the frame of each image, by its id."""
    named = [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), int | str)]
    if not named or len(named) < len(rows):
        raise InputError(f"{path}: every entry of `images` needs an `id`. Export the annotations again.")
    files = [str(row.get("file_name", row["id"])).replace("\\", "/") for row in named]
    folders = {file.rpartition("/")[0] for file in files}
    if len(folders) > 1:
        raise InputError(
            f"{path} holds images of several folders ({', '.join(sorted(folders)[:6])}). coview reads one camera per "
            f"file: export the annotations of each camera to a <camera>.json."
        )
    numbers = frame_numbers([file.rpartition("/")[2] for file in files], path)
    return {row["id"]: number for row, number in zip(named, numbers, strict=True)}


def _visibility_to_confidence(people: list[np.ndarray]) -> None:
    """In place."""
    third = np.concatenate([one[:, 2] for one in people]) if people else np.zeros(0)
    if np.isin(third, (0, 1, 2)).all() and (third == 2).any():
        for one in people:
            one[:, 2] /= 2


def _size(images: list[dict[str, Any]]) -> tuple[int, int] | None:
    """Width and height, where all images have the same."""
    first = images[0].get("width"), images[0].get("height")
    width, height = first
    if not (isinstance(width, int) and isinstance(height, int)) or min(width, height) < 1:
        return None
    same = all((row.get("width"), row.get("height")) == first for row in images)
    return (width, height) if same else None


def _names(categories: Any) -> tuple[str, ...]:
    """Names of the joints, where one kind of thing has joints."""
    listed = categories if isinstance(categories, list) else []
    rows = [row for row in listed if isinstance(row, dict) and row.get("keypoints")]
    names = rows[0]["keypoints"] if len(rows) == 1 else None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
