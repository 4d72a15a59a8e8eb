"""Progress bars and durations, the same for every stage."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def progress(steps: Iterable[T], *, total: int, what: str) -> Iterator[T]:
    """Iterate with a progress bar and an ETA on the terminal; silent where stderr is no terminal.

    Args:
        steps: What to iterate.
        total: Number of steps; below 2 there is no bar.
        what: Label of the bar.

    Returns:
        The steps.
    """
    if total < 2 or not sys.stderr.isatty():
        yield from steps
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(steps, total=total, description=what)


def duration(seconds: float) -> str:
    """A duration for people: "40 s", "12 min", "3 h 05 min".

    Args:
        seconds: The duration; NaN: not known.

    Returns:
        The text.
    """
    if seconds != seconds:
        return "an unknown time"
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
