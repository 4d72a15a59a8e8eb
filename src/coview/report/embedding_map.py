"""An embedding as two scatter plots side by side: coloured by what is shown, and by which camera saw it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coview.errors import InputError
from coview.report.chart import COLOURS
from coview.report.html import render_html

_SIDE, _EDGE = 300, 12  # of a plot, and the room around its points: pixels


@dataclass(frozen=True)
class Dots:
    """What `embedding.csv` in a run's folder holds: a point per view."""

    name: str
    places: tuple[tuple[float, float], ...]
    # of poses
    groups: tuple[int, ...]
    views: tuple[int, ...]
    # in words
    about: str


def read_dots(path: Path) -> Dots:
    """Read a map of an embedding.

    Args:
        path: A file of `Embedded.write_map`.

    Returns:
        The points.

    Raises:
        InputError: The file is damaged or another table.
    """
    first, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
    try:
        rows = list(csv.DictReader(lines))
        places = tuple((float(row["x"]), float(row["y"])) for row in rows)
        groups, views = (tuple(int(row[name]) for row in rows) for name in ("group", "view"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is damaged: it should have the columns x, y, group and view. Run `coview evaluate` again."
        ) from error
    return Dots(path.stem, places, groups, views, first.removeprefix("# "))


def embedding_figure(dots: Dots) -> str:
    """Two scatter plots of an embedding: coloured by group of poses, and by camera.

    Args:
        dots: The points.

    Returns:
        HTML; empty without points.
    """
    if not dots.places:
        return ""
    shown = {"group of poses": dots.groups, "camera": dots.views}
    plots = [(f"{dots.name} by {what}", _circles(dots.places, numbers)) for what, numbers in shown.items()]
    return render_html("embedding", side=_SIDE, plots=plots, about=dots.about)


def _circles(places: Sequence[tuple[float, float]], numbers: Sequence[int]) -> list[tuple[float, float, str]]:
    """Per point: where it is drawn, pixels, and its colour."""
    across, up = zip(*places, strict=True)
    middle = (min(across) + max(across)) / 2, (min(up) + max(up)) / 2
    reach = max(max(across) - min(across), max(up) - min(up), 1e-9) / (_SIDE - 2 * _EDGE)
    return [
        (
            _SIDE / 2 + (x - middle[0]) / reach,
            _SIDE / 2 - (y - middle[1]) / reach,
            COLOURS[number % len(COLOURS)],
        )
        for (x, y), number in zip(places, numbers, strict=True)
    ]
