"""Verification of prepared motion: counts, shapes, metres, finite values, rigid bones, handedness, vertical axis."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.mocap.clips import META, Split, read_meta, read_split, split_file
from coview.data.mocap.skeleton_plausibility import (
    STATURE,
    TRUNK_TO_LEG,
    bone_spread,
    knee_forward,
    stature,
    trunk_to_leg,
    up_axis,
)
from coview.errors import MissingFileError
from coview.skeletons import MOCAP_19

FPS = 60.0
# largest movement of a clip in which nobody moves, metres: the resolution of the shared clips
STILL = 1e-4
# largest variation of a rigid bone, metres; the shared clips have 0.0002, resampling from 30 fps adds a few millimetres
MAX_SPREAD = 0.005


@dataclass(frozen=True)
class BodyMeasures:
    """Body measures of a clip; lengths in the file's unit, which should be metres."""

    stature: float
    trunk_to_leg: float
    bone_spread: float
    knee_forward: float
    up: str


@dataclass(frozen=True)
class SplitRow:
    """Summary of a split."""

    split: Split
    clips: int
    subjects: int
    minutes: float
    # least and largest, metres
    stature: tuple[float, float]
    # largest variation of a rigid bone, metres
    worst_spread: float
    # least ratio of trunk to leg
    least_trunk: float
    # least `knee_forward`, metres; negative: reflected
    least_knee: float
    # vertical axes found
    up: str


@dataclass(frozen=True)
class MocapReport:
    """Summary by split, faults (none: the folder is sound), and remarks."""

    folder: Path
    rows: tuple[SplitRow, ...]
    faults: tuple[str, ...]
    notes: tuple[str, ...]


def measure(points: Float[Tensor, "frames joints 3"]) -> BodyMeasures:
    """Body measures of one clip.

    Args:
        points: joints of MOCAP_19, +Y up."""
    return BodyMeasures(
        stature(points), trunk_to_leg(points), bone_spread(points), knee_forward(points), up_axis(points)
    )


def check_folder(folder: Path) -> MocapReport:
    """Verifies every clip of a prepared folder.

    Args:
        folder: of the data set.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged, or meta.json lacks a field."""
    folder = Path(folder)
    if not (folder / META).is_file():
        raise MissingFileError(
            f"{folder / META} is not there: nothing was prepared in {folder}. "
            f"Make it with `coview data prepare cmu_mocap SOURCE`; see docs/howto/data_sets.md."
        )
    meta = read_meta(folder)
    faults = list(_meta_faults(meta, folder / META))
    if faults:
        return MocapReport(folder, (), tuple(faults), ())
    rows, notes, ups = [], [], Counter[str]()
    for split in get_args(Split):
        entries = {entry["id"]: entry for entry in meta["clips"] if entry["split"] == split}
        arrays = read_split(split_file(folder, split))
        faults += _count_faults(entries, arrays, split_file(folder, split).name)
        measured = {}
        for name in entries.keys() & arrays.keys():
            problems = list(_array_faults(name, arrays[name], entries[name]))
            faults += problems
            if not problems:
                measured[name] = measure(torch.from_numpy(arrays[name]).float())
                faults += _body_faults(name, measured[name])
                notes += _stillness(name, arrays[name])
        ups.update(found.up for found in measured.values())
        notes += [
            f"{name}: the head is mostly along {m.up} of the ankles"
            for name, m in measured.items()
            if m.up != "+Y"
        ]
        rows.append(_row(split, entries, measured))
    faults += _up_faults(ups)
    faults += _clip_faults(meta["clips"])
    faults += _shared_subjects(meta["clips"])
    notes += [f"split {row.split} is empty" for row in rows if not row.clips]
    return MocapReport(folder, tuple(rows), tuple(faults), tuple(sorted(notes)))


def _meta_faults(meta: dict[str, Any], path: Path) -> Iterator[str]:
    wanted = [joint.replace("nose", "neck") for joint in MOCAP_19.joints]
    joints = [_long(joint) for joint in meta.get("joints", ())]
    if meta.get("units") != "m" or meta.get("up") != "+Y":
        yield f"{path.name}: units '{meta.get('units')}', up '{meta.get('up')}'; it must be m and +Y. Prepare again."
    if joints != wanted:
        yield f"{path.name}: the joints are {', '.join(joints)}; they must be {', '.join(wanted)}. Prepare again."
    parents = meta.get("parents", [])
    if not isinstance(parents, list) or any(type(parent) is not int for parent in parents):
        yield f"{path.name}: 'parents' must be whole numbers, the parent of each joint or -1. Prepare again."
    if not meta.get("clips"):
        yield f"{path.name} lists no clips. Prepare again."


