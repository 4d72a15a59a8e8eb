"""2D joints of one camera as a file gave them, and putting several cameras on one row of frames."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.camera_names import natural_key

# frames by which cameras may differ: encoders and trimming lose one or two at the end
TOLERATED = 2


@dataclass(frozen=True)
class ViewJoints:
    """What one detector wrote for one camera; nothing is cleaned yet."""

    # x, y (pixels), confidence; NaN: frame or person absent
    points: Float[Tensor, "frames people joints 3"]
    # number of the first frame
    first: int = 0
    # width, height in pixels, where the file says so
    size: tuple[int, int] | None = None
    fps: float | None = None
    skeleton: str | None = None
    # frames without a file
    missing: int = 0

    @property
    def joint_count(self) -> int:
        return self.points.shape[2]


def stack_people(frames: list[list[np.ndarray]], joints: int) -> Float[Tensor, "frames people joints 3"]:
    """Frames with any number of people, each (joints, 3), as one tensor; NaN where there is nobody."""
    people = max(1, max((len(frame) for frame in frames), default=0))
    points = np.full((len(frames), people, joints, 3), np.nan, dtype=np.float32)
    for row, frame in zip(points, frames, strict=True):
        for place, person in zip(row, frame, strict=False):
            place[:] = person
    return torch.from_numpy(points)


def align_frames(
    views: dict[str, ViewJoints], allow_unequal: bool = False
) -> tuple[list[Float[Tensor, "_ _ joints 3"]], str]:
    """The views on common frames (row n is the same frame number in all), and what was done, in words.

    Cameras that end up to two frames apart are cut to the shortest; more raises ValueError with every
    camera's count, unless `allow_unequal`."""
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
