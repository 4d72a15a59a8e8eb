"""All methods of the benchmark side by side: one table, and error against cameras and against 2D noise."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from coview.data.mocap.mocap4 import INPUTS
from coview.report.benchmark import Group, Row, groups, markdown, median_and_range, usual
from coview.report.chart import Series, lines_svg
from coview.report.html import render_markdown

_RINGS = ("same", "near", "far")
_BEGIN_WITH = "coview_mocap4 epipolar_lift_mocap4 supervised_mocap4"
_Curve = dict[str, list[float]]  # errors of the seeds, by what is across


@dataclass(frozen=True)
class _Plot:
    """One picture: what varies, and what does not."""

    file: str
    title: str
    across: str
    # that varies
    column: str
    # of it, that a line should have
    values: tuple[str, ...]
    # one of them, that lines are ordered by
    usual: str
    # the other column, and its value
    fixed: tuple[str, str]
    # of a value, on the axis
    place: Callable[[str], float]

    def command(self, recipes: str, values: Iterable[str], size: str = "") -> str:
        """What measures recipes there."""
        options = {self.fixed[0]: self.fixed[1], self.column: " ".join(values)}
        return (
            f"`coview bench mocap4 --recipes {recipes} --inputs {options.get('input')} "
            f"--views {options.get('views')}{size}`"
        )


_PLOTS = (
    _Plot(
        file="error_against_cameras.svg",
        title="Error against the number of cameras",
        across="cameras in training",
        column="views",
        values=("2", "3", "4"),
        usual="4",
        fixed=("input", "detected"),
        place=float,
    ),
    _Plot(
        file="error_against_noise.svg",
        title="Error against 2D noise",
        across="Gaussian error of the 2D joints in training and test, px per coordinate",
        column="input",
        values=tuple(INPUTS),
        usual="detected",
        fixed=("views", "4"),
        place=lambda name: INPUTS[name].sigma,
    ),
)


def page(
    rows: Sequence[Row], needs: Mapping[str, str], folder: str = "pictures"
) -> tuple[str, dict[str, str]]:
    """All methods of the benchmark in one table, and their error against cameras and against 2D noise.

    Args:
        rows: Rows as `benchmark.read` gives them.
        needs: Recipe -> what it needs in training, in words.
        folder: Folder of the pictures, as the page refers to it.

    Returns:
        The Markdown; and name of the SVG file -> its text.
    """
    detected = [row for row in usual(rows) if row["input"] == "detected"]
    missing = [name for name in needs if name not in {row["recipe"] for row in detected}]
    plots, pictures = [], {}
    for plot in _PLOTS:
        curves = _curves(rows, plot)
        shown: dict[str, Any] = {
            "title": plot.title,
            "picture": "",
            "size": None,
            "commands": _commands(curves, plot),
        }
        if curves:
            pictures[plot.file] = _picture(curves, plot)
            shown |= {"picture": plot.file, "size": _size(curves)}
        plots.append(shown)
    document = render_markdown(
        "comparison", table=markdown(_table(detected, needs)), missing=missing, plots=plots, folder=folder
    )
    return document, pictures


# --- inside --------------------------------------------------------------------------------------


def _table(rows: Sequence[Row], needs: Mapping[str, str]) -> list[list[str]]:
    """A line per recipe, width and steps, best first on the ring of the training."""
    head = [f"N-MPJPE mm, `{ring}`" for ring in _RINGS]
    cells = [["recipe", "needs", "width", "steps", "seeds", *head, "P-MPJPE mm, `same`", "PSS@50 %, `same`"]]
    in_order = [*groups(_on(rows, "same")), *groups(rows)]
    for group in dict.fromkeys(in_order):
        its, (recipe, *size) = groups(rows)[group], group
        line = [recipe, needs.get(recipe, "–"), *size, str(len({row["seed"] for row in its}))]
        line += [median_and_range(row["n_mpjpe_mm"] for row in _on(its, ring)) for ring in _RINGS]
        line += [
            median_and_range(row.get(name, "") for row in _on(its, "same"))
            for name in ("p_mpjpe_mm", "pss_50")
        ]
        cells.append(line)
    return cells


def _on(rows: Iterable[Row], ring: str) -> list[Row]:
    return [row for row in rows if row["ring"] == ring]


def _curves(rows: Sequence[Row], plot: _Plot) -> dict[Group, _Curve]:
    """Errors on ring `same` of recipes (of one width and so many steps) with two values or more, best first."""
    fixed, value = plot.fixed
    found: dict[Group, _Curve] = {}
    for row in _on(rows, "same"):
        if row[fixed] == value and row["input"] in INPUTS and row["n_mpjpe_mm"]:
            curve = found.setdefault((row["recipe"], row["width"], row["steps"]), defaultdict(list))
            curve[row[plot.column]].append(float(row["n_mpjpe_mm"]))

    def rank(group: Group) -> tuple[float, Group]:
        return median(found[group].get(plot.usual, [float("inf")])), group

    return {group: found[group] for group in sorted(found, key=rank) if len(found[group]) > 1}


def _picture(curves: Mapping[Group, _Curve], plot: _Plot) -> str:
    lines = []
    for (recipe, width, steps), curve in curves.items():
        size = "" if _size(curves) else f", width {width or '–'}, {steps} steps"
        points = ((plot.place(value), median(its), min(its), max(its)) for value, its in curve.items())
        lines.append(Series(recipe + size, tuple(points)))
    return lines_svg(lines, title=plot.title, across=plot.across, up="N-MPJPE on the ring ‘same’, mm")


def _size(curves: Iterable[Group]) -> tuple[str, str] | None:
    """Width and steps, where all lines have the same."""
    sizes = {(width, steps) for _, width, steps in curves}
    return sizes.pop() if len(sizes) == 1 else None


def _commands(curves: Mapping[Group, _Curve], plot: _Plot) -> list[str]:
    """What makes the rows that lines lack, or the first lines."""
    if not curves:
        return [
            f"No recipe was measured at two of these yet: {', '.join(plot.values)}. "
            f"They come from {plot.command(_BEGIN_WITH, plot.values)}."
        ]
    lacking: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for (recipe, width, steps), curve in curves.items():
        if absent := tuple(value for value in plot.values if value not in curve):
            lacking[absent, f"{f' --width {width}' if width else ''} --steps {steps}"].append(recipe)
    lines = [
        f"Missing: {', '.join(names)} at {', '.join(absent)}. {plot.command(' '.join(names), absent, size)}"
        for (absent, size), names in lacking.items()
    ]
    return [*lines, f"Another recipe gets its line from {plot.command('NAME', plot.values)}."]
