"""Replacing the content of a session folder as a transaction: all or nothing, and nothing old is deleted."""

import datetime
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coview.errors import CoviewError, OccupiedError
from coview.formats.io.atomic import explained
from coview.formats.session.files import files_of_recording
from coview.formats.session.session import FILE, Session

# how provenance says that import copied the videos
COPIED = "copied"


@contextmanager
def installing(session: Path, overwrite: bool) -> Iterator[Path]:
    """Prepare a session in an empty folder whose content replaces that of `session` when the block ends without an
    error.

    What coview wrote there of the earlier recording is moved to `session/replaced-<time>`; models trained on it, and
    whatever is not coview's, stay (`formats.session.files` lists which is which). After any error the session folder is
    as it was.

    Args:
        session: The session folder.
        overwrite: Move what is in the way, instead of refusing.

    Yields:
        The empty folder.

    Raises:
        OccupiedError: Where files that are not coview's are in the way and `overwrite` is not set.
        OSError: Where the disk is full, saying so.
    """
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
    ours = [path.name for path in files_of_recording(session, videos=_copied_videos(session))]
    # in a folder that is no session, `overwrite` allows to move what would be replaced, and nothing else
    old = list(dict.fromkeys([*(ours if (session / FILE).exists() else []), *_in_the_way(names, session)]))
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


def _in_the_way(names: list[str], session: Path) -> list[str]:
    return [name for name in names if (session / name).exists()]


def _copied_videos(session: Path) -> bool:
    """Whether the session that is there holds copies of its videos; a damaged one is taken to hold the user's own."""
    try:
        return Session.load(session).provenance.get("videos", "").startswith(COPIED)
    except (CoviewError, OSError):
        return False


def _refuse_strangers(staging: Path, session: Path) -> None:
    """A folder that is no session may hold anything; nothing in it is touched without being asked to."""
    if (session / FILE).exists():
        return
    there = _in_the_way([path.name for path in staging.iterdir()], session)
    if there:
        raise OccupiedError(
            f"{session} is no session, but holds {', '.join(sorted(there))}, which an import would replace. "
            f"Choose another session folder, or pass --overwrite to move it to `replaced-<time>` there."
        )
