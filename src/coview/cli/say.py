"""Output of commands: results to stdout, notes to stderr."""

import sys
from collections.abc import Iterable


def say(line: str) -> None:
    """Write a line of result to stdout.

    Args:
        line: The line, without its end.
    """
    sys.stdout.write(line + "\n")


def note(lines: Iterable[str]) -> None:
    """Write notes to stderr: what the user should know before relying on the result.

    Args:
        lines: The notes; empty ones are left out.
    """
    for line in filter(None, lines):
        sys.stderr.write(f"note: {line}\n")
