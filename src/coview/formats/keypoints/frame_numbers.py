"""Where a camera's numbered files are in its recording: programs count frames from 0 or from 1."""

from collections.abc import Mapping
from dataclasses import dataclass

from coview.formats.io.camera_names import natural_key

# pictures by which a video's length may be misjudged
_TOLERATED = 2


@dataclass(frozen=True)
class Numbered:
    """The numbers of one camera's files."""

    first: int
    last: int
    # of its video; None: not known
    pictures: int | None = None

    @property
    def is_excerpt(self) -> bool:
        """Whether the numbers go beyond the video, which then begins later than the numbers do."""
        return self.pictures is not None and self.first > 0 and self.last > self.pictures + _TOLERATED

    @property
    def from_one(self) -> bool | None:
        """Whether its own numbers show that they count from 1 (True) or from 0 (False); None: they do not show it."""
        if self.first == 0:
            return False
        fills_video = self.pictures is not None and self.last == self.pictures
        return True if fills_video else None


@dataclass(frozen=True)
class FirstNumbers:
    """Where the cameras' files begin in the recording."""

    # number of each camera's first file, counted from 0
    first: dict[str, int]
    # number, counted from 0, at which the video of a camera begins; absent: 0
    video_start: dict[str, int]
    # what was found, in words
    said: tuple[str, ...]
    # what a person should look at
    warnings: tuple[str, ...]


def first_numbers(views: Mapping[str, Numbered]) -> FirstNumbers:
    """The first number of every camera, counted from 0, whether its program counted from 0 or from 1.

    A camera counts from 1 where its last number is the length of its video, or goes one beyond all cameras that have a
    file 0. Where no camera has a file 0, numbers that begin at 1 count from 1. Otherwise equal numbers are one instant.

    Args:
        views: Numbers of the files by camera name.

    Returns:
        First numbers, and what to tell the user.
    """
    from_one = _from_one(views)
    first = {name: view.first - from_one[name] for name, view in views.items()}
    starts = {name: first[name] for name, view in views.items() if view.is_excerpt}
    return FirstNumbers(first, starts, _said(views, from_one), _warnings(views, from_one))


def _from_one(views: Mapping[str, Numbered]) -> dict[str, bool]:
    known = {name: view.from_one for name, view in views.items()}
    zeros = [view.last for name, view in views.items() if known[name] is False]
    for name, view in views.items():
        if known[name] is None and view.first == 1 and (not zeros or view.last == max(zeros) + 1):
            known[name] = True
    decided = {value for value in known.values() if value is not None}
    # the cameras whose numbers show nothing were written by the program that wrote the others
    otherwise = decided == {True}
    return {name: otherwise if value is None else value for name, value in known.items()}


def _said(views: Mapping[str, Numbered], from_one: Mapping[str, bool]) -> tuple[str, ...]:
    starts = {name: view.first for name, view in views.items()}
    if len(set(starts.values())) == 1:
        return ("numbered from 1",) if all(from_one.values()) else ()
    if len(set(from_one.values())) == 1:
        return (f"first frame numbers differ ({_listed(starts)}): equal numbers were taken for one instant",)
    counted = ", ".join(name for name in sorted(views, key=natural_key) if from_one[name])
    return (f"first frame numbers differ ({_listed(starts)}): {counted} counted from 1, the others from 0",)


def _warnings(views: Mapping[str, Numbered], from_one: Mapping[str, bool]) -> tuple[str, ...]:
    mixed = sorted((name for name, one in from_one.items() if one), key=natural_key)
    found = []
    if mixed and len(mixed) < len(views):
        found.append(
            f"the files of {', '.join(mixed)} are numbered from 1 and those of the other cameras from 0: number n + 1 "
            f"there was taken for number n of the others."
        )
    shifted = sorted(
        (n for n, view in views.items() if view.from_one is None and view.first == 1 and not from_one[n]),
        key=natural_key,
    )
    if shifted:
        found.append(
            f"the files of {', '.join(shifted)} begin with number 1 and those of other cameras with 0: equal numbers "
            f"were taken for one instant. If {', '.join(shifted)} counted from 1, it is one frame behind: renumber it."
        )
    found += [
        f"the files of {name} are numbered {view.first} to {view.last}, and its video has {view.pictures} pictures: "
        f"its first picture was taken for number {view.first}."
        for name, view in views.items()
        if view.is_excerpt and view.last - view.first + 1 + _TOLERATED < (view.pictures or 0)
    ]
    return tuple(found)


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in sorted(numbers, key=natural_key))
