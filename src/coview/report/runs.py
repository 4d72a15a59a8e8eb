"""Training runs as files: curves from `history.csv`, numbers from `evaluation*.json`. Read generically."""

import csv
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coview.errors import InputError
from coview.report.embedding_map import Dots, read_dots

CURVES = ("history.csv", "metrics.csv")
MARKS = (*CURVES, "evaluation.json", "recipe.json")


@dataclass(frozen=True)
class Evaluation:
    """The numbers a run reached on some data."""

    # of the file
    name: str
    # dotted name: number or word; None where it could not be measured
    numbers: dict[str, Any]
    # name: how the number is defined
    meanings: dict[str, str] = field(default_factory=dict)
    # on which data, how much of it
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSummary:
    """What a run folder tells about one training."""

    name: str
    path: Path
    step_name: str = "step"
    # name: (step, value)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    evaluations: tuple[Evaluation, ...] = ()
    # dotted name: setting
    recipe: dict[str, Any] = field(default_factory=dict)
    # what happened: seconds, device, decisions
    record: dict[str, Any] = field(default_factory=dict)
    # of methods that embed, on what they were evaluated on
    embeddings: tuple[Dots, ...] = ()


def is_run(path: Path) -> bool:
    """Whether a folder looks like a training run.

    Args:
        path: The folder.

    Returns:
        True where it holds a file that runs have.
    """
    return path.is_dir() and any((path / mark).is_file() for mark in MARKS)


def find_runs(models: Path) -> tuple[RunSummary, ...]:
    """Every training run in a folder.

    Args:
        models: The folder.

    Returns:
        The runs, by name.
    """
    if not models.is_dir():
        return ()
    return tuple(read_run(path) for path in sorted(models.iterdir()) if is_run(path))


def read_run(path: Path) -> RunSummary:
    """Read what a run's folder tells; files that are not there are left out.

    Args:
        path: Folder of the run.

    Returns:
        Curves, evaluations, recipe and record.

    Raises:
        InputError: A file is damaged; the text names it.
    """
    written = [path / name for name in CURVES if (path / name).is_file()]
    step_name, curves = _read_curves(written[0]) if written else ("step", {})
    return RunSummary(
        path.name,
        path,
        step_name,
        curves,
        tuple(_evaluation(file) for file in sorted(path.glob("evaluation*.json"))),
        flat(_read_json(path / "recipe.json")),
        flat(_read_json(path / "run.json")),
        tuple(read_dots(file) for file in sorted(path.glob("embedding*.csv"))),
    )


def _read_curves(file: Path) -> tuple[str, dict[str, list[tuple[float, float]]]]:
    """The first column counts, every other is a curve; empty and non-numeric cells are left out."""
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    if not rows:
        return "step", {}
    header, *body = rows
    curves: dict[str, list[tuple[float, float]]] = {name: [] for name in header[1:]}
    for row in body:
        step = _number(row[0]) if row else None
        if step is None:
            continue
        for name, cell in zip(header[1:], row[1:], strict=False):
            value = _number(cell)
            if value is not None:
                curves[name].append((step, value))
    return header[0], {name: points for name, points in curves.items() if points}


def _evaluation(file: Path) -> Evaluation:
    """Either a table of numbers, or `metrics` with their `definitions` and what they were measured on."""
    content = _read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("metrics"), dict):
        return Evaluation(file.stem, flat(content))
    meanings = {name: str(said) for name, said in flat(content.get("definitions", {})).items()}
    about = {name: value for name, value in content.items() if name not in ("metrics", "definitions")}
    return Evaluation(file.stem, flat(content["metrics"]), meanings, flat(about))


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_json(file: Path) -> Any:
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is damaged: {error}. Run the stage that wrote it again.") from error


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested tables and lists as one table with dotted names.

    Args:
        value: What was read from JSON.
        prefix: Name of the value; empty at the top.

    Returns:
        Dotted name -> value.
    """
    if isinstance(value, dict):
        inner = [flat(part, f"{prefix}.{key}" if prefix else str(key)) for key, part in value.items()]
        return {name: leaf for table in inner for name, leaf in table.items()}
    if isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        return flat(dict(enumerate(value)), prefix)
    return {prefix: value} if prefix else {}
