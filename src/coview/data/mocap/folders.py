"""Checks of the folders that motion is prepared from and into, so that no user file is overwritten."""

import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any, get_args

from coview.data.mocap.clips import META, Split, split_file
from coview.data.mocap.sources import KINDS
from coview.errors import InputError, UnavailableError
from coview.formats.io.text import read_json

# folder of finished takes while a preparation is in progress
PARTS = ".parts"
SPLITS: tuple[Split, ...] = get_args(Split)


def check_apart(source: Path, out: Path) -> None:
    """Refuses an output folder that is, or lies in, the source folder.

    Args:
        source: folder of raw motion.
        out: folder of the result.

    Raises:
        ValueError: the result would be taken for a source."""
    inner, outer = out.resolve(), source.resolve()
    if inner == outer:
        raise InputError(
            f"--out {out} is the source folder itself. Give another folder with --out; to verify motion that is "
            f"prepared already, run `coview data check cmu_mocap {source}`."
        )
    if inner.is_relative_to(outer):
        raise InputError(
            f"--out {out} lies in the source folder {source}, which is searched at any depth. Give a folder outside "
            f"of it with --out, or a narrower source folder."
        )


def not_used(source: Path, unit: str | None, fps: float | None) -> tuple[str, ...]:
    """Remarks on raw takes and settings that are ignored where the source is prepared already.

    Args:
        source: prepared folder.
        unit: given with --unit.
        fps: given with --fps."""
    given = [name for name, value in (("--unit", unit), ("--fps", fps)) if value is not None]
    raw = sorted(path for path in source.rglob("*") if path.suffix.lower() in KINDS)
    notes = []
    if given:
        notes.append(f"{source} is prepared already and is copied as it is: {' and '.join(given)} not used.")
    if raw:
        notes.append(
            f"{source} is prepared already and is copied as it is: {len(raw)} raw takes in it are not used, e.g. "
            f"{raw[0]}. To prepare those, give the folder that holds only them."
        )
    return tuple(notes)


def finished(out: Path) -> dict[str, dict[str, Any]]:
    """Entries of a complete preparation, by clip.

    Args:
        out: folder of the result.

    Raises:
        ValueError: something else is there."""
    refuse_others(out)
    if not (out / META).is_file():
        return {}
    done = {entry["id"]: entry for entry in read_json(out / META)["clips"]}
    stored = {name for split in SPLITS for name in _names(split_file(out, split))}
    if lost := sorted(done.keys() - stored):
        raise InputError(
            f"{out}: {META} lists {len(lost)} clips that the npz files do not hold, e.g. {lost[0]}. Pass --overwrite "
            f"to make the folder anew."
        )
    return done


def refuse_others(out: Path) -> None:
    """Refuses a folder with files of our names that no preparation of ours made.

    Args:
        out: folder of the result.

    Raises:
        ValueError: naming such a file."""
    if (out / META).is_file():
        strange = [] if _ours(out / META) else [out / META]
    else:
        # with parts it is ours: interrupted before meta.json, which comes last
        strange = [] if (out / PARTS).is_dir() else sorted(out.glob("cmu_*.npz"))
    if strange:
        raise InputError(
            f"{strange[0]} is in the way, and no finished preparation made it (there is no {META} of ours in {out}). "
            f"Give another folder with --out, or pass --overwrite to have it replaced."
        )


def _ours(path: Path) -> bool:
    try:
        meta = json.loads(path.read_bytes())
    except ValueError:
        return False
    return (
        isinstance(meta, dict)
        and "joints" in meta
        and isinstance(meta.get("clips"), list)
        and all(isinstance(entry, dict) and "id" in entry for entry in meta["clips"])
    )


def _names(path: Path) -> list[str]:
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is damaged or missing. Pass --overwrite to make the folder anew.")
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist()]


def make_room(out: Path, allowed: bool) -> None:
    """Prepares a folder for a copy.

    Args:
        out: folder of the result.
        allowed: existing files may be replaced.

    Raises:
        ValueError: files are there and may not be replaced."""
    if not allowed:
        refuse_others(out)
        if (out / META).exists():
            raise InputError(
                f"{out} already holds another preparation. Pass --overwrite to replace it, or --out for another folder."
            )
    os.makedirs(out, exist_ok=True)
    (out / META).unlink(missing_ok=True)


def check_writable(out: Path, given: bool) -> None:
    """Checks that files can be written; leaves no trace.

    Args:
        out: folder of the result.
        given: whether the user named it.

    Raises:
        OSError: naming the folder, why it was chosen and what to do."""
    missing = [path for path in (out, *out.parents) if not path.exists()]
    try:
        os.makedirs(out, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        asked = "as --out says" if given else _default()
        raise UnavailableError(
            f"{out}, {asked}, cannot be written to: {error.strerror}. Give a folder that can be made and written to: "
            f"--out FOLDER{'' if given else ', or COVIEW_DATA'}."
        ) from error
    finally:
        for path in missing:
            if path.is_dir():
                path.rmdir()


def _default() -> str:
    root = os.environ.get("COVIEW_DATA")
    return f"because COVIEW_DATA is '{root}'" if root else "which is the default"
