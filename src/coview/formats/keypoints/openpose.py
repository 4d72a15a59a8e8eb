"""2D joints as one file per frame: OpenPose's and Pose2Sim's JSON, and what all such folders have in common."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError
from coview.formats.io.camera_names import natural_key
from coview.formats.io.damage import reader
from coview.formats.io.text import read_json
from coview.formats.keypoints.view_joints import SPARSE, ViewJoints, single_precision, stack_people

# the keys under which versions and ports of OpenPose keep the body; AlphaPose's `--format cmu` writes `joints`
_BODY_KEYS = ("pose_keypoints_2d", "pose_keypoints", "joints")


def frame_files(folder: Path, ending: str = ".json") -> list[Path]:
    """The files of a folder in natural order.

    Args:
        folder: The folder; hidden files are left out.
        ending: How their names end.

    Returns:
        Paths, frame 2 before frame 10.
    """
    found = [p for p in folder.iterdir() if p.suffix.casefold() == ending and not p.name.startswith(".")]
    return sorted(found, key=lambda path: natural_key(path.name))


@reader("a folder of OpenPose JSON")
def read_openpose_folder(folder: Path) -> ViewJoints:
    """Read all frames of one camera from a folder with one JSON file per frame.

    Args:
        folder: The folder.

    Returns:
        The joints; NaN in frames without a file or without people.

    Raises:
        ValueError: A file is no OpenPose JSON, people have different numbers of joints, or nobody is in any frame.
    """
    return read_frame_files(frame_files(folder), folder, lambda file: people_of_frame(read_json(file), file))


def read_frame_files(
    files: Sequence[Path], folder: Path, people_in: Callable[[Path], list[np.ndarray]], **facts: Any
) -> ViewJoints:
    """Read all frames of one camera from one file per frame.

    Args:
        files: The files.
        folder: Where they are, for messages.
        people_in: Reads a file: per person, shape (joints, 3).
        **facts: What else is known, as `ViewJoints` has it.

    Returns:
        The joints; NaN in frames without a file or without people.

    Raises:
        ValueError: There are no files, one is damaged, people have different numbers of joints, or nobody is in any
            frame.
    """
    if not files:
        raise InputError(f"{folder} holds no JSON files: this camera has no 2D joints.")
    numbers = frame_numbers([file.name for file in files], folder)
    people = [people_in(file) for file in files]
    joints = _joint_count(people, list(files), folder)
    first, last = min(numbers), max(numbers)
    frames: list[list[np.ndarray]] = [[] for _ in range(last - first + 1)]
    for number, found in zip(numbers, people, strict=True):
        frames[number - first] = found
    # a writer that has files for frames without anybody shows it by having one
    lists_empty = not all(people)
    missing = len(frames) - len(files)
    points = stack_people(frames, joints)
    return ViewJoints(points, first, missing=missing, lists_empty=lists_empty, **facts)


def frame_numbers(names: Sequence[str], folder: Path) -> list[int]:
    """The frame number in each file name: the last group of digits that differs from file to file.

    Args:
        names: File names.
        folder: The folder, for messages.

    Returns:
        One number per name.

    Raises:
        ValueError: A name has no number, two have the same, or they are too far apart for frames.
    """
    groups = [re.findall(r"[0-9]+", name.rsplit(".", 1)[0].removesuffix("_keypoints")) for name in names]
    unnumbered = [name for name, group in zip(names, groups, strict=True) if not group]
    if unnumbered:
        raise InputError(f"{folder / unnumbered[0]}: no frame number in the file name.")
    numbers = _distinct([[int(digits) for digits in group] for group in groups])
    doubled = (
        [i for i, number in enumerate(numbers) if number in numbers[:i]]
        if len(set(numbers)) < len(numbers)
        else []
    )
    if doubled:
        twin = numbers.index(numbers[doubled[0]])
        raise InputError(
            f"{folder}: {names[twin]} and {names[doubled[0]]} have the same frame number "
            f"{numbers[twin]}. Put each camera's files into a folder of its own."
        )
    span = max(numbers) - min(numbers) + 1
    if span > SPARSE * len(numbers) + 1000:
        raise InputError(
            f"{folder}: {len(numbers)} files are numbered from {min(numbers)} to {max(numbers)}. These are "
            f"no frame numbers (time stamps?). Rename the files so that they count frames."
        )
    return numbers


def _distinct(groups: list[list[int]]) -> list[int]:
    """The last column in which all files differ; the last one where there is none."""
    columns = list(zip(*(group[-min(map(len, groups)) :] for group in groups), strict=True))
    for column in reversed(columns):
        if len(set(column)) == len(column):
            return list(column)
    return list(columns[-1])


def people_of_frame(content: Any, file: Path) -> list[np.ndarray]:
    """The people of one frame in OpenPose's layout. `[]`, `{}` and empty people mean nobody.

    Args:
        content: The parsed JSON: a table with `people` (AlphaPose's `--format cmu`: `bodies`).
        file: The file, for messages.

    Returns:
        Per person, shape (joints, 3): x, y, confidence.

    Raises:
        InputError: It is no such table, or people hold no joints under a known key.
    """
    if not isinstance(content, dict) or not ("people" in content or "bodies" in content):
        raise InputError(f"{file}: no `people`; this is not OpenPose JSON.")
    people = content.get("people") or content.get("bodies") or []
    if not isinstance(people, list):
        raise InputError(f"{file}: `people` should be a list, found {type(people).__name__}.")
    strange = [person for person in people if not isinstance(person, dict)]
    if strange:
        raise InputError(
            f"{file}: a person should be a table with `pose_keypoints_2d`, found {strange[0]!r:.60}."
        )
    return [_person(numbers, file) for person in people if (numbers := _numbers(person, file))]


def _numbers(person: dict[str, Any], file: Path) -> Any:
    """The numbers of the body; None where the person is empty."""
    key = next((key for key in _BODY_KEYS if key in person), None)
    others = [name for name, value in person.items() if isinstance(value, list) and len(value) >= 3]
    if key is None and others:
        raise InputError(
            f"{file}: a person has {', '.join(f'`{name}`' for name in others)} and no `pose_keypoints_2d`, so there "
            f"are no joints of the body. Detect the body too, or rename the key."
        )
    return None if key is None else person[key]


def _person(numbers: Any, file: Path) -> np.ndarray:
    try:
        values = single_precision(numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{file}: `pose_keypoints_2d` holds something that is no number: {error}."
        ) from error
    if values.ndim != 1 or values.size % 3:
        raise InputError(
            f"{file}: `pose_keypoints_2d` has shape {values.shape}, not a flat list of x, y, confidence."
        )
    return values.reshape(-1, 3)


def _joint_count(people: list[list[np.ndarray]], files: list[Path], folder: Path) -> int:
    counts = {len(person): file for found, file in zip(people, files, strict=True) for person in found}
    if not counts:
        raise InputError(
            f"{folder}: nobody is in any of the {len(files)} frames. Detect again, or leave this camera out."
        )
    if len(counts) > 1:
        listed = ", ".join(f"{count} joints (such as {file.name})" for count, file in sorted(counts.items()))
        raise InputError(f"{folder}: people have different numbers of joints: {listed}. Use one detector.")
    return next(iter(counts))
