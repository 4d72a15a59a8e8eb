"""People matched across cameras and over time, with cameras that are calibrated or of which nothing is known.

Detections become tracks of one camera (`tracking`); every pair of tracks of two cameras is scored by how well their
joints fit the epipolar geometry (`epipolar_affinity`), which without a calibration is found along with the pairing
(`fundamental_from_people`); tracks are grouped consistently and handed on from block to block (`multicut`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.association.epipolar_affinity import BLOCK, body_sizes, track_affinities
from coview.capture.association.frame_by_frame import frames_far_apart, people_frame_by_frame
from coview.capture.association.fundamental_from_people import (
    Fundamentals,
    refit_fundamentals,
    search_fundamentals,
)
from coview.capture.association.multicut import people_of_blocks
from coview.capture.association.reidentification import rejoin_people
from coview.capture.association.tracking import MAX_GAP, track_people
from coview.errors import InputError
from coview.geometry.epipolar.relative_pose import fundamental_from_projections

# frames in which two cameras must see a person at once, but for this share of a short recording; who is seen less gets
# no number
LEAST_FRAMES, _LEAST_SHARE = 10, 0.1
# alternations of fitting matrices to people and matching people by matrices
_ROUNDS = 2


@dataclass(frozen=True)
class TrackedDetections:
    """Detections of all views, each at its own frames, and the tracks that they belong to."""

    # pixels, NaN where not seen with enough confidence
    joints: Float[Tensor, "views frames people joints 2"]
    # track of every detection, from 0, no two views share a number; -1: none
    tracks: Int[Tensor, "views frames people"]

    @cached_property
    def small(self) -> Float[Tensor, "views frames people joints 2"]:
        """The joints in body sizes of each view."""
        return self.joints.double() / body_sizes(self.joints).double()[:, None, None, None, None]


@dataclass(frozen=True)
class Association:
    """The result of associating people: the person and the track of every detection."""

    # person of every detection, from 1, who is seen most; -1: nobody
    ids: Int[Tensor, "views frames people"]
    # track of every detection, from 0, no two cameras share a number; -1: none
    tracks: Int[Tensor, "views frames people"]
    # per camera: how often a track was cut and given to another person
    switches: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many people were found."""
        return max(0, int(self.ids.max()))


def associate_uncalibrated(
    joints: Float[Tensor, "views frames people joints 2"],
    confidence: Float[Tensor, "views frames people joints"] | None = None,
    *,
    time_offsets: Sequence[float] | None = None,
    min_confidence: float = 0.3,
    max_gap: int = MAX_GAP,
    seed: int = 0,
) -> Association:
    """Match people across views and over time with neither the poses nor the focal lengths of the cameras known.

    The fundamental matrices of pairs of views are searched along with the pairing of people. Lenses are taken to be
    free of distortion, which costs accuracy near the rim of wide ones only. Cost: linear in frames, quadratic in views.

    Args:
        joints: 2D detections, pixels, NaN where not seen; the order of people within a frame means nothing.
        confidence: Confidence of every detected joint; None: all joints count.
        time_offsets: Per view, frames by which it started later: frame i of a view shows what a view of offset 0 shows
            in frame i + offset. An error of a frame or two does no harm. None: all started at once.
        min_confidence: Joints below this confidence are taken as not seen.
        max_gap: Frames that a track survives without a detection.
        seed: Seed of the search for fundamental matrices.

    Returns:
        The person and the track of every detection. People of views that cannot be related to any other get no number.

    Raises:
        InputError: Where the number of time offsets is not the number of views.
    """
    own = tracked_detections(joints, confidence, min_confidence=min_confidence, max_gap=max_gap)
    return associate_tracked(own, time_offsets, seed=seed)


