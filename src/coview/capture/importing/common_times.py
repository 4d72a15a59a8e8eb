"""2D joints of cameras whose pictures were not taken at the common frame rate, moved to the common instants.

A camera films at 30000/1001 pictures a second beside others at 30, or at a rate that varies (phones do that): its
picture n is then not the instant of picture n of the others. Presentation times are the truth: frame i of the session
is the instant i / fps after the beginning, and the joints are interpolated between the two pictures around it.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from coview.formats.io.video import VideoInfo, presentation_times
from coview.formats.keypoints.view_joints import AlignedViews

# frames by which a camera's last picture may be off before its joints are moved
_NOTICED = 0.2
# frames between two pictures from which nothing is interpolated: pictures were lost there
_LOST = 2.5
# frames from its picture within which a joint that the other picture does not show is kept where it is
_NEAR = 0.25
# distance that a joint may move between two pictures, as a share of the diagonal of the person's box
_MOVED = 0.5


def film_times(
    infos: Mapping[str, VideoInfo],
    videos: Mapping[str, Path],
    rates: Mapping[str, float],
    fps: float,
    frames: int,
) -> dict[str, Float[np.ndarray, "pictures"]]:
    """When pictures were taken, of every camera for which that is not the number of the picture over `fps`.

    Args:
        infos: The videos' facts, by camera name.
        videos: The videos themselves.
        rates: Pictures per second of every camera of which they are known, also of those without a video.
        fps: Frames per second of the session.
        frames: Number of pictures of the recording.

    Returns:
        Per camera: frames (seconds times `fps`) after its first picture.
    """
    found: dict[str, np.ndarray] = {}
    for name, rate in rates.items():
        if name in infos:
            info = infos[name]
            if not info.uneven and abs(rate / fps - 1) * frames < _NOTICED:
                continue
            times = presentation_times(videos[name]) * fps
        else:
            times = np.arange(frames, dtype=np.float64) * float(fps / rate)
        if np.abs(times - np.arange(len(times))).max() >= _NOTICED:
            found[name] = times
    return found


def at_common_times(
    aligned: AlignedViews, names: list[str], times: Mapping[str, Float[np.ndarray, "pictures"]]
) -> list[Float[Tensor, "frames people joints 3"]]:
    """The views with those of some cameras moved to the session's instants.

    Args:
        aligned: 2D joints of all cameras by number of the picture.
        names: The cameras, in their order.
        times: Of `film_times`.

    Returns:
        Per camera, shape (frames, people, joints, 3), as many frames as before; NaN where it did not record.
    """
    return [
        points
        if name not in times
        else interpolated(points, _rows(times[name], aligned.first_pictures[name], len(points)))
        for name, points in zip(names, aligned.points, strict=True)
    ]


def _rows(times: np.ndarray, first_picture: int, rows: int) -> np.ndarray:
    """Frames of the session at which each row's picture was taken; beyond the video, its mean rate goes on."""
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    pictures = np.arange(rows) + first_picture
    inside = times[np.clip(pictures, 0, len(times) - 1)]
    beyond = np.minimum(pictures, 0) + np.maximum(pictures - (len(times) - 1), 0)
    found: np.ndarray = inside + step * beyond - first_picture
    return found


def interpolated(
    points: Float[Tensor, "frames people joints 3"], taken: Float[np.ndarray, "frames"]
) -> Float[Tensor, "frames people joints 3"]:
    """2D joints at frames 0, 1, 2, … from pictures taken at other times, linearly between the two around each.

    People of the two pictures are those nearest to each other; somebody or something that only the nearer picture shows
    is kept where that is a quarter of a frame away at most.

    Args:
        points: x, y (pixels), confidence of each picture.
        taken: When each picture was taken, in frames, ascending.

    Returns:
        As many frames; NaN where no picture was taken.
    """
    result = torch.full_like(points, torch.nan)
    values = points.numpy().astype(np.float64)
    wanted = np.arange(len(points))
    after = np.clip(np.searchsorted(taken, wanted), 1, max(1, len(taken) - 1))
    for row, end in zip(wanted, after, strict=True):
        pair = sorted((end - 1, min(end, len(taken) - 1)), key=lambda n: abs(taken[n] - row))
        near, far = pair
        away, gap = row - taken[near], taken[far] - taken[near]
        if abs(away) > 0.5 and (abs(gap) > _LOST or away * gap <= 0):
            continue
        between = away * gap > 0 and abs(gap) <= _LOST
        other = _matched(values[near], values[far]) if between else np.full_like(values[near], np.nan)
        share = away / gap if between else 0.0
        result[row] = torch.from_numpy(_moved(values[near], other, share, away)).to(points)
    return result


def _moved(near: np.ndarray, other: np.ndarray, share: float, away: float) -> np.ndarray:
    both = np.isfinite(other).all(axis=-1, keepdims=True)
    kept = np.where(abs(away) <= _NEAR, near, np.nan)
    moved = np.concatenate([(1 - share) * near[..., :2] + share * other[..., :2], near[..., 2:]], axis=-1)
    found: np.ndarray = np.where(both, moved, kept)
    return found


def _matched(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """For every joint of `near` the same joint of the same person in `far`; NaN where there is none."""
    found = np.full_like(near, np.nan)
    seen, there = _seen(near), _seen(far)
    apart = np.linalg.norm(near[:, None, :, :2] - far[None, :, :, :2], axis=-1)
    apart = np.where(seen[:, None] & there[None], apart, np.nan)
    count = np.isfinite(apart).sum(axis=-1)
    mean = np.where(count > 0, np.nansum(apart, axis=-1) / np.maximum(count, 1), np.inf)
    limit = _MOVED * _diagonal(near, seen)
    cost = np.where(mean <= limit[:, None], mean, 1e9)
    for one, other in zip(*linear_sum_assignment(cost), strict=True):
        if cost[one, other] < 1e9:
            close = apart[one, other] <= limit[one]
            found[one][close] = far[other][close]
    return found


def _seen(people: np.ndarray) -> np.ndarray:
    """Absent joints are zeros or NaN in files."""
    seen: np.ndarray = np.isfinite(people).all(axis=-1) & (people[..., 2] > 0)
    return seen


def _diagonal(people: np.ndarray, seen: np.ndarray) -> np.ndarray:
    low = np.where(seen[..., None], people[..., :2], np.inf).min(axis=1)
    high = np.where(seen[..., None], people[..., :2], -np.inf).max(axis=1)
    return np.where(
        seen.any(axis=1), np.linalg.norm(np.where(np.isfinite(high - low), high - low, 0), axis=-1), 0
    )
