"""Tracking: the detections of one camera joined over time, and cut wherever two people could be mistaken."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

# frames that a track survives without a detection
MAX_GAP = 10
# body sizes, on average over joints, within which a track continues
_REACH = 0.2
# body sizes more for every frame missed
_GROWTH = 0.02
# body sizes: larger distances of single joints are clipped to this, since some detections are outliers
_FAR = 0.5
# body sizes by which the right person must fit better than anybody else
_ALIKE = 0.04
# body sizes: two detections so near each other are one person, found twice
_TWICE = 0.02
# share of the velocity that is kept from frame to frame
_STEADY = 0.5


@dataclass
class Track:
    """State of a track: where one person was last seen in one view, and how they moved."""

    # number of the track, from 0
    number: int
    # frame of the last detection
    frame: int
    # (joints, 2) pixels; joints not seen recently where they would have moved to
    pose: np.ndarray
    # (2,) pixels per frame
    velocity: np.ndarray
    # diagonal of the box, pixels
    size: float

    def expected(self, frame: int) -> np.ndarray:
        """Predict the pose: the longer nobody was seen, the less the velocity counts.

        Args:
            frame: Frame to predict for.

        Returns:
            (joints, 2) pixels.
        """
        steps = frame - self.frame
        return self.pose + self.velocity * (1 - 0.8**steps) / 0.2 * 0.8

    @staticmethod
    def started(number: int, frame: int, pose: np.ndarray) -> "Track":
        """Start a track at its first detection.

        Args:
            number: Number of the track.
            frame: Frame of the detection.
            pose: (joints, 2) pixels, NaN where not seen.

        Returns:
            A track at rest.
        """
        return Track(number, frame, pose, np.zeros(2), _size(pose))

    def update(self, frame: int, pose: np.ndarray) -> None:
        """Continue the track with another detection.

        Args:
            frame: Frame of the detection, later than the last.
            pose: (joints, 2) pixels, NaN where not seen.
        """
        moved = pose - self.pose
        valid = np.isfinite(moved[:, 0])
        if valid.any():
            step = np.median(moved[valid], axis=0) / (frame - self.frame)
            self.velocity = _STEADY * self.velocity + (1 - _STEADY) * step
        self.pose = np.where(np.isfinite(pose), pose, self.expected(frame))
        self.frame, self.size = frame, max(_size(pose), 0.5 * self.size)


def track_people(
    joints: Float[Tensor, "frames people joints 2"], *, max_gap: int = MAX_GAP
) -> Int[Tensor, "frames people"]:
    """Track the people of one camera over time.

    From frame to frame, detections go to the tracks whose expected poses they fit best in all (Hungarian method
    [Kuhn55]; distances of joints in body sizes). A track ends after `max_gap` frames without a detection, and wherever
    another person would fit almost as well: one track that holds two people does more harm than two tracks that hold
    one. A person found twice in a frame counts once.

    Args:
        joints: 2D detections, pixels, NaN where not seen; the order of people within a frame means nothing.
        max_gap: Frames that a track survives without a detection.

    Returns:
        The track (from 0) that each detection belongs to; -1 where there is none.
    """
    poses = joints.double().numpy()
    there = np.isfinite(poses[..., 0]).any(axis=-1)
    found = np.full(there.shape, -1)
    alive: list[Track] = []
    count = 0
    for frame, row in enumerate(poses):
        places = _once(row, np.flatnonzero(there[frame]))
        alive = [track for track in alive if frame - track.frame <= max_gap + 1]
        following, ambiguous = _matched(alive, row[places], frame)
        alive = [track for track in alive if track.number not in ambiguous]
        for place, track in zip(places, following, strict=True):
            if track is None:
                track = Track.started(count, frame, row[place])
                alive.append(track)
                count += 1
            else:
                track.update(frame, row[place])
            found[frame, place] = track.number
    return torch.from_numpy(found)


def _matched(alive: list[Track], poses: np.ndarray, frame: int) -> tuple[list[Track | None], set[int]]:
    """The track that each pose continues (None: a new one), and the tracks that are ambiguous and end here."""
    if not alive or not len(poses):
        return [None] * len(poses), set()
    expected = np.stack([track.expected(frame) for track in alive])
    sizes = np.array([track.size for track in alive])
    distance = pose_distances(expected, poses, sizes)
    distance = np.where(
        distance <= np.array([gate_radius(track, frame) for track in alive])[:, None], distance, 1e3
    )
    following: list[Track | None] = [None] * len(poses)
    ambiguous = set()
    for i, j in zip(*linear_sum_assignment(distance), strict=True):
        if distance[i, j] >= 1e3:
            continue
        rivals = np.concatenate([np.delete(distance[:, j], i), np.delete(distance[i], j)])
        if len(rivals) and rivals.min() - distance[i, j] < _ALIKE:
            ambiguous.add(alive[i].number)
        else:
            following[j] = alive[i]
    return following, ambiguous


def gate_radius(track: Track, frame: int) -> float:
    """Largest distance of a pose from the expected one at which it is still taken as the same person's.

    Args:
        track: The track.
        frame: Frame of the pose; the radius grows with the frames missed.

    Returns:
        Body sizes.
    """
    return _REACH + _GROWTH * (frame - track.frame - 1)


def pose_distances(one: np.ndarray, other: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Mean distance of the joints that two poses share, each at most `_FAR`.

    Args:
        one: (n, joints, 2) pixels, NaN where not seen.
        other: (m, joints, 2) pixels.
        sizes: (n,) body sizes of `one`, pixels.

    Returns:
        (n, m) in body sizes; infinite where no joint is shared.
    """
    apart = (
        np.sqrt(np.square(one[:, None] - other[None]).sum(axis=-1)) / np.maximum(sizes, 1.0)[:, None, None]
    )
    valid = np.isfinite(apart)
    total = np.minimum(np.where(valid, apart, 0.0), _FAR).sum(axis=-1)
    shared = valid.sum(axis=-1)
    return np.where(shared > 0, total / np.maximum(shared, 1), np.inf)


def _once(row: np.ndarray, places: np.ndarray) -> np.ndarray:
    """`places` without detections that repeat an earlier one."""
    if len(places) < 2:
        return places
    poses = row[places]
    distance = pose_distances(poses, poses, np.array([_size(pose) for pose in poses]))
    return places[~np.tril(distance < _TWICE, -1).any(axis=1)]


def _size(pose: np.ndarray) -> float:
    """Diagonal of the box around the joints seen, pixels."""
    valid = pose[np.isfinite(pose[:, 0])]
    return float(np.linalg.norm(valid.max(axis=0) - valid.min(axis=0)))
