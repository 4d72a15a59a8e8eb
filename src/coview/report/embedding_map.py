"""An embedding as two scatter plots side by side: coloured by what is shown, and by which camera saw it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from coview.errors import InputError
from coview.report.chart import COLOURS
from coview.report.html import text

_SIDE, _EDGE = 300, 12  # of a plot, and the room around its points: pixels


@dataclass(frozen=True)
class Dots:
    """What `embedding.csv` in a run's folder holds: a point per view."""

    name: str
    places: tuple[tuple[float, float], ...]
    groups: tuple[int, ...]  # of poses
    views: tuple[int, ...]
    about: str  # in words


def read_dots(path: Path) -> Dots:
    """ValueError naming the file where it is something else."""
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
    """Both plots and what they say, as HTML; nothing where there is no point."""
    if not dots.places:
        return ""
    words = (
        f"Each point is one view of one instant, in the plane that shows most of the embedding ({dots.about}). Left: "
        f"colours are groups of alike poses, which should lie apart. Right: colours are cameras, which should lie "
        f"together everywhere."
    )
    plots = "".join(
        _plot(dots.places, numbers, f"{dots.name} by {what}")
        for numbers, what in ((dots.groups, "group of poses"), (dots.views, "camera"))
    )
    return f'<div class="charts">{plots}</div><p class="small">{text(words)}</p>'


def _plot(places: Sequence[tuple[float, float]], numbers: Sequence[int], title: str) -> str:
    across, up = zip(*places, strict=True)
    middle = (min(across) + max(across)) / 2, (min(up) + max(up)) / 2
    reach = max(max(across) - min(across), max(up) - min(up), 1e-9) / (_SIDE - 2 * _EDGE)

    def circle(place: tuple[float, float], number: int) -> str:
        x, y = (_SIDE / 2 + sign * (a - b) / reach for a, b, sign in zip(place, middle, (1, -1), strict=True))
        look = f"fill:{COLOURS[number % len(COLOURS)]};fill-opacity:.75"
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" style="{look}"/>'

    circles = "".join(circle(place, number) for place, number in zip(places, numbers, strict=True))
    return (
        f'<figure class="chart"><figcaption>{text(title)}</figcaption>'
        f'<svg viewBox="0 0 {_SIDE} {_SIDE}" role="img" aria-label="{text(title)}">{circles}</svg></figure>'
    )
