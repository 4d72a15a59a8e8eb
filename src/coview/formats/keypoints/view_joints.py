"""2D joints of one camera as a file gives them, and the alignment of several cameras to common frames."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.camera_names import natural_key

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


def align_frames(
    views: dict[str, ViewJoints], allow_unequal: bool = False
) -> tuple[list[Float[Tensor, "_ _ joints 3"]], str]:
    """The views on common frames: row n is the same frame number in all.

    Args:
        views: Joints by camera name.
        allow_unequal: Whether to cut to the shortest camera, whatever the difference; otherwise up to 2 frames.

    Returns:
        Per view, shape (frames, people, joints, 3) with equally many frames, and what was done, in words.

    Raises:
        ValueError: The cameras end more than 2 frames apart, and not `allow_unequal`; the message lists the counts.
    """
    _check_starts(views)
    first = min(view.first for view in views.values())
    padded = {name: _shifted(view, view.first - first) for name, view in views.items()}
    counts = {name: len(points) for name, points in padded.items()}
    shortest, longest = min(counts.values()), max(counts.values())
    if longest - shortest > TOLERATED and not allow_unequal:
        raise InputError(
            f"the cameras have different numbers of frames: {_listed(counts)}. Frame n of every camera must "
            f"show the same instant. Cut the videos to the same start and end and detect again; or, if all "
            f"began together, pass --allow-unequal to keep the first {shortest} frames."
        )
    return [points[:shortest] for points in padded.values()], _what_was_done(views, counts, shortest)


def _check_crowd(frames: list[list[np.ndarray]], people: int, joints: int) -> None:
    """Every frame gets as many places as the fullest one: a single frame of thousands would fill the memory."""
    places, found = len(frames) * people, sum(map(len, frames))
    if places * joints > _MANY and places > _CROWDED * found:
        row = next(row for row, frame in enumerate(frames) if len(frame) == people)
        raise InputError(
            f"frame {row} (from 0) holds {people} people, and a frame holds {found / len(frames):.1f} on average. That "
            f"is no detection of people in view; detect again, or remove what does not belong there."
        )


def _check_starts(views: dict[str, ViewJoints]) -> None:
    """Time stamps in place of frame numbers would make rows for years."""
    early, late = (of(views, key=lambda name: views[name].first) for of in (min, max))
    apart, length = views[late].first - views[early].first, max(len(view.points) for view in views.values())
    if apart > SPARSE * length + 1000:
        raise InputError(
            f"the frames of camera '{early}' are numbered from {views[early].first} and those of '{late}' from "
            f"{views[late].first}, with at most {length} frames each: they have no instant in common. Are these time "
            f"stamps? Number the frames of all cameras from the same instant."
        )


def _shifted(view: ViewJoints, frames: int) -> Float[Tensor, "_ _ joints 3"]:
    empty = view.points.new_full((frames, *view.points.shape[1:]), torch.nan)
    return torch.cat([empty, view.points])


def _what_was_done(views: dict[str, ViewJoints], counts: dict[str, int], kept: int) -> str:
    parts = [f"{kept} frames"]
    if max(counts.values()) > kept:
        parts.append(f"cut to the shortest camera ({_listed(counts)})")
    starts = {name: view.first for name, view in views.items()}
    if len(set(starts.values())) > 1:
        parts.append(
            f"first frame numbers differ ({_listed(starts)}): equal numbers were taken for one instant"
        )
    missing = {name: view.missing for name, view in views.items() if view.missing}
    if missing:
        parts.append(f"frames without a file, left empty: {_listed(missing)}")
    return "; ".join(parts)


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {numbers[name]}" for name in sorted(numbers, key=natural_key))
