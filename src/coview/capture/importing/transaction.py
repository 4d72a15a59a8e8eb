"""Putting a prepared folder into a session's place: all of it or nothing, and nothing old is deleted."""

import datetime
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coview.formats.io.atomic import explained
from coview.formats.session.session import FILE

# What coview itself puts into a session. The folder may also be the user's own recording: hands off the rest.
_OURS = (FILE, "joints2d", "calibration.toml", "joints3d.npz", "exports", "models", "report.html")


@contextmanager
def installing(session: Path, overwrite: bool) -> Iterator[Path]:
    """An empty folder to prepare a session in; its content moves to `session` when the block ends well.

    What coview wrote there before is moved to `session/replaced-<time>`. Whatever goes wrong, the
    session folder is as it was. Raises OSError saying so when the disk is full, FileExistsError where
    things of somebody else are in the way and `overwrite` is not set."""
    session = Path(session)
    is_new = not session.exists()
    parent = session.parent if is_new else session
    staging = parent / f".{session.name}.importing-{secrets.token_hex(4)}"
    try:
        staging.mkdir(parents=True)
        yield staging
        if is_new:
            staging.rename(session)
        else:
            if not overwrite:
                _refuse_strangers(staging, session)
            _move_in(staging, session)
    except OSError as error:
        raise explained(error, session) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_in(staging: Path, session: Path) -> None:
    """Old things aside, new things in, `session.toml` last; undone in reverse where a step fails."""
    names = sorted((path.name for path in staging.iterdir()), key=lambda name: name == FILE)
    was_session = (session / FILE).exists()
    old = [name for name in (_OURS if was_session else names) if (session / name).exists()]
    aside = session / f"replaced-{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    steps = [(session / name, aside / name) for name in old]
    steps += [(staging / name, session / name) for name in names]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in steps:
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
            done.append((source, target))
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        if aside.is_dir() and not any(aside.iterdir()):
            aside.rmdir()
        raise


def _refuse_strangers(staging: Path, session: Path) -> None:
    """A folder that is no session may hold anything; nothing in it is touched without being asked to."""
    if (session / FILE).exists():
        return
    there = [path.name for path in staging.iterdir() if (session / path.name).exists()]
    if there:
        raise FileExistsError(
            f"{session} is no session, but holds {', '.join(sorted(there))}, which an import would replace. "
            f"Choose another session folder, or pass --overwrite to move it to `replaced-<time>` there."
        )
