"""`coview train --help` and `coview train RECIPE --help`, without waiting for torch.

A recipe is a Python value, so its flags are known only once its module, and torch with it, is imported. What recipes
there are and what each is for stands in the first sentences of their files, which are read without importing them. The
flags of a recipe are kept as text, once they have been worked out, in `~/.cache/coview/help`; the text holds for as
long as no file of coview changes.
"""

import contextlib
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import coview
from coview import recipes
from coview.formats.io.atomic import write_text

_HELP = frozenset({"-h", "--help"})


def show_help(name: str, arguments: list[str], work_out: Callable[[], object], *, keep: bool = True) -> bool:
    """Print the flags of a recipe, if `arguments` ask for nothing else.

    Args:
        name: Name of the recipe.
        arguments: The command line after the recipe.
        work_out: Prints the flags, and may leave the program (SystemExit) as tyro does.
        keep: Whether the text depends on coview's own files alone, so that it may be kept for the next time.

    Returns:
        Whether help was asked for.
    """
    if not arguments or not set(arguments) <= _HELP:
        return False
    keep, kept = keep and name in recipes.names(), _kept_file(name)
    if keep and (text := _kept(kept)) is not None:
        sys.stdout.write(text)
        return True
    text = _printed(work_out)
    sys.stdout.write(text)
    if keep:
        with contextlib.suppress(
            OSError
        ):  # a full disk or a read-only home only costs the time of the next call
            write_text(kept, f"{_stamp()}\n{text}")
    return True


def _printed(work_out: Callable[[], object]) -> str:
    # with an encoding, because tyro draws the frames that it can
    printed = io.TextIOWrapper(io.BytesIO(), encoding=_encoding())
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        work_out()
    printed.seek(0)
    return printed.read()


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def _kept_file(name: str) -> Path:
    return Path.home() / ".cache" / "coview" / "help" / f"{name}.txt"


def _kept(file: Path) -> str | None:
    """The text that was kept, unless coview, the terminal or Python have changed since."""
    if not file.is_file():
        return None
    stamp, _, text = file.read_text("utf-8").partition("\n")
    return text if stamp == _stamp() else None


def _stamp() -> str:
    """A hash that changes with any file of coview, the terminal's width and encoding, and Python."""
    root = Path(coview.__file__).parent
    digest = hashlib.sha256(f"{sys.version} {shutil.get_terminal_size().columns} {_encoding()}".encode())
    for file in sorted(root.rglob("*.py")):
        found = os.stat(file)
        digest.update(f"{file.relative_to(root)} {found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()