def tracked_detections(
    joints: Float[Tensor, "views frames people joints 2"],
    confidence: Float[Tensor, "views frames people joints"] | None = None,
    *,
    min_confidence: float = 0.3,
    max_gap: int = MAX_GAP,
) -> TrackedDetections:
    """Join the detections of each view over time.

    Args:
        joints: 2D detections, pixels, NaN where not seen; the order of people within a frame means nothing.
        confidence: Confidence of every detected joint; None: all joints count.
        min_confidence: Joints below this confidence are taken as not seen.
        max_gap: Frames that a track survives without a detection.

    Returns:
        Detections and tracks, every view at its own frames.
    """
    seen = _confident(joints, confidence, min_confidence)
    return TrackedDetections(seen, _number_tracks(seen, max_gap))


def associate_tracked(
    own: TrackedDetections, time_offsets: Sequence[float] | None = None, *, seed: int = 0
) -> Association:
    """Match the tracks of views of which neither poses nor focal lengths are known; see `associate_uncalibrated`.

    Args:
        own: Detections and tracks of each view at its own frames.
        time_offsets: Per view, frames by which it started later; None: all started at once.
        seed: Seed of the search for fundamental matrices.

    Returns:
        The person and the track of every detection.

    Raises:
        InputError: Where the number of time offsets is not the number of views.
    """
    starts = _starts(time_offsets, len(own.joints))
    seen = _synchronised(own.joints, starts, torch.nan)
    track_ids = _synchronised(own.tracks, starts, -1.0)
    small = _synchronised(own.small, starts, torch.nan)
    fundamentals = search_fundamentals(small, track_ids, seed)
    people = _numbered(seen, small, track_ids, fundamentals)
    for _ in range(_ROUNDS):
        before, fundamentals = people, refit_fundamentals(small, people, seed)
        people = _numbered(seen, small, track_ids, fundamentals)
        if torch.equal(before, people):
            break
    return _finished(people, track_ids, starts, own.joints.shape[1])


