"""Preparation of the folder that `coview.data.mocap.clips` reads, from raw motion capture or from a prepared
folder.
"""

import errno
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.mocap.check import FPS, check_folder
from coview.data.mocap.clips import META, split_file
from coview.data.mocap.folders import PARTS, SPLITS, finished, make_room
from coview.data.mocap.raw import Take, Unit, check_rate, read_take
from coview.data.mocap.skeleton_plausibility import up_axis
from coview.data.mocap.sources import TakeSource
from coview.errors import InputError
from coview.formats.io.atomic import replacing, write_text
from coview.formats.io.untrusted import read_npz
from coview.skeletons import MOCAP_19

# largest plausible speed of a joint, m/s: the fastest hand in the prepared CMU clips has 15
MAX_SPEED = 20.0
MIN_SECONDS = 0.5
# version of the processing: finished clips of another version are made again
_VERSION = 1
META_JOINTS = [
    joint.replace("left_", "l_").replace("right_", "r_").replace("nose", "neck") for joint in MOCAP_19.joints
]
_PARENT = {child: parent for parent, child in MOCAP_19.bones}
META_PARENTS = [MOCAP_19.index(_PARENT[joint]) if joint in _PARENT else -1 for joint in MOCAP_19.joints]


@dataclass(frozen=True)
class Prepared:
    """Result of one take."""

    source: TakeSource
    # entries of meta.json; several where glitches were cut out
    clips: tuple[dict[str, Any], ...]
    # finished by an earlier call
    kept: bool = False
    notes: tuple[str, ...] = ()
    # why the take could not be used; empty where it could
    problem: str = ""


def is_prepared(folder: Path) -> bool:
    """Whether a folder has the prepared layout.

    Args:
        folder: to be looked at."""
    return (folder / META).is_file() and split_file(folder, "train").is_file()


def copy_prepared(source: Path, out: Path, *, overwrite: bool = False) -> bool:
    """Verifies a prepared folder and copies it.

    Args:
        source: prepared folder.
        out: folder of the result.
        overwrite: replace what is there.

    Returns:
        False where the same files were there already.

    Raises:
        ValueError: listing the faults of the source, or because something else is at `out`."""
    faults = check_folder(source).faults
    if faults:
        raise InputError(f"{source} is not sound, so nothing was copied:\n  " + "\n  ".join(faults))
    names = [*(split_file(source, split).name for split in SPLITS), META]
    there = [name for name in names if (out / name).exists()]
    same = [name for name in there if (out / name).read_bytes() == (source / name).read_bytes()]
    if same == names:
        return False
    make_room(out, overwrite or there == same)
    # meta.json last: without it nothing counts as prepared
    for name in names:
        with replacing(out / name) as temporary:
            shutil.copyfile(source / name, temporary)
    return True


def prepare(
    sources: tuple[TakeSource, ...],
    out: Path,
    *,
    unit: Unit | None = None,
    fps: float | None = None,
    overwrite: bool = False,
) -> Iterator[Prepared]:
    """Converts takes one by one, yielding the result of each, and finally writes the prepared layout.

    Clips that an earlier call finished with the same files and settings are kept, those of other sources too, unless
    `overwrite`. A take that cannot be used is yielded with its problem.

    Args:
        sources: takes.
        out: folder of the result.
        unit: of the files; None: by the rule of the format.
        fps: for files that state no rate.
        overwrite: replace what is there.

    Raises:
        ValueError: `fps` is no rate, no take can be used, or `out` holds clips of these names made otherwise."""
    check_rate(fps)
    done = {} if overwrite else finished(out)
    digests = {source.name: source.digest(unit, fps, _VERSION) for source in sources}
    _refuse_conflicts(done, sources, digests, out)
    made = []
    for source in sources:
        result = _one(source, out, digests[source.name], done, unit, fps)
        made.append(result)
        yield result
    if not any(result.clips for result in made):
        raise InputError(
            f"none of the {len(sources)} takes could be used, and {out} is as before. The first: "
            f"{made[0].problem if made else 'there is none.'}"
        )
    if all(entry["id"] in done for result in made for entry in result.clips):
        shutil.rmtree(out / PARTS, ignore_errors=True)
        return
    mine = {entry["id"]: entry for result in made for entry in result.clips}
    others = [entry for entry in done.values() if entry["id"] not in mine]
    _assemble(out, [*mine.values(), *others], overwrite)


def _refuse_conflicts(
    done: dict[str, dict[str, Any]], sources: tuple[TakeSource, ...], digests: dict[str, str], out: Path
) -> None:
    names = {source.name for source in sources}
    clash = sorted(
        {
            entry["id"]
            for entry in done.values()
            if (take := entry.get("take", entry["id"])) in names and entry.get("digest") != digests[take]
        }
    )
    if clash:
        raise InputError(
            f"{out} already holds {len(clash)} of these clips, made from other files or with other settings (e.g. "
            f"{clash[0]}). Pass --overwrite to replace the folder's content, or --out for another folder."
        )


def _one(
    source: TakeSource,
    out: Path,
    digest: str,
    done: dict[str, dict[str, Any]],
    unit: Unit | None,
    fps: float | None,
) -> Prepared:
    """One take: kept, resumed from an interrupted call, or converted."""
    kept = tuple(entry for entry in done.values() if entry.get("digest") == digest)
    part = out / PARTS / f"{source.name}.npz"
    if kept:
        return Prepared(source, kept, kept=True)
    if part.is_file():
        entries = json.loads(str(read_npz(part)["entries"]))
        if entries and entries[0]["digest"] == digest:
            return Prepared(source, tuple(entries), kept=True)
    try:
        take = read_take(source.path, asf=source.asf, unit=unit, fps=fps)
        clips, notes = _clips(take, source)
    except (ValueError, LookupError, OSError, ImportError) as problem:
        if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
            raise
        return Prepared(source, (), problem=str(problem))
    entries = [_entry(clip, name, span, source, take, digest) for name, span, clip in clips]
    with replacing(part) as temporary:
        arrays = {name: clip.float().numpy() for name, _, clip in clips}
        np.savez(temporary, entries=np.array(json.dumps(entries)), **arrays)  # type: ignore[arg-type]
    return Prepared(source, tuple(entries), notes=notes)


