"""Losses and metrics of a run over its steps: a table in memory and a CSV file."""

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from coview.formats.io.atomic import write_text


@dataclass
class History:
    """Rows of named numbers; a column may be missing from a row."""

    rows: list[dict[str, float]] = field(default_factory=list)

    def add(self, step: int, values: dict[str, float]) -> None:
        """Add values to the row of a step; values that the row holds already stay.

        Args:
            step: Number of the update.
            values: Name -> value.
        """
        if not self.rows or self.rows[-1]["step"] != step:
            self.rows.append({"step": step})
        for name, value in values.items():
            self.rows[-1].setdefault(name, value)

    def save(self, path: Path) -> None:
        """Write the table as CSV, atomically; an empty cell means: not measured at this step.

        Args:
            path: File to write.
        """
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(path, text.getvalue())

    @staticmethod
    def load(path: Path, until: int | None = None) -> "History":
        """Read a file of `save`.

        Args:
            path: File to read.
            until: Last step to read; default: all.

        Returns:
            The history; empty where there is no file.
        """
        if not path.is_file():
            return History()
        with path.open(newline="", encoding="utf-8") as file:
            rows = [{n: float(v) for n, v in row.items() if v} for row in csv.DictReader(file)]
        return History([row for row in rows if until is None or row["step"] <= until])
