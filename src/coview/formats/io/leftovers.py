"""Unfinished files and folders: locked while their writer lives, so that what a killed one left can be told apart.

The kernel gives a lock back when its process ends, however it ends.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and nothing of others removed
    fcntl = None  # type: ignore[assignment]

# what `atomic.replacing` and imports call what they have not finished
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.part(\..+)?")
# folders that this process has looked at, with its number: a fork looks again
_seen: set[tuple[int, Path]] = set()


@contextmanager
def in_work(path: Path) -> Iterator[None]:
    """Mark a file or folder as being written, for as long as the block lasts.

    Args:
        path: An unfinished file, which is made, or a folder that is there.

    Raises:
        OSError: The file cannot be made.
    """
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        locked(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


def locked(descriptor: int, *, wait: bool = False) -> bool | None:
    """Lock an open file or folder for its process.

    Args:
        descriptor: Of the open file.
        wait: Whether to wait for whoever holds it.

    Returns:
        True: it is held now; False: by another process; None: the system or the disk knows no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def remove_unfinished(folder: Path) -> None:
    """Remove the unfinished files in a folder that nobody writes any more; looks once per process and folder.

    Args:
        folder: The folder; what cannot be removed stays.
    """
    if (os.getpid(), folder) in _seen:
        return
    _seen.add((os.getpid(), folder))
    for path in abandoned(folder, _UNFINISHED):
        path.unlink(missing_ok=True)


def abandoned(folder: Path, name: re.Pattern[str]) -> Iterator[Path]:
    """Files and folders of an unfinished kind whose writer has ended; each is locked while it is dealt with.

    Args:
        folder: Where to look, not below it.
        name: The whole name.

    Yields:
        Paths. An error of the system while one is dealt with is passed over: it stays where it is.
    """
    with suppress(OSError):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if name.fullmatch(entry.name) is None or entry.is_symlink():
                continue
            with suppress(OSError):
                descriptor = os.open(entry.path, os.O_RDONLY)
                try:
                    if locked(descriptor):
                        yield Path(entry.path)
                finally:
                    os.close(descriptor)
