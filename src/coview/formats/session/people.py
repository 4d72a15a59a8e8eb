"""Identities in a session with several people: `people.npz` by association, your corrections in `people.toml`.

`people.npz` holds a person's number for every detection; `people.toml` corrects it whenever people are read, so that
a correction holds from the next stage on.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.atomic import replacing
from coview.formats.io.camera_names import listed
from coview.formats.io.damage import reader
from coview.formats.io.text import read_toml
from coview.formats.io.untrusted import read_npz

EDITS = "people.toml"
# key of `People.time_offsets` in people.npz
_TIME_OFFSETS = "late"
_KEYS = frozenset({"camera", "frames", "person", "track", "to", "swap"})
_FORM = (
    f'An edit in {EDITS} reads: [[edit]] camera = "cam02", frames = [120, 180], person = 2, to = 1 (a key per line; '
    f'`track = 7` in place of `person`, `to = "nobody"`, or `swap = [1, 2]` in place of both; camera = "all" for all).'
)


@dataclass(frozen=True)
class People:
    """The identity of the person in every detection."""

    # names of the views
    cameras: tuple[str, ...]
    # number of the person, from 1 (seen most); -1: no person
    ids: Int[Tensor, "views frames people"]
    # number of the track within a camera, counted from 0 over all cameras; -1: none
    tracks: Int[Tensor, "views frames people"]
    # per camera: how often a track was cut and given to another person
    switches: tuple[int, ...]
    # per camera: frames by which it was taken to begin after the first camera
    time_offsets: tuple[float, ...]
    # topic: how it was made, and from what
    made: dict[str, str]
    # number of corrections that were applied
    edits: int = 0

    @property
    def count(self) -> int:
        """Number of people."""
        return max(0, int(self.ids.max()))

    def places(self, person: int) -> Int[Tensor, "views frames"]:
        """Index of a person among the detections of each view and frame.

        Args:
            person: Number of the person, from 1.

        Returns:
            Shape (views, frames); -1 where the person is not detected.

        Raises:
            ValueError: There is no such person.
        """
        if not 1 <= person <= self.count:
            raise InputError(
                f"there is no person {person}: the people of this session are numbered 1 to {self.count}, from the "
                f"most to the least seen. `coview associate SESSION` lists them."
            )
        mine = self.ids == person
        return torch.where(mine.any(dim=-1), mine.int().argmax(dim=-1), -1)

    def select(self, cameras: tuple[str, ...]) -> "People":
        """Some of the views, in a given order.

        Args:
            cameras: Names of cameras.

        Returns:
            The people in these views.
        """
        rows = [self.cameras.index(name) for name in cameras]
        return replace(
            self,
            cameras=cameras,
            ids=self.ids[rows],
            tracks=self.tracks[rows],
            switches=tuple(self.switches[row] for row in rows),
            time_offsets=tuple(self.time_offsets[row] for row in rows),
        )


def write_people(people: People, path: Path) -> None:
    """Write `people.npz`, atomically; edits are not part of it.

    Args:
        people: The people, before edits.
        path: The file.
    """
    with replacing(path) as temporary:
        np.savez_compressed(
            temporary,
            cameras=np.array(people.cameras, dtype=np.str_),
            ids=people.ids.numpy().astype(np.int16),
            tracks=people.tracks.numpy().astype(np.int32),
            switches=np.array(people.switches, dtype=np.int64),
            made=np.array(json.dumps(people.made)),
            **{_TIME_OFFSETS: np.array(people.time_offsets, dtype=np.float64)},  # type: ignore[arg-type]
        )


@reader("the people of a session")
def read_people(path: Path, *, edits: bool = True) -> People:
    """Read the people that `write_people` wrote.

    Args:
        path: The `people.npz`.
        edits: Whether to apply the corrections of a `people.toml` beside it.

    Returns:
        The people.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file is damaged, or an edit is impossible.
    """
    try:
        arrays = read_npz(path)
        people = People(
            tuple(str(name) for name in arrays["cameras"]),
            torch.from_numpy(arrays["ids"].astype(np.int64)),
            torch.from_numpy(arrays["tracks"].astype(np.int64)),
            tuple(int(count) for count in arrays["switches"]),
            tuple(float(frames) for frames in arrays[_TIME_OFFSETS]),
            json.loads(str(arrays["made"])),
        )
        _check_shapes(people)
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} does not say who is who ({error}). Run `coview associate` again."
        ) from error
    corrections = path.with_name(EDITS)
    return edited(people, corrections) if edits and corrections.is_file() else people


def _check_shapes(people: People) -> None:
    """That every array speaks of the same cameras, frames and detections, and that numbers are numbers of people."""
    views = len(people.cameras)
    counts = {len(people.switches), len(people.time_offsets), len(people.ids), views}
    if people.ids.ndim != 3 or people.ids.shape != people.tracks.shape or counts != {views} or not views:
        raise InputError(
            f"{views} cameras, identities of shape {tuple(people.ids.shape)}, tracks of {tuple(people.tracks.shape)}, "
            f"{len(people.switches)} counts of switches and {len(people.time_offsets)} time offsets"
        )
    if not people.ids.numel() or int(people.ids.min()) < -1 or not isinstance(people.made, dict):
        raise InputError("its numbers are no numbers of people")
    if not all(map(math.isfinite, people.time_offsets)):
        raise InputError("a time offset is not a number")


# --- corrections -----------------------------------------------------------------------------------


def edited(people: People, file: Path) -> People:
    """The people after the edits of a file, applied in order; numbers refer to the result of earlier edits.

    Args:
        people: The people before the edits.
        file: The `people.toml`.

    Returns:
        The people after them.

    Raises:
        ValueError: Naming the file and the edit: unknown keys, cameras, frames, people or tracks, an edit that changes
            nothing, or one that leaves two detections of one person in a frame.
    """
    table = read_toml(file)
    rows = table.get("edit", [])
    strange = sorted(set(table) - {"edit"})
    if strange or not isinstance(rows, list):
        raise InputError(f"{file}: {listed(strange) if strange else '`edit`'} is not understood. {_FORM}")
    for number, row in enumerate(rows, start=1):
        try:
            people = _edit(people, row)
        except ValueError as error:
            raise InputError(f"{file}, edit {number}: {error}") from error
    return replace(people, edits=len(rows))


def _edit(people: People, row: Any) -> People:
    if not isinstance(row, dict):
        raise InputError(f"{row!r} is no edit. {_FORM}")
    unknown = sorted(set(row) - _KEYS)
    if unknown or len({"person", "track", "swap"} & set(row)) != 1 or ("to" in row) == ("swap" in row):
        what = f"unknown key {listed(unknown)}" if unknown else f"the keys {listed(row)} do not make an edit"
        raise InputError(f"{what}. {_FORM}")
    here = _where(people, row)
    ids = people.ids.clone()
    if "swap" in row:
        one, other = _swapped(people, row["swap"])
        first, second = here & (ids == one), here & (ids == other)
        ids[first], ids[second] = other, one
        changed = first | second
    else:
        changed = here & (
            people.tracks == _track(row["track"]) if "track" in row else ids == _person(people, row["person"])
        )
        ids[changed] = _target(people, row["to"])
    if not bool(changed.any()):
        raise InputError(f"nothing to change: no such detection in these cameras and frames ({_said(row)}).")
    _check_once(people, ids)
    return replace(people, ids=ids)


def _where(people: People, row: dict[str, Any]) -> Bool[Tensor, "views frames 1"]:
    camera, frames = row.get("camera"), row.get("frames")
    if camera != "all" and camera not in people.cameras:
        raise InputError(f'no camera {camera!r}. Known: {listed(people.cameras)}, or "all".')
    length = people.ids.shape[1]
    whole = isinstance(frames, list) and [type(each) for each in frames] == [int, int]
    if not isinstance(frames, list) or not whole or not 0 <= frames[0] <= frames[1] < length:
        raise InputError(
            f"frames = {frames!r} is not [first, last], both counted from 0 and both included; the recording has "
            f"frames 0 to {length - 1}."
        )
    here = torch.zeros(people.ids.shape[0], length, 1, dtype=torch.bool)
    views = slice(None) if camera == "all" else people.cameras.index(camera)
    here[views, frames[0] : frames[1] + 1] = True
    return here


def _person(people: People, number: Any) -> int:
    if type(number) is not int or not 1 <= number <= people.count:
        raise InputError(f"no person {number!r}: there are persons 1 to {people.count}.")
    return number


def _track(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise InputError(f"track = {number!r} is not a track's number; people.csv lists them.")
    return number


def _target(people: People, to: Any) -> int:
    if to == "nobody":
        return -1
    if type(to) is not int or not 1 <= to <= people.count + 1:
        raise InputError(
            f'to = {to!r} is neither a person (1 to {people.count}, or {people.count + 1} for a new one) nor "nobody".'
        )
    return to


def _swapped(people: People, pair: Any) -> tuple[int, int]:
    if not isinstance(pair, list) or len(pair) != 2 or pair[0] == pair[1]:
        raise InputError(f"swap = {pair!r} should name two different people, like [1, 2].")
    return _person(people, pair[0]), _person(people, pair[1])


def _check_once(people: People, ids: Int[Tensor, "views frames people"]) -> None:
    """Nobody can be twice in one image."""
    for person in range(1, int(ids.max()) + 1):
        twice = ((ids == person).sum(dim=-1) > 1).nonzero()
        if len(twice):
            view, frame = twice[0].tolist()
            raise InputError(
                f"camera '{people.cameras[view]}' would hold person {person} twice in frame {frame}. Use swap, or move "
                f'the other detection first (to = "nobody").'
            )


def _said(row: dict[str, Any]) -> str:
    return ", ".join(f"{key} = {value!r}" for key, value in row.items())