def associate_calibrated(
    joints: Float[Tensor, "views frames people joints 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "views frames people joints"] | None = None,
    *,
    time_offsets: Sequence[float] | None = None,
    min_confidence: float = 0.3,
    max_gap: int = MAX_GAP,
    bones: Sequence[tuple[int, int]] = (),
) -> Association:
    """Match people across views and over time with calibrated cameras.

    Who was out of sight of all cameras for a moment is found again by place in 3D. Where frames are too far apart to
    follow people (photographs), they are told apart frame by frame and recognised by the lengths of their limbs.

    Args:
        joints: 2D detections, distorted pixels, NaN where not seen; the order of people within a frame means nothing.
        cameras: The calibrated cameras, one per view.
        confidence: Confidence of every detected joint; None: all joints count.
        time_offsets: Per view, frames by which it started later, as for `associate_uncalibrated`; None: all at once.
        min_confidence: Joints below this confidence are taken as not seen.
        max_gap: Frames that a track survives without a detection.
        bones: Pairs of joints between which there is a bone, to recognise people in frames far apart.

    Returns:
        The person and the track of every detection.

    Raises:
        InputError: Where the number of time offsets is not the number of views.
    """
    seen = _confident(joints, confidence, min_confidence)
    starts = _starts(time_offsets, len(joints))
    seen = _synchronised(seen, starts, torch.nan)
    track_ids = _number_tracks(seen, max_gap)
    perfect, straight = cameras.to(torch.float64).undistorted(seen.double().flatten(1, 3))
    straight = straight.view(seen.shape)
    size = body_sizes(straight)
    small = straight / size[:, None, None, None, None]
    shrink = torch.diag_embed(torch.stack([1 / size, 1 / size, torch.ones_like(size)], dim=-1))
    projections = perfect.pixels_from_world
    fundamentals = {
        (a, b): fundamental_from_projections(shrink[a] @ projections[a], shrink[b] @ projections[b])
        for a, b in combinations(range(len(joints)), 2)
    }
    if frames_far_apart(track_ids):
        people = people_frame_by_frame(straight, small, fundamentals, projections, bones)
    else:
        people = _numbered(seen, small, track_ids, fundamentals)
        people = rejoin_people(straight, people, projections)
    return _finished(people, track_ids, starts, joints.shape[1])


# --- inside --------------------------------------------------------------------------------------


def _confident(joints: Tensor, confidence: Tensor | None, min_confidence: float) -> Tensor:
    return (
        joints
        if confidence is None
        else torch.where((confidence >= min_confidence)[..., None], joints, torch.nan)
    )


def _starts(time_offsets: Sequence[float] | None, views: int) -> list[int]:
    """Frames by which each view is shifted so that all are synchronised; 0 for the earliest."""
    rounded = [round(offset_frames) for offset_frames in time_offsets or [0.0] * views]
    if len(rounded) != views:
        raise InputError(
            f"associate: {len(rounded)} time offsets given for {views} views. Give one per view, in frames."
        )
    return [offset_frames - min(rounded) for offset_frames in rounded]


def _synchronised(values: Tensor, starts: list[int], absent: float) -> Tensor:
    """All views shifted onto one time axis; `absent` where a view has no frame."""
    views, frames, *rest = values.shape
    moved = values.new_full((views, frames + max(starts), *rest), absent)
    for view, start in enumerate(starts):
        moved[view, start : start + frames] = values[view]
    return moved


def _number_tracks(
    joints: Float[Tensor, "views frames people joints 2"], max_gap: int
) -> Int[Tensor, "views frames people"]:
    """Tracks of every view, numbered so that no two views share a number."""
    rows, count = [], 0
    for view in joints:
        tracks = track_people(view, max_gap=max_gap)
        rows.append(torch.where(tracks >= 0, tracks + count, -1))
        count += int(tracks.max()) + 1
    return torch.stack(rows)


def _numbered(
    pixels: Tensor, small: Tensor, track_ids: Int[Tensor, "views frames people"], fundamentals: Fundamentals
) -> Int[Tensor, "views frames people"]:
    """The person (from 0) of every detection; -1 where there is no track."""
    if not bool((track_ids >= 0).any()):
        return track_ids
    people = people_of_blocks(pixels, track_ids, track_affinities(small, track_ids, fundamentals))
    block = torch.arange(track_ids.shape[1]) // BLOCK
    return torch.where(
        track_ids >= 0, people[block[None, :, None].expand_as(track_ids), track_ids.clamp(min=0)], -1
    )


def _finished(
    people: Int[Tensor, "views frames people"],
    track_ids: Int[Tensor, "views frames people"],
    starts: list[int],
    frames: int,
) -> Association:
    """Renumbered by how much is seen of each, without those whom no two cameras saw; every view at its own frames."""
    ids = torch.full_like(people, -1)
    names, counts = people[people >= 0].unique(return_counts=True)
    number, least = 0, min(LEAST_FRAMES, math.ceil(_LEAST_SHARE * frames))
    for person in names[counts.argsort(descending=True, stable=True)]:
        mine = people == person
        if int((mine.any(dim=-1).sum(dim=0) >= 2).sum()) >= least:
            number += 1
            ids[mine] = number
    own = [
        [part[view, start : start + frames] for view, start in enumerate(starts)] for part in (ids, track_ids)
    ]
    ids, tracks = (torch.stack(part) for part in own)
    return Association(ids, tracks, switches_of(ids, tracks))


def switches_of(
    ids: Int[Tensor, "views frames people"], tracks: Int[Tensor, "views frames people"]
) -> tuple[int, ...]:
    """Count per view how often the person changes along a track.

    Args:
        ids: The person of every detection, from 1; -1: nobody.
        tracks: The track of every detection, from 0; -1: none.

    Returns:
        One count per view.
    """
    counts = []
    for view, track in zip(ids.numpy(), tracks.numpy(), strict=True):
        frame, place = np.nonzero((view > 0) & (track >= 0))
        number, person = track[frame, place], view[frame, place]
        order = np.lexsort((frame, number))
        same, changed = np.diff(number[order]) == 0, np.diff(person[order]) != 0
        counts.append(int((same & changed).sum()))
    return tuple(counts)
