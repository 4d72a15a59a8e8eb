"""Replacing the content of a session folder as a transaction: all or nothing, and nothing old is deleted."""

import datetime
import json
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coview.errors import CoviewError, OccupiedError
from coview.formats.io.atomic import explained, write_text
from coview.formats.io.leftovers import abandoned, in_work
from coview.formats.session.files import files_of_recording
from coview.formats.session.session import FILE, Session

# how provenance says that import copied the videos
COPIED = "copied"
# in the prepared folder while its content is moved: the moves, from where to where, so that a killed one can be undone
_STEPS = ".moves.json"
# begins the name of a folder of what was replaced
_ASIDE = "replaced-"
_Moves = list[tuple[Path, Path]]


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
    staging = _beside(session) / f".{session.name}.importing-{secrets.token_hex(4)}"
    try:
        staging.mkdir(parents=True)
        with in_work(staging):
            yield staging
            if is_new:
                _rename(staging, session)
            else:
                if not overwrite:
                    _refuse_strangers(staging, session)
                _move_in(staging, session)
    except OSError as error:
        raise explained(error, session) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def undo_killed(session: Path) -> None:
    """Undo what an import that was killed left of a session: things moved half way go back, its own folder goes.

    Args:
        session: The session folder, which may not exist yet.
    """
    session = Path(session)
    unfinished = re.compile(rf"\.{re.escape(session.name)}\.importing-[0-9a-f]{{8}}")
    for place in dict.fromkeys((session.parent, session)):
        for staging in abandoned(place, unfinished):
            _undo([(Path(source), Path(target)) for source, target in _steps_of(staging)])
            shutil.rmtree(staging, ignore_errors=True)


def _beside(session: Path) -> Path:
    """A folder on the same disk."""
    return session if session.exists() else session.parent


def _rename(staging: Path, session: Path) -> None:
    try:
        staging.rename(session)
    except OSError as error:
        if session.exists():
            raise OccupiedError(
                f"another command made {session} meanwhile. Run this one again to see whether it is the same import."
            ) from error
        raise


def _steps_of(staging: Path) -> list[tuple[str, str]]:
    try:
        return [(source, target) for source, target in json.loads((staging / _STEPS).read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        return []


def _undo(steps: _Moves) -> None:
    """Back in reverse, as far as they were done."""
    for source, target in reversed(steps):
        if target.exists() and not source.exists():
            target.rename(source)
    for folder in dict.fromkeys(target.parent for _, target in steps):
        if folder.name.startswith(_ASIDE) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _move_in(staging: Path, session: Path) -> None:
    """Old things aside, new things in, `session.toml` last; undone in reverse where a step fails."""
    names = sorted((path.name for path in staging.iterdir()), key=lambda name: name == FILE)
    ours = [path.name for path in files_of_recording(session, videos=_copied_videos(session))]
    # in a folder that is no session, `overwrite` allows to move what would be replaced, and nothing else
    old = list(dict.fromkeys([*(ours if (session / FILE).exists() else []), *_in_the_way(names, session)]))
    aside = session / f"{_ASIDE}{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    steps = [(session / name, aside / name) for name in old]
    steps += [(staging / name, session / name) for name in names]
    write_text(staging / _STEPS, json.dumps([[str(path.absolute()) for path in step] for step in steps]))
    try:
        for source, target in steps:
            target.parent.mkdir(exist_ok=True)
            source.rename(target)
        (staging / _STEPS).unlink()
    except BaseException:
        _undo(steps)
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
