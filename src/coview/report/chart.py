"""Line charts as SVG that need no library: inline, in the page's colours, or as a file with colours of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coview.errors import InputError
from coview.report.html import text

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 12, 30
_MOST_POINTS = 400
_LOG_RANGE = 30.0  # a positive curve that spans more than this factor is drawn on a logarithmic axis

# of pictures that are files: lines of one middle brightness, so that they show on light and on dark paper
COLOURS = ("#2a7fc9", "#c65a11", "#15896c", "#9a5fc7", "#c2447e", "#8f7400", "#6b7783", "#0c8799")
PAPERS = ("#ffffff", "#14171b")
_DASHES = ("", "7 4", "2 3", "9 3 2 3")
_WIDE, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 62, 736, 44, 374  # the picture, and the edges of its plot
_LEGEND, _ROW, _COLUMNS = _BOTTOM + 70, 20, 2  # where the legend begins, and how it goes on
_STYLE = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#4d5761}.title{font-weight:600;fill:#1b2129}"
    ".paper{fill:#fff}.grid{stroke:#dfe3e7}@media(prefers-color-scheme:dark){text{fill:#a7b0b9}"
    ".title{fill:#e6e9ec}.paper{fill:#14171b}.grid{stroke:#31373e}}"
)


@dataclass(frozen=True)
class Line:
    """A line of a chart: per point x, its value, and the least and the most that was measured there."""

    name: str
    points: tuple[tuple[float, float, float, float], ...]


def lines_svg(lines: Sequence[Line], *, title: str, across: str, up: str) -> str:
    """Several lines as the text of an SVG file, with a legend and a thin bar from least to most at each point.

    `across` and `up` name the axes and their units. Each x that occurs has a mark of its own; the y axis
    need not begin at zero. The same lines give the same text. Raises ValueError where there is no point."""
    every = [point for line in lines for point in line.points]
    if not every:
        raise InputError(f"lines_svg '{title}': no points to draw.")
    x_low, x_high = _range([x for x, *_ in every])
    y_low, y_high = _range([value for _, *values in every for value in values])
    room = 0.06 * (y_high - y_low)
    frame = _Frame(x_low, x_high, y_low - room, y_high + room)
    middle, half_up = (_LEFT + _RIGHT) / 2, (_TOP + _BOTTOM) / 2
    tall = _LEGEND + -(-len(lines) // _COLUMNS) * _ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {tall}" width="{_WIDE}" height="{tall}" '
        f'role="img" aria-label="{text(title)}">',
        f"<style>{_STYLE}</style>",
        '<rect class="paper" width="100%" height="100%"/>',
        f'<text class="title" x="{_LEFT}" y="24">{text(title)}</text>',
        *frame.marks(sorted({x for x, *_ in every})),
        f'<text x="{middle:.1f}" y="{_BOTTOM + 42}" text-anchor="middle">{text(across)}</text>',
        f'<text transform="translate(18 {half_up:.1f}) rotate(-90)" text-anchor="middle">{text(up)}</text>',
        *(_legend(line, number) for number, line in enumerate(lines)),
        *(frame.curve(line, number) for number, line in enumerate(lines) if line.points),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class _Frame:
    """What lies at the edges of the plot."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        """In the picture, pixels."""
        across = (x - self.x_low) / (self.x_high - self.x_low)
        up = (y - self.y_low) / (self.y_high - self.y_low)
        return _LEFT + 14 + across * (_RIGHT - _LEFT - 28), _BOTTOM - up * (_BOTTOM - _TOP)

    def marks(self, at: Sequence[float]) -> list[str]:
        """Of both axes; those below the plot at the given x."""
        parts = []
        for y in _ticks(self.y_low, self.y_high, 6):
            level = self.place(self.x_low, y)[1]
            parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>')
            parts.append(f'<text x="{_LEFT - 8}" y="{level + 4:.1f}" text-anchor="end">{_short(y)}</text>')
        for x in at:
            place = self.place(x, self.y_low)[0]
            parts.append(f'<text x="{place:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{_short(x)}</text>')
        return parts

    def curve(self, line: Line, number: int) -> str:
        """A line with its points, and at each the bar from least to most."""
        points = sorted(line.points)
        path = "L".join("{:.1f} {:.1f}".format(*self.place(x, y)) for x, y, *_ in points)
        parts = [f'<path class="curve" d="M{path}" {_look(number)}/>']
        for x, y, least, most in points:
            (at, low), (_, high) = self.place(x, least), self.place(x, most)
            parts.append(f'<path d="M{at:.1f} {low:.1f}V{high:.1f}" stroke="{_colour(number)}"/>')
            parts.append(_dot(*self.place(x, y), number))
        return "\n".join(parts)


def _legend(line: Line, number: int) -> str:
    """What a line looks like, and its name."""
    left = _LEFT + number % _COLUMNS * (_RIGHT - _LEFT) / _COLUMNS
    level = float(_LEGEND + number // _COLUMNS * _ROW)
    return (
        f'<path d="M{left:.1f} {level:.1f}h30" {_look(number)}/>{_dot(left + 15, level, number)}'
        f'<text x="{left + 38:.1f}" y="{level + 4:.1f}">{text(line.name)}</text>'
    )


def line_chart(points: Sequence[tuple[float, float]], title: str, across: str) -> str:
    """One curve of (x, y), finite numbers. `across` names the x axis.

    The y axis is logarithmic (and says so) where positive values span a factor above 30.
    Raises ValueError for a curve without points."""
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


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _look(number: int) -> str:
    """Of a line: told apart by its dashes too, for those who do not see the colours."""
    dashes = _DASHES[number % len(_DASHES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'fill="none" stroke="{_colour(number)}" stroke-width="2"{dashed}'


def _dot(x: float, y: float, number: int) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_colour(number)}"/>'


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
