"""DeepLabCut's and Lightning Pose's csv tables of 2D joints: header rows scorer, [individuals,] bodyparts, coords."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from coview.errors import InputError
from coview.formats.io.text import read_text
from coview.formats.keypoints.frames import view_of_frames
from coview.formats.keypoints.view_joints import ViewJoints, single_precision

_HEADERS = ("scorer", "individuals", "bodyparts", "coords")
# columns that hold a confidence; `visible` is 0, 1 or 2
_CONFIDENCES = frozenset({"likelihood", "confidence", "score", "visible"})


@dataclass(frozen=True)
class Table:
    """A table of 2D joints: one row per frame, three columns (or two) per joint of a person."""

    # per column: whom it belongs to ("" where there is one person), which joint, and x, y or likelihood
    people: tuple[str, ...]
    joints: tuple[str, ...]
    coordinates: tuple[str, ...]
    # NaN: empty; shape (rows, columns)
    values: np.ndarray
    # of the frame of each row
    numbers: tuple[int, ...]


def is_deeplabcut(text: str) -> bool:
    """Whether text is of such a csv file.

    Args:
        text: The beginning of the file.

    Returns:
        Whether its first cell is `scorer`, and one of the next rows begins with `coords`.
    """
    first = [line.partition(",")[0].strip().strip('"').casefold() for line in text.splitlines()[:4]]
    return bool(first) and first[0] == "scorer" and "coords" in first


def read_deeplabcut(path: Path) -> ViewJoints:
    """The joints of one camera in such a csv file.

    Args:
        path: The file.

    Returns:
        The joints; each individual is a person. A row without joints is a frame in which nobody was found.

    Raises:
        InputError: It is damaged; the message names the line.
    """
    rows = list(csv.reader(read_text(path).splitlines()))
    count = next((n for n, row in enumerate(rows) if row and row[0].strip().casefold() == "coords"), None)
    if count is None or count + 1 >= len(rows):
        raise InputError(f"{path}: no row `coords` with frames below it; this is no table of DeepLabCut's.")
    headers = {row[0].strip().casefold(): row for row in rows[: count + 1] if row}
    if not headers.keys() <= set(_HEADERS) or "bodyparts" not in headers:
        raise InputError(f"{path}: header rows {', '.join(headers)}; expected are {', '.join(_HEADERS)}.")
    # newer tables of labelled images have three columns before the joints, whose heads are empty but for the first
    index = next((n for n, cell in enumerate(headers["coords"]) if n and cell.strip()), 1)
    body = [(line, row) for line, row in enumerate(rows[count + 1 :], start=count + 2) if any(row)]
    width = len(headers["coords"])
    wrong = next((line for line, row in body if len(row) != width), None)
    if wrong is not None or any(len(row) != width for row in headers.values()):
        raise InputError(
            f"{path}, line {wrong or 1}: not {width} cells, as the row `coords` has. Was the file cut short?"
        )
    table = Table(
        tuple(cell.strip() for cell in headers.get("individuals", [""] * width)[index:]),
        tuple(cell.strip() for cell in headers["bodyparts"][index:]),
        tuple(cell.strip().casefold() for cell in headers["coords"][index:]),
        single_precision([[_number(cell, path, line) for cell in row[index:]] for line, row in body]),
        _frame_numbers([row[index - 1] for _, row in body]),
    )
    return view_of_table(table, path)


def view_of_table(table: Table, path: Path) -> ViewJoints:
    """The joints of one camera from a table.

    Args:
        table: The table.
        path: The file, for messages.

    Returns:
        The joints; each individual is a person.

    Raises:
        InputError: Columns are missing, or nobody is in any frame.
    """
    # bodyparts of no individual ("single": objects in view) are no people
    people = list(dict.fromkeys(name for name in table.people if name.casefold() != "single")) or ["single"]
    names = list(
        dict.fromkeys(n for n, who in zip(table.joints, table.people, strict=True) if who == people[0])
    )
    points = np.full((len(table.values), len(people), len(names), 3), np.nan, dtype=np.float32)
    points[..., 2] = 1.0
    for column, (who, joint, coordinate) in enumerate(
        zip(table.people, table.joints, table.coordinates, strict=True)
    ):
        if who not in people or joint not in names:
            continue
        if coordinate not in {"x", "y"} | _CONFIDENCES:
            raise InputError(f"{path}: column `{coordinate}` of `{joint}`; expected are x, y and likelihood.")
        values = table.values[:, column] / (2 if coordinate == "visible" else 1)
        points[:, people.index(who), names.index(joint), {"x": 0, "y": 1}.get(coordinate, 2)] = values
    numbered = {
        number: [one for one in frame if np.isfinite(one[:, :2]).all(axis=1).any()]
        for number, frame in zip(table.numbers, points, strict=True)
    }
    return view_of_frames(numbered, str(path), joint_names=tuple(names))


def _number(cell: str, path: Path, line: int) -> float:
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError:
        raise InputError(f"{path}, line {line}: '{cell:.40}' is no number.") from None


def _frame_numbers(cells: list[str]) -> tuple[int, ...]:
    """The last digits of each row's index (a number, or the name of an image); rows are counted where that is none."""
    digits = [re.findall(r"[0-9]+", Path(cell).stem) for cell in cells]
    numbers = [int(found[-1][-18:]) if found else -1 for found in digits]
    ordered = all(number >= 0 for number in numbers) and len(set(numbers)) == len(numbers)
    return tuple(numbers) if ordered else tuple(range(len(cells)))
