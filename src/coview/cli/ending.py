"""Exit codes of commands, and how errors are shown."""

import errno
import os
import platform
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from coview import __version__
from coview.errors import CoviewError
from coview.formats.io.atomic import explained

# What was asked for could not be done, or a check found faults; the message says what to do.
FAILED = 1
# The command line cannot be understood (also tyro's code for it).
USAGE = 2
# An error of coview itself: EX_SOFTWARE of sysexits.h.
BUG = 70
# Stopped by Ctrl-C: 128 + SIGINT, as shells count.
STOPPED = 130


class UsageError(CoviewError, ValueError):
    """The command line cannot be understood: a flag of another command, or one that was renamed."""


def ended(command: Callable[[], None]) -> int:
    """Run a command and return the exit code of the program.

    Args:
        mistake that the user can mend (`CoviewError`, and `OSError` of the operating system) is one line on stderr that
            begins with "error:"; with COVIEW_TRACEBACK set, the traceback stands before it. Anything else is an error
            of coview and is shown with its traceback, coview's version and what to report.
        command: The command, without arguments.

    Returns:
        0, or one of `FAILED`, `USAGE`, `BUG`, `STOPPED`.
    """
    try:
        command()
        sys.stdout.flush()
    except (CoviewError, OSError) as problem:
        return _failed(problem)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; run the same command again to go on.\n")
        return STOPPED
    except Exception:  # noqa: BLE001, everything that nobody foresaw ends here and is shown in full
        sys.stderr.write(traceback.format_exc() + _REPORT)
        return BUG
    return 0


def _failed(problem: CoviewError | OSError) -> int:
    if isinstance(problem, BrokenPipeError):
        # Whoever read our output (`coview recipes | head`) has gone: not worth a word.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    if os.environ.get("COVIEW_TRACEBACK"):
        traceback.print_exc()
    sys.stderr.write(f"error: {message(problem)}\n")
    return USAGE if isinstance(problem, UsageError) else FAILED


def message(problem: Exception) -> str:
    """The text of an error for the user; one of the operating system names its file first.

    Args:
        problem: The error.

    Returns:
        The text, without "error:".
    """
    if isinstance(problem, OSError) and problem.strerror:
        if problem.filename is None:
            return problem.strerror
        path = os.fsdecode(problem.filename)
        # only writing fails so; others may be of reading
        if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            told = explained(problem, Path(path))
            return told.strerror or str(told)
        return f"{path}: {problem.strerror}"
    return str(problem)


_REPORT = (
    f"\nThis is an error in coview {__version__} (Python {platform.python_version()}, {platform.system()}), not in "
    f"what you did.\nPlease report it in the issue tracker of the place you have coview from: the command, everything "
    f"above, and what\n`coview doctor` says. Files that were finished are kept; nothing was left half written.\n"
)
