"""One command at a time on a session: the next one waits, and says for whom."""

import inspect
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from coview.formats.io.leftovers import locked

# in the session's folder while a command works on it; a killed one leaves it, and the next one takes it over
LOCK = ".in_use.json"
_PAUSE = 0.1

F = TypeVar("F", bound=Callable[..., Any])
# by folder: the threads of this process that work on it, one after the other; each may enter again
_threads: dict[Path, threading.RLock] = {}
_depth: dict[Path, int] = {}


@contextmanager
def working_on(folder: Path) -> Iterator[None]:
    """Keep other commands from changing a session during the block; waits for the one that does.

    A stage may call another on the same session. Where the folder cannot be written to, nobody can change it, and
    nothing is locked.

    Args:
        folder: The session's folder.
    """
    place = folder.resolve()
    with _threads.setdefault(place, threading.RLock()):
        inner = _depth.get(place, 0)
        descriptor = None if inner else _taken(place / LOCK)
        _depth[place] = inner + 1
        try:
            yield
        finally:
            _depth[place] = inner
            if descriptor is not None:
                # removed before it is let go: whoever opened it meanwhile sees that it is not the one in the folder
                with suppress(OSError):
                    (place / LOCK).unlink()
                os.close(descriptor)


def one_at_a_time(stage: F) -> F:
    """Decorator of a stage: a block of `working_on` the session, or its folder, that is its argument `session`."""
    signature = inspect.signature(stage)

    @wraps(stage)
    def alone(*args: Any, **kwargs: Any) -> Any:
        session = signature.bind_partial(*args, **kwargs).arguments.get("session")
        if session is None:
            return stage(*args, **kwargs)
        with working_on(Path(getattr(session, "path", session))):
            return stage(*args, **kwargs)

    return cast(F, alone)


def _taken(path: Path) -> int | None:
    """The lock file, open and locked; None where there can be none."""
    said = False
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        held = locked(descriptor)
        if held is None:
            path.unlink(missing_ok=True)
        if held and _is_there(descriptor, path):
            _sign(descriptor)
            return descriptor
        os.close(descriptor)
        if held is None:
            return None
        if held is False:
            if not said:
                sys.stderr.write(f"waiting for {_holder(path)}, which works on {path.parent} ...\n")
            said = True
            time.sleep(_PAUSE)


def _is_there(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one in the folder."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False


def _sign(descriptor: int) -> None:
    about = {
        "process": os.getpid(),
        "command": " ".join(["coview", *sys.argv[1:]]),
        "since": f"{datetime.now():%H:%M:%S}",
    }
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(about).encode())


def _holder(path: Path) -> str:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        return f"process {about['process']} (`{about['command']}`, since {about['since']})"
    except (OSError, ValueError, LookupError, TypeError):
        return "another command"
