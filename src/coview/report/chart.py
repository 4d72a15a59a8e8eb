"""Line charts: one curve as SVG inside a page, in the page's colours; several with error bars as an SVG file."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from coview.errors import InputError
from coview.report.html import render_html

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 30
_MOST_POINTS = 400
_LOG_RANGE = 30.0  # a positive curve that spans more than this factor is drawn on a logarithmic axis

# Of middle brightness, so that they show on light and on dark paper.
COLOURS = ("#2a7fc9", "#c65a11", "#15896c", "#9a5fc7", "#c2447e", "#8f7400", "#6b7783", "#0c8799")
PAPERS = ("#ffffff", "#14171b")
# Lines are told apart by their dashes too, for those who do not see the colours.
_DASHES = ("-", "--", ":", "-.")
# Text stays text, and the same lines give the same file.
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "coview",
    "font.family": "sans-serif",
    "font.size": 9,
}


@dataclass(frozen=True)
class Series:
    """A line of a chart: per point x, its value, and the least and the most that was measured there."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]


def lines_svg(lines: Sequence[Series], *, title: str, across: str, up: str) -> str:
    """Several lines as an SVG file: a mark at each point, a bar from the least to the most measured there.

    Args:
        lines: points in any order of x; a line without points is left out.
        title: above the plot.
        across: name and unit of the x axis, which has a tick at each x that occurs.
        up: name and unit of the y axis, which need not begin at zero.

    Returns:
        The text of the file; the same lines give the same text. The group of a line's curve has the id `curve-<index>`.

    Raises:
        ValueError: where there is no point.
        ModuleNotFoundError: naming the extra to install, where matplotlib is missing."""
    lines = [line for line in lines if line.points]
    if not lines:
        raise InputError(f"lines_svg '{title}': no points to draw.")
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "lines_svg needs matplotlib, which is not installed. Run: pip install 'coview[view]'"
        ) from error
    with rc_context(_STYLE):
        figure = Figure(figsize=(7.6, 5.2), layout="constrained")
        axes = figure.add_subplot(title=title, xlabel=across, ylabel=up)
        for index, line in enumerate(lines):
            x, y, least, most = (list(column) for column in zip(*sorted(line.points), strict=True))
            colour, dashes = (
                COLOURS[index % len(COLOURS)],
                _DASHES[(index + index // len(COLOURS)) % len(_DASHES)],
            )
            axes.vlines(x, least, most, colors=colour, linewidth=1)
            axes.plot(
                x, y, dashes, color=colour, marker="o", markersize=4, label=line.name, gid=f"curve-{index}"
            )
        axes.set_xticks(sorted({point[0] for line in lines for point in line.points}))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(axis="y", color="0.88")
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def line_chart(points: Sequence[tuple[float, float]], title: str, across: str) -> Markup:
    """One curve as SVG, in the page's colours; logarithmic where positive values span more than a factor of 30.

    Args:
        points: x and value, in order of x.
        title: Name of the curve.
        across: Name of the x axis.

    Returns:
        The SVG; empty without points.
    """
    if not points:
        raise InputError(f"line_chart '{title}': no points to draw.")
    thin = list(points)[:: -(-len(points) // _MOST_POINTS)]
    values = [y for _, y in thin]
    logarithmic = min(values) > 0 and max(values) / min(values) > _LOG_RANGE
    curve = [(x, math.log10(y) if logarithmic else y) for x, y in thin]
    x_low, x_high = _range([x for x, _ in curve])
    y_low, y_high = _range([y for _, y in curve])

    def place(x: float, y: float) -> tuple[float, float]:
        across_share, up_share = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return LEFT + across_share * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up_share * (
            HEIGHT - TOP - BOTTOM
        )

    return render_html(
        "chart",
        title=title,
        across=across,
        logarithmic=logarithmic,
        first=_short(points[0][1]),
        last=_short(points[-1][1]),
        path="M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in (place(x, y) for x, y in curve)),
        levels=[(place(x_low, y)[1], _short(10**y if logarithmic else y)) for y in _ticks(y_low, y_high, 4)],
        marks=[(place(x, y_low)[0], _short(x)) for x in _ticks(x_low, x_high, 4)],
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        bottom=HEIGHT - BOTTOM,
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest, never equal."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _short(value: float) -> str:
    """Three figures, whole thousands in full, k from ten thousand on."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.3g}k"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
