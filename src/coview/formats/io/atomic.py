"""Atomic writing of files: a failure leaves what was there before (a temporary file, then one rename)."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coview.formats.io.leftovers import in_work, remove_unfinished

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNWRITABLE = {
    errno.EEXIST: "a file stands where its folder should be; move it or choose another name",
    errno.ENOTDIR: "a file stands where its folder should be; move it or choose another name",
    errno.EISDIR: "a folder of that name is there; move it or choose another name",
    errno.EACCES: "you may not write there; choose another place, or change the folder's permissions",
    errno.EPERM: "you may not write there; choose another place, or change the folder's permissions",
    errno.EROFS: "that disk is read-only; choose another place",
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside a file, which replaces the file when the block ends without an error.

    Whatever goes wrong (an exception, Ctrl-C, a full disk), the old file stays as it was and the temporary one is
    removed. What a killed process left of other files in the folder is removed too.

    Args:
        path: The file to replace; its folder is made if need be.

    Yields:
        The temporary path, with the same ending, because some writers choose or add one by themselves.

    Raises:
        OSError: The file cannot be written; the message says that nothing was lost, and what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(error, path) from error
    remove_unfinished(path.parent)
    temporary = path.with_name(f".{path.stem[:80]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        with in_work(temporary):
            yield temporary
            _flush(temporary)
            os.replace(temporary, path)
    except OSError as error:
        raise explained(error, path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically, with the same line ends on every system.

    Args:
        path: The file.
        text: Its content.

    Raises:
        OSError: As `replacing`.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically.

    Args:
        path: The file.
        data: Its content.

    Raises:
        OSError: As `replacing`.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def explained(error: OSError, path: Path) -> OSError:
    """An error of writing with a message that says what is lost (nothing) and what to do.

    Args:
        error: What the system raised.
        path: The file that was written.

    Returns:
        An OSError of the same number; `error` itself where its cause is none of those explained here.
    """
    if words := _UNWRITABLE.get(error.errno or 0):
        return type(error)(f"{path} cannot be written: {words}. Nothing was changed there.")
    if error.errno not in _FULL:
        return error
    there = f"the earlier {path.name} is untouched" if path.exists() else "no half-written file is left"
    return OSError(
        error.errno,
        f"no space left on the disk while writing {path}. Nothing was lost: {there}. "
        f"Free some space and run the same command again",
    )


def _flush(path: Path) -> None:
    """Make sure the bytes reached the disk before the rename: some file systems only fail then."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
