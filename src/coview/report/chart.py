"""A line chart as inline SVG: follows the page's colours, needs no library."""

import math
from collections.abc import Sequence

from coview.report.html import text

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 30
_MOST_POINTS = 400
_LOG_RANGE = 30.0  # a positive curve that spans more than this factor is drawn on a logarithmic axis


def line_chart(points: Sequence[tuple[float, float]], title: str, across: str) -> str:
    """One curve of (x, y), finite numbers. `across` names the x axis.

    The y axis is logarithmic (and says so) where positive values span a factor above 30.
    Raises ValueError for a curve without points."""
    if not points:
        raise ValueError(f"line_chart '{title}': no points to draw.")
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

    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in (place(x, y) for x, y in curve))
    marks = "".join(_y_mark(y, place(x_low, y)[1], logarithmic) for y in _ticks(y_low, y_high, 4))
    marks += "".join(_x_mark(x, place(x, y_low)[0]) for x in _ticks(x_low, x_high, 4))
    said = f"{title}: from {_short(points[0][1])} to {_short(points[-1][1])}"
    scale = " (logarithmic)" if logarithmic else ""
    return (
        f'<figure class="chart"><figcaption>{text(title)}{scale}<b>{_short(points[-1][1])}</b></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(said)}">{marks}'
        f'<path d="{path}"/>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 2}" text-anchor="end">{text(across)}</text>'
        "</svg></figure>"
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


def _y_mark(y: float, at: float, logarithmic: bool) -> str:
    label = _short(10**y if logarithmic else y)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
    )


def _x_mark(x: float, at: float) -> str:
    return f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{_short(x)}</text>'


def _short(value: float) -> str:
    """Three figures, whole thousands in full, k from ten thousand on."""
    if abs(value) >= 10_000:
        return f"{value / 1000:.3g}k"
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
