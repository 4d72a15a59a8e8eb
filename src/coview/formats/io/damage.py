"""Damaged files: whatever a reader raises becomes one error that names the file.

A file of another program, cut short or made to do harm, can make a parser raise anything: IndexError, OverflowError,
RecursionError, MemoryError. Every reader of a format stands in `reading`, so that users and programs meet one kind of
error whatever the damage.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from coview.errors import CoviewError, InputError

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def reading(path: Path | str, what: str) -> Iterator[None]:
    """A block that reads a file; what it raises by accident becomes an `InputError` with the path.

    Errors that coview raises on purpose pass (the path is put before one that does not name it), and so do those of the
    operating system that name their file.

    Args:
        path: The file or folder.
        what: What it should be, with its article: "a TRC file".

    Raises:
        InputError: Anything else went wrong; the original error is its `__cause__`.
    """
    try:
        yield
    except CoviewError as error:
        if type(error) is InputError and Path(path).name not in str(error):
            raise InputError(f"{path}: {error}") from error
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise InputError(
            f"{path} cannot be read as {what}: {in_words(error)}. It is damaged, was cut short, or holds something "
            f"else. Copy it again, or export it again in the program that made it."
        ) from error


def reader(what: str) -> Callable[[F], F]:
    """Decorator of a function that reads the file or folder that is its first argument, as a block of `reading`.

    Args:
        what: What the file should be, with its article.

    Returns:
        The decorator.
    """

    def decorated(function: F) -> F:
        @functools.wraps(function)
        def read(*args: Any, **kwargs: Any) -> Any:
            with reading(args[0] if args else next(iter(kwargs.values())), what):
                return function(*args, **kwargs)

        return cast(F, read)

    return decorated


def in_words(error: Exception) -> str:
    """What an error of Python or of a library says, in one line for a user.

    Args:
        error: The error.

    Returns:
        The first line of its text, without a full stop; errors whose text says nothing by itself are put into words.
    """
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = " ".join(str(error).split("\n")[0].split())[:300].rstrip(".")
    if isinstance(error, KeyError):
        return f"{said} is missing"
    return said if said and isinstance(error, ValueError | OSError) else f"{type(error).__name__}: {said}"