def _long(joint: str) -> str:
    return {"l_": "left_", "r_": "right_"}.get(joint[:2], joint[:2]) + joint[2:]


def _count_faults(entries: dict[str, Any], arrays: dict[str, np.ndarray], name: str) -> Iterator[str]:
    for what, names in (
        (f"listed in {META} and not in {name}", entries.keys() - arrays.keys()),
        (f"in {name} and not listed in {META}", arrays.keys() - entries.keys()),
    ):
        if names:
            yield f"{len(names)} clips {what}, e.g. {min(names)}. An interrupted preparation looks so: run it again."


def _array_faults(name: str, array: np.ndarray, entry: dict[str, Any]) -> Iterator[str]:
    expected = (entry["frames"], len(MOCAP_19), 3)
    if array.shape != expected:
        yield f"{name}: shape {array.shape}, {META} says {expected}. Prepare again."
    elif not np.isfinite(array).all():
        frame = int((~np.isfinite(array)).any(axis=(1, 2)).argmax())
        yield f"{name}: NaN or infinity, first in frame {frame}. Prepare again from the source."


def _clip_faults(clips: list[dict[str, Any]]) -> Iterator[str]:
    for name, count in Counter(clip["id"] for clip in clips).items():
        if count > 1:
            yield f"{name}: {META} lists this clip {count} times. Prepare again."
    for clip in clips:
        if clip["fps"] != FPS:
            yield (
                f"{clip['id']}: {clip['fps']:g} frames per second instead of {FPS:g}, which all motion is trained and "
                f"tested at. Prepare again from the source, which resamples."
            )


def _stillness(name: str, array: np.ndarray) -> list[str]:
    still = len(array) > 1 and bool((np.ptp(array, axis=0) < STILL).all())
    return [f"{name}: nobody moves in its {len(array)} frames; all are one pose"] if still else []


def _body_faults(name: str, found: BodyMeasures) -> Iterator[str]:
    low, high = STATURE
    if not low <= found.stature <= high:
        units = {"millimetres": 1e-3, "centimetres": 1e-2}
        fits = [unit for unit, metres in units.items() if low <= found.stature * metres <= high]
        hint = f"; in {fits[0]} it would be right" if fits else ""
        yield (
            f"{name}: the person is {found.stature:.4g} m tall, and people are {low} to {high} m{hint}. "
            f"Prepare again, with --unit."
        )
    elif found.bone_spread > MAX_SPREAD:
        yield (
            f"{name}: a bone that cannot stretch varies by {found.bone_spread * 1000:.0f} mm: joints are mixed up, "
            f"or the source is poor. Look at the clip, or leave its file out."
        )
    if found.trunk_to_leg < TRUNK_TO_LEG:
        yield (
            f"{name}: the trunk is {found.trunk_to_leg:.2f} of the leg, CMU's skeletons have 0.50 to 0.60: the bone "
            f"`thorax` is missing. Prepare again from the .asf and .amc."
        )
    if found.knee_forward <= 0:
        yield (
            f"{name}: knees flex and toes point backwards: the body is mirrored, or left and right are swapped. "
            f"Prepare again; an axis was negated, or two were exchanged, in what made this."
        )


def _up_faults(ups: Counter[str]) -> list[str]:
    """Fault where most clips are not upright: a single clip may lie down."""
    if not ups or ups["+Y"] * 2 >= ups.total():
        return []
    axis, count = ups.most_common(1)[0]
    return [
        f"{count} of {ups.total()} clips have the head along {axis} of the ankles, and up must be +Y: axes are swapped."
    ]


def _shared_subjects(clips: list[dict[str, Any]]) -> list[str]:
    people = {
        split: {clip["subject"] for clip in clips if clip["split"] == split} for split in ("train", "test")
    }
    both = sorted(people["train"] & people["test"])
    return [f"in train and in test: {', '.join(both)}. Test figures would flatter the model."] if both else []


def _row(split: Split, entries: dict[str, Any], measured: dict[str, BodyMeasures]) -> SplitRow:
    found = list(measured.values())
    tall = [m.stature for m in found] or [float("nan")]
    return SplitRow(
        split,
        len(entries),
        len({entry["subject"] for entry in entries.values()}),
        sum(entry["frames"] / entry["fps"] for entry in entries.values()) / 60,
        (min(tall), max(tall)),
        max((m.bone_spread for m in found), default=float("nan")),
        min((m.trunk_to_leg for m in found), default=float("nan")),
        min((m.knee_forward for m in found), default=float("nan")),
        " ".join(sorted({m.up for m in found})),
    )
