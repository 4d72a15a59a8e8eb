"""2D joints of one camera as a file gives them, and the alignment of several cameras to common frames."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.camera_names import listed, natural_key
from coview.formats.keypoints.frame_numbers import Numbered, first_numbers

# frames by which cameras may differ: encoders and trimming lose one or two at the end
TOLERATED = 2
# pixels: no image is wider or higher
LARGEST = 100_000
# numbers per file beyond which the numbers of files or images cannot be frame numbers
SPARSE = 20
# joints from which memory matters, and empty places per person from which a frame is too full
_MANY, _CROWDED = 50_000_000, 100


@dataclass(frozen=True)
class ViewJoints:
    """2D joints that a detector wrote for one camera, before absent joints are marked."""

    # x, y (pixels), confidence; NaN: frame or person absent
    points: Float[Tensor, "frames people joints 3"]
    # number of the first frame
    first: int = 0
    # width, height in pixels, where the file says so
    size: tuple[int, int] | None = None
    # frames per second, where the file says so
    fps: float | None = None
    # name of the skeleton, where the file says so
    skeleton: str | None = None
    # number of frames without a file
    missing: int = 0
    # whether frames in which nobody was found are in the file too, so that its end is the recording's end
    lists_empty: bool = True
    # names of the joints in the writer's own words, where the file says so
    joint_names: tuple[str, ...] = ()
    # "unit": x and y are 0 to 1 across the image; "signed": −1 to 1; None: pixels
    normalised: str | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= LARGEST for side in self.size):
            raise InputError(f"images of {self.size[0]}×{self.size[1]} pixels; nobody records such.")
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(
                f"{self.fps} frames per second; a number above 0 is needed. Leave it out where unknown."
            )
        if self.skeleton is not None and not isinstance(self.skeleton, str):
            raise InputError(f"`skeleton` should be a name, found {self.skeleton!r:.60}.")

    @property
    def joint_count(self) -> int:
        """Number of joints per person."""
        return self.points.shape[2]


def stack_people(frames: list[list[np.ndarray]], joints: int) -> Float[Tensor, "frames people joints 3"]:
    """Frames with any number of people as one tensor.

    Args:
        frames: Per frame the people, each of shape (joints, 3).
        joints: Number of joints.

    Returns:
        Shape (frames, people, joints, 3), float32; NaN where there is nobody. At least one person.
    """
    people = max(1, max((len(frame) for frame in frames), default=0))
    _check_crowd(frames, people, joints)
    points = np.full((len(frames), people, joints, 3), np.nan, dtype=np.float32)
    for row, frame in zip(points, frames, strict=True):
        for place, person in zip(row, frame, strict=False):
            place[:] = person
    return torch.from_numpy(points)


def single_precision(numbers: Any) -> np.ndarray:
    """Numbers of a file as an array.

    Args:
        numbers: Nested lists.

    Returns:
        float32 of the lists' shape; numbers that are too large are infinite, which counts as absent.

    Raises:
        TypeError, ValueError, OverflowError: As numpy does, where they are no numbers.
    """
    with np.errstate(over="ignore"):
        return np.asarray(numbers, dtype=np.float64).astype(np.float32)


@dataclass(frozen=True)
class AlignedViews:
    """2D joints of all cameras on one row of frames: row n is the same instant in all."""

    # per camera, in the order given; equally many frames
    points: list[Float[Tensor, "_ _ joints 3"]]
    # number of the first row, counted from 0 at the beginning of the recording
    first: int
    # per camera: number, from 0, of the picture of its video that the first row shows
    first_pictures: dict[str, int]
    # what was done, in words
    said: str
    # what a person should look at; empty: nothing
    warnings: tuple[str, ...] = ()


def align_frames(
    views: Mapping[str, ViewJoints], allow_unequal: bool = False, lengths: Mapping[str, int] | None = None
) -> AlignedViews:
    """The views on common frames: row n is the same instant in all.

    A camera may end early: it is blank from there on, where all videos are equally long, or where frames without
    anybody are in no file. Where they are, or where the videos differ in length, an early end means another recording.

    Args:
        views: Joints by camera name.
        allow_unequal: Whether to cut to the shortest camera, whatever the difference; otherwise up to 2 frames.
        lengths: Number of pictures of the cameras' videos, where there are any.

    Returns:
        The views with equally many frames, and where they are in the recording.

    Raises:
        ValueError: The recordings end more than 2 frames apart, and not `allow_unequal`; the message lists the counts.
    """
    _check_starts(views)
    lengths = lengths or {}
    numbered = first_numbers({name: _numbered(view, lengths.get(name)) for name, view in views.items()})
    first = min(numbered.first.values())
    padded = {name: _shifted(view, numbered.first[name] - first) for name, view in views.items()}
    counts = {name: len(points) for name, points in padded.items()}
    kept, cut = _length(views, counts, lengths, allow_unequal)
    blank = {name: kept - count for name, count in counts.items() if count < kept}
    return AlignedViews(
        [_of_length(points, kept) for points in padded.values()],
        first,
        {name: first - numbered.video_start.get(name, 0) for name in views},
        "; ".join([f"{kept} frames", *cut, *numbered.said, *_empty(views, blank)]),
        (*numbered.warnings, *_ends_early(views, blank, lengths)),
    )


def _numbered(view: ViewJoints, pictures: int | None) -> Numbered:
    return Numbered(view.first, view.first + len(view.points) - 1, pictures)


def _length(
    views: Mapping[str, ViewJoints],
    counts: dict[str, int],
    lengths: Mapping[str, int],
    allow_unequal: bool,
) -> tuple[int, list[str]]:
    """Number of rows to keep, and what was cut, in words."""
    shortest, longest = min(counts.values()), max(counts.values())
    films = [lengths[name] for name in views if name in lengths]
    same_films = len(films) < 2 or max(films) - min(films) <= TOLERATED
    # numbers are those of pictures of one recording, wherever the detection stopped
    filmed = len(films) == len(views) and all(
        len(view.points) <= lengths[name] + TOLERATED for name, view in views.items()
    )
    if same_films and (filmed or not any(view.lists_empty for view in views.values())):
        return longest, []
    if longest - shortest > TOLERATED and not allow_unequal:
        why = f" (their videos: {_listed(dict(lengths))} pictures)" if not same_films else ""
        raise InputError(
            f"the cameras have different numbers of frames: {_listed(counts)}{why}. Frame n of every camera must "
            f"show the same instant. Cut the videos to the same start and end and detect again; or, if all "
            f"began together, pass --allow-unequal to keep the first {shortest} frames."
        )
    return shortest, [f"cut to the shortest camera ({_listed(counts)})"] if longest > shortest else []


def _check_crowd(frames: list[list[np.ndarray]], people: int, joints: int) -> None:
    """Every frame gets as many places as the fullest one: a single frame of thousands would fill the memory."""
    places, found = len(frames) * people, sum(map(len, frames))
    if places * joints > _MANY and places > _CROWDED * found:
        row = next(row for row, frame in enumerate(frames) if len(frame) == people)
        raise InputError(
            f"frame {row} (from 0) holds {people} people, and a frame holds {found / len(frames):.1f} on average. That "
            f"is no detection of people in view; detect again, or remove what does not belong there."
        )


def _check_starts(views: Mapping[str, ViewJoints]) -> None:
    """Time stamps in place of frame numbers would make rows for years."""
    first, last = (of(views, key=lambda name: views[name].first) for of in (min, max))
    apart, length = views[last].first - views[first].first, max(len(view.points) for view in views.values())
    if apart > SPARSE * length + 1000:
        raise InputError(
            f"the frames of camera '{first}' are numbered from {views[first].first} and those of '{last}' from "
            f"{views[last].first}, with at most {length} frames each: they have no instant in common. Are these time "
            f"stamps? Number the frames of all cameras from the same instant."
        )


def _shifted(view: ViewJoints, frames: int) -> Float[Tensor, "_ _ joints 3"]:
    empty = view.points.new_full((frames, *view.points.shape[1:]), torch.nan)
    return torch.cat([empty, view.points])


def _of_length(points: Float[Tensor, "_ _ joints 3"], frames: int) -> Float[Tensor, "_ _ joints 3"]:
    empty = points.new_full((max(0, frames - len(points)), *points.shape[1:]), torch.nan)
    return torch.cat([points[:frames], empty])


def _empty(views: Mapping[str, ViewJoints], blank: dict[str, int]) -> list[str]:
    missing = {name: view.missing + blank.get(name, 0) for name, view in views.items()}
    missing = {name: count for name, count in missing.items() if count}
    return [f"frames without a file, left empty: {_listed(missing)}"] if missing else []


def _ends_early(
    views: Mapping[str, ViewJoints], blank: dict[str, int], lengths: Mapping[str, int]
) -> list[str]:
    """A camera that may have stopped recording, for all that its files say."""
    unsure = {name: count for name, count in blank.items() if count > TOLERATED and name not in lengths}
    if not unsure:
        return []
    return [
        f"the 2D joints of {listed(unsure)} end before those of the other cameras ({_listed(unsure)} frames): taken as "
        f"nobody in view there. If a recording was shorter and began later, frame n is not one instant."
    ]


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in sorted(numbers, key=natural_key))
