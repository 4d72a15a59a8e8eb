"""What commands write: results to stdout, notes to stderr."""

import sys
from collections.abc import Iterable


def say(line: str) -> None:
    """A line of result."""
    sys.stdout.write(line + "\n")


def note(lines: Iterable[str]) -> None:
    """What the user should know before trusting the result."""
    for line in filter(None, lines):
        sys.stderr.write(f"note: {line}\n")
