"""Tables of results/mocap4.csv: medians over seeds, and ratios to two reference recipes."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

from coview.report.html import render_markdown

FAITHFUL, CEILING = "canonpose_faithful_mocap4", "supervised_mocap4"
_MEASURES = {
    "n_mpjpe_mm": "N-MPJPE mm",
    "p_mpjpe_mm": "P-MPJPE mm",
    "n_pck_150": "N-PCK@150 %",
    "n_auc": "N-AUC %",
    "cps": "CPS",
    "pss_50": "PSS@50 %",
    "pss_100": "PSS@100 %",
    "opposite_percent": "opposite %",
    "coverage_percent": "coverage %",
}
_RINGS = ("same", "near", "far")
_INPUTS = ("exact", "detected")
_VIEWS = "4"
Row = dict[str, str]
Group = tuple[str, str, str]  # recipe, width, steps
Cells = list[list[str]]


def table(path: Path) -> str:
    """The benchmark's results as Markdown, with joints, alignment and the head-size rule.

    One table of accuracy per input and ring, one of 2D detection rates, one of cost; of the rows that `usual` keeps.

    Args:
        path: A table that `bench.results` wrote.

    Returns:
        The Markdown.

    Raises:
        FileNotFoundError: There is no such file.
    """
    rows = usual(read(path))
    accuracy = [
        (kind, ring, markdown(_accuracy(some)))
        for kind in _present(rows, "input", _INPUTS)
        for ring in _present(rows, "ring", _RINGS)
        if (some := [row for row in rows if (row["input"], row["ring"]) == (kind, ring)])
    ]
    refined = [row for row in rows if row.get("jdr_all_before")]
    return render_markdown(
        "benchmark",
        faithful=FAITHFUL,
        ceiling=CEILING,
        conditions=_conditions(rows),
        accuracy=accuracy,
        detection=markdown(_detection(refined)) if refined else "",
        cost=markdown(_cost(rows)),
    )


def read(path: Path) -> list[Row]:
    """Read the table of the benchmark.

    Args:
        path: The CSV file.

    Returns:
        Every row, as text; rows older than the column `views` have four training cameras.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [row | {"views": row.get("views") or _VIEWS} for row in csv.DictReader(file)]


def usual(rows: Iterable[Row]) -> list[Row]:
    """The rows that are compared in tables: four training cameras, exact input or the stated detector's.

    Args:
        rows: Rows of the table.

    Returns:
        Those of them.
    """
    return [row for row in rows if row["views"] == _VIEWS and row["input"] in _INPUTS]


def median_and_range(values: Iterable[str], digits: int = 1) -> str:
    """Median, least and most of the numbers among some cells.

    Args:
        values: Cells; empty ones are left out.
        digits: Decimals.

    Returns:
        "median (least–most)"; the number alone where there is one, "–" where there is none.
    """
    numbers = [float(value) for value in values if value]
    if not numbers:
        return "–"
    middle, least, most = (f"{number:.{digits}f}" for number in (median(numbers), min(numbers), max(numbers)))
    return middle if len(numbers) == 1 else f"{middle} ({least}–{most})"


def groups(rows: Sequence[Row]) -> dict[Group, list[Row]]:
    """Rows grouped by recipe, width and steps; the group of least median error first.

    Args:
        rows: Rows of the table.

    Returns:
        Group -> its rows, which differ by their seed (and by what was selected before).
    """
    groups: dict[Group, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["recipe"], row["width"], row["steps"]].append(row)
    return dict(sorted(groups.items(), key=lambda item: (median_error(item[1]) or float("inf"), item[0])))


def median_error(rows: Sequence[Row]) -> float | None:
    """Median N-MPJPE of some rows.

    Args:
        rows: Rows of the table.

    Returns:
        Millimetres; None where no row has it.
    """
    numbers = [float(row["n_mpjpe_mm"]) for row in rows if row["n_mpjpe_mm"]]
    return median(numbers) if numbers else None


def markdown(cells: Cells) -> str:
    """A Markdown table, padded so that it also reads well on a terminal.

    Args:
        cells: Rows of cells, the head first.

    Returns:
        The table.
    """
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * max(3, width) for width in widths) + " |")
    return "\n".join(lines)


# --- inside --------------------------------------------------------------------------------------


def _conditions(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """What was held the same, in words: joints, alignment, the head-size rule."""
    columns = (("joints", "Joints"), ("alignment", "Alignment"), ("head_size", "Head size (JDR)"))
    return [
        (name, value)
        for column, name in columns
        for value in dict.fromkeys(row.get(column, "") for row in rows)
        if value
    ]


def _accuracy(rows: Sequence[Row]) -> Cells:
    every = groups(rows)
    # an older table has fewer
    measures = {name: words for name, words in _MEASURES.items() if name in rows[0]}
    head = [
        "recipe",
        "width",
        "steps",
        "seeds",
        *measures.values(),
        "mirrored",
        "× faithful",
        "× supervised",
    ]
    cells = [head]
    for group, its in every.items():
        line = [*group, str(len(its)), *(median_and_range(row[name] for row in its) for name in measures)]
        mirrored = sum(row["mirrored"] == "yes" for row in its)
        line.append(f"{mirrored} of {len(its)}")
        line += [_ratio(group, every, reference) for reference in (FAITHFUL, CEILING)]
        cells.append(line)
    return cells


def _ratio(group: Group, every: dict[Group, list[Row]], reference: str) -> str:
    """Of median N-MPJPE to that of the reference recipe, like with like."""
    _, width, steps = group
    lengths = [other for name, wide, other in every if (name, wide) == (reference, width)]
    if not lengths:
        return "–"
    length = steps if steps in lengths else max(lengths, key=int)
    mine, other = (median_error(every[key]) for key in (group, (reference, width, length)))
    return f"{mine / other:.3f}" if mine and other else "–"


def _detection(rows: Sequence[Row]) -> Cells:
    joints = [name[4:-7] for name in rows[0] if name.startswith("jdr_") and name.endswith("_before")]
    cells = [["recipe", "input", "width", "steps", "seeds", *joints]]
    for kind in _present(rows, "input", _INPUTS):
        for (recipe, *size), its in groups([row for row in rows if row["input"] == kind]).items():
            pairs = [
                " → ".join(
                    median_and_range((row.get(f"jdr_{joint}_{when}", "") for row in its), 2)
                    for when in ("before", "seen_after", "after")
                )
                for joint in joints
            ]
            cells.append([recipe, kind, *size, str(len(its)), *pairs])
    return cells


def _cost(rows: Sequence[Row]) -> Cells:
    cells = [
        ["recipe", "width", "steps", "batch", "precision", "parameters", "runs", "seconds", "peak MB", "on"]
    ]
    for group, its in groups(rows).items():
        runs = {(row["input"], row["seed"]): row for row in its}.values()  # the same run on every ring
        settings = (dict.fromkeys(row[name] for row in runs) for name in ("batch", "precision", "parameters"))
        numbers = [median_and_range((row[name] for row in runs), 0) for name in ("seconds", "peak_mb")]
        machines = "; ".join(dict.fromkeys(row["machine"].partition(", load")[0] for row in runs))
        cells.append([*group, *map(" ".join, settings), str(len(runs)), *numbers, machines])
    return cells


def _present(rows: Sequence[Row], column: str, order: tuple[str, ...]) -> list[str]:
    """Values of a column: those of `order` first, then the others as they come."""
    there = dict.fromkeys(row[column] for row in rows)
    return [value for value in order if value in there] + [value for value in there if value not in order]