def _entry(
    clip: Tensor, name: str, span: tuple[int, int], source: TakeSource, take: Take, digest: str
) -> dict[str, Any]:
    return {
        "id": name,
        "split": source.split,
        "subject": source.subject,
        "action": "",
        "fps": int(FPS),
        "frames": len(clip),
        "grade": take.grade,
        "source": source.path.name + (" (thorax put back)" if take.grade == "B" and take.repair else ""),
        "src_frames": list(span),
        "src_fps": round(take.fps, 3),
        "unit": take.unit,
        "repair": take.repair,
        "take": source.name,
        "digest": digest,
    }


def _clips(
    take: Take, source: TakeSource
) -> tuple[list[tuple[str, tuple[int, int], Float[Tensor, "frames joints 3"]]], tuple[str, ...]]:
    """Name, span in the file's frames and resampled motion of each piece between glitches."""
    spans = smooth_spans(take.points, take.fps)
    long = [span for span in spans if span[1] - span[0] >= MIN_SECONDS * take.fps]
    if not long:
        raise InputError(
            f"{source.path}: no piece of {MIN_SECONDS} s without gaps and without joints faster than {MAX_SPEED:g} m/s."
        )
    lost = len(take.points) - sum(end - start for start, end in long)
    names = [source.name] if len(long) == 1 else [f"{source.name}_s{number}" for number in range(len(long))]
    notes = [f"{take.fps:.4g} fps, {take.rate}", f"unit {take.unit}", take.repair]
    if not _whole_step(take.fps):
        notes.append("frames between were interpolated linearly")
    if (up := up_axis(take.points)) != "+Y":
        notes.append(
            f"the head is mostly along {up} of the ankles: who does not lie was recorded with other axes"
        )
    if lost:
        notes.append(
            f"{lost} frames cut out: a gap, a joint faster than {MAX_SPEED:g} m/s, or a piece under {MIN_SECONDS} s"
        )
    clips = [
        (name, span, resample(take.points[slice(*span)], take.fps))
        for name, span in zip(names, long, strict=True)
    ]
    return clips, tuple(filter(None, notes))


def smooth_spans(points: Float[Tensor, "frames joints 3"], fps: float) -> list[tuple[int, int]]:
    """Spans of frames (start, end) in which all joints are known and slower than 20 m/s.

    Args:
        points: joints in metres; NaN: unknown.
        fps: frames per second."""
    valid = points.isfinite().all(dim=-1).all(dim=-1)
    speed = points.diff(dim=0).norm(dim=-1).amax(dim=-1) * fps
    joined = (valid[1:] & valid[:-1] & (speed <= MAX_SPEED)).tolist()
    cuts = [0, *(number + 1 for number, same in enumerate(joined) if not same), len(points)]
    return [(start, end) for start, end in pairwise(cuts) if end > start and bool(valid[start])]


def resample(points: Float[Tensor, "frames joints 3"], fps: float) -> Float[Tensor, "out joints 3"]:
    """The motion at 60 frames per second: every n-th frame where that is exact, else interpolated linearly.

    Half-way between two frames a bone that turns by θ is short by 1 - cos(θ/2): 0.3 % at 100 fps and 15 rad/s.

    Args:
        points: joints.
        fps: frames per second."""
    step = fps / FPS
    if _whole_step(fps):
        return points[:: round(step)]
    at = torch.arange(int((len(points) - 1) / step + 1e-9) + 1, dtype=torch.float64) * step
    before = at.floor().long().clamp(max=max(len(points) - 2, 0))
    after = (before + 1).clamp(max=len(points) - 1)
    return torch.lerp(points[before], points[after], (at - before).to(points.dtype)[:, None, None])


def _whole_step(fps: float) -> bool:
    """Whether every n-th frame is exact; a frame time of .0083333 s means 120 fps."""
    step = fps / FPS
    return round(step) >= 1 and abs(step - round(step)) < 1e-3 * step


def _assemble(out: Path, entries: list[dict[str, Any]], overwrite: bool) -> None:
    """Writes all clips into one file per split, one clip at a time; meta.json last."""
    # of a call that was killed
    for left in out.glob(".cmu_*.part.npz"):
        left.unlink()
    before = {split: split_file(out, split) for split in SPLITS if split_file(out, split).is_file()}
    parts = out / PARTS
    if overwrite:
        (out / META).unlink(missing_ok=True)
    for split in SPLITS:
        mine = [entry for entry in entries if entry["split"] == split]
        with (
            replacing(split_file(out, split)) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for entry in mine:
                part = parts / f"{entry.get('take', entry['id'])}.npz"
                array = _array(part if part.is_file() else before[split], entry["id"])
                with archive.open(f"{entry['id']}.npy", "w", force_zip64=True) as stream:
                    np.lib.format.write_array(stream, array, allow_pickle=False)
    meta = {"joints": META_JOINTS, "parents": META_PARENTS, "units": "m", "up": "+Y", "clips": entries}
    write_text(out / META, json.dumps(meta, indent=1) + "\n")
    shutil.rmtree(parts, ignore_errors=True)


def _array(path: Path, name: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        return file[name]
