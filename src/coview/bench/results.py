"""The table of results: one row per run and ring, replaced when the run is measured again."""

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from coview.errors import InputError
from coview.formats.io.atomic import write_text
from coview.metrics.detection import GROUPS, OVERALL

Row = dict[str, str]
KEY = ("recipe", "input", "seed", "ring", "width", "steps", "views")
_BEFORE = {"views": "4"}  # what it was before the table had such a column
RATES = (OVERALL, *GROUPS)
WHENS = ("before", "after", "seen_after")  # seen_after: what was not seen before counts as not found still
COLUMNS = (
    *(
        "date",
        "commit",
        "machine",
        "recipe",
        "input",
        "seed",
        "views",
        "width",
        "parameters",
        "steps",
        "batch",
        "precision",
    ),
    *("seconds", "peak_mb", "ring", "instants"),
    *("n_mpjpe_mm", "p_mpjpe_mm", "n_pck_150", "n_auc", "cps", "pss_50", "pss_100"),
    *("opposite_percent", "coverage_percent"),
    *("mirrored_percent", "mirrored", "mirror_flipped"),
    *(f"jdr_{group}_{when}" for group in RATES for when in WHENS),
    *("joints", "alignment", "head_size", "notes"),
)


def key_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """The cells that identify a measurement.

    Args:
        row: A row of the table.

    Returns:
        The cells of `KEY`; columns that older tables lack have the value that was meant.
    """
    return tuple((row.get(name) or _BEFORE[name]) if name in _BEFORE else row[name] for name in KEY)


def read_rows(path: Path) -> list[Row]:
    """Read the table of the benchmark.

    Args:
        path: The CSV file.

    Returns:
        Every row, as text; empty where there is no file.

    Raises:
        InputError: The file is another table, a folder or no text, or a part of the path is a file.
    """
    blocked = path if path.is_dir() else next((p for p in path.parents if p.is_file()), None)
    if blocked:
        raise InputError(
            f"no table can be kept at {path}: {blocked} is a {'folder' if blocked.is_dir() else 'file'}. "
            f"Name a file such as results/mocap4.csv with --results."
        )
    if not path.is_file():
        return []
    try:
        return _rows(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path} cannot be read as a table of the benchmark: {error}. Move the damaged file away, and the "
            f"rows are made again from the runs; or give another file with --results."
        ) from error


def _rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, strict=True)
        missing = [name for name in KEY if name not in (*(reader.fieldnames or ()), *_BEFORE)]
        if missing:
            raise InputError(
                f"{path} is no table of the benchmark: it has no column {', '.join(missing)}. "
                f"Give another file with --results."
            )
        rows = [{name: value or "" for name, value in row.items() if name} for row in reader]
    return [row | dict(zip(KEY, key_of(row), strict=True)) for row in rows]


def put_rows(path: Path, rows: Sequence[Row]) -> None:
    """Add rows to the table; each replaces the row with the same key. The file is replaced atomically.

    Args:
        path: The CSV file.
        rows: The rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        table = {key_of(row): row for row in read_rows(path)}
        table |= {key_of(row): row for row in rows}
        extra = dict.fromkeys(name for row in table.values() for name in row if name not in COLUMNS)
        text = io.StringIO()
        writer = csv.DictWriter(text, [*COLUMNS, *extra], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.values())
        write_text(path, text.getvalue())


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Append rows to a table of measurements, which begins with its columns.

    Args:
        path: The CSV file; made where there is none.
        columns: Names of the columns.
        rows: The rows.
    """
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two benchmarks that end at once would otherwise lose the rows of one of them."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock; there, run one at a time
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
