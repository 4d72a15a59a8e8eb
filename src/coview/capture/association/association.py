"""Who is who: people matched across cameras and over time, before anything is known of the cameras, and after.

Detections become tracks of one camera (`tracks`); every pair of tracks of two cameras is judged by how their joints
fit the epipolar geometry (`together`), which before a calibration is found along with the pairing (`view_pairs`);
tracks are grouped without contradiction and handed on from block to block (`persons`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.association.epipolar_affinity import BLOCK, body_sizes, gather_evidence
from coview.capture.association.fundamental_from_people import (
    Fundamentals,
    refit_fundamentals,
    search_fundamentals,
)
from coview.capture.association.multicut import people_of_blocks
from coview.capture.association.reidentification import rejoined
from coview.capture.association.tracking import MAX_GAP, track_people
from coview.errors import InputError
from coview.geometry.epipolar.relative_pose import fundamental_from_projections

LEAST_FRAMES = 10  # that two cameras must see somebody together; who is seen less is nobody
_ROUNDS = 2  # matrices fitted to who is who, and who is who by these matrices


@dataclass(frozen=True)
class Associated:
    """The person of every detection."""

    ids: Int[Tensor, "views frames people"]  # from 1, who is seen most; -1: nobody's
    tracks: Int[
        Tensor, "views frames people"
    ]  # of single cameras, from 0, no two cameras share a number; -1: none
    switches: tuple[int, ...]  # per camera: how often a track was cut and given to another person

    @property
    def count(self) -> int:
        return max(0, int(self.ids.max()))


def associate_before(
    joints: Float[Tensor, "views frames people joints 2"],
    confidence: Float[Tensor, "views frames people joints"] | None = None,
    *,
    lags: Sequence[float] | None = None,
    min_confidence: float = 0.3,
    max_gap: int = MAX_GAP,
    seed: int = 0,
) -> Associated:
    """Who is who in cameras of which nothing is known: neither where they stand nor their focal lengths.

    `joints` are pixels, NaN where not seen; the order of people means nothing. `lags` says, in frames, when each camera
    began: frame i of a camera shows what a camera of lag 0 shows in frame i + lag; a frame or two of error does no
    harm. Lenses are taken to be free of distortion, which costs accuracy near the rim of wide ones only. Views that
    cannot be related to any other give nobody a number. Cost: linear in frames, quadratic in views."""
    seen = _trusted(joints, confidence, min_confidence)
    starts = _starts(lags, len(joints))
    seen = _in_step(seen, starts, torch.nan)
    nodes = _nodes(seen, max_gap)
    small = seen.double() / body_sizes(seen).double()[:, None, None, None, None]
    fundamentals = search_fundamentals(small, nodes, seed)
    people = _numbered(seen, small, nodes, fundamentals)
    for _ in range(_ROUNDS):
        before, fundamentals = people, refit_fundamentals(small, people, seed)
        people = _numbered(seen, small, nodes, fundamentals)
        if torch.equal(before, people):
            break
    return _finished(people, nodes, starts, joints.shape[1])


def associate_after(
    joints: Float[Tensor, "views frames people joints 2"],
    cameras: Cameras,
    confidence: Float[Tensor, "views frames people joints"] | None = None,
    *,
    lags: Sequence[float] | None = None,
    min_confidence: float = 0.3,
    max_gap: int = MAX_GAP,
) -> Associated:
    """Who is who in calibrated cameras. As `associate_before`; besides, who was lost is found again in 3D."""
    seen = _trusted(joints, confidence, min_confidence)
    starts = _starts(lags, len(joints))
    seen = _in_step(seen, starts, torch.nan)
    nodes = _nodes(seen, max_gap)
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
    people = _numbered(seen, small, nodes, fundamentals)
    people = rejoined(straight, people, projections)
    return _finished(people, nodes, starts, joints.shape[1])


# --- inside --------------------------------------------------------------------------------------


def _trusted(joints: Tensor, confidence: Tensor | None, min_confidence: float) -> Tensor:
    return (
        joints
        if confidence is None
        else torch.where((confidence >= min_confidence)[..., None], joints, torch.nan)
    )


def _starts(lags: Sequence[float] | None, views: int) -> list[int]:
    """Frames by which each view is moved so that all are in step; the earliest one is not."""
    rounded = [round(lag) for lag in lags or [0.0] * views]
    if len(rounded) != views:
        raise InputError(
            f"associate: {len(rounded)} lags given for {views} views. Give one per view, in frames."
        )
    return [lag - min(rounded) for lag in rounded]


def _in_step(values: Tensor, starts: list[int], absent: float) -> Tensor:
    views, frames, *rest = values.shape
    moved = values.new_full((views, frames + max(starts), *rest), absent)
    for view, start in enumerate(starts):
        moved[view, start : start + frames] = values[view]
    return moved


def _nodes(
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
    pixels: Tensor, small: Tensor, nodes: Int[Tensor, "views frames people"], fundamentals: Fundamentals
) -> Int[Tensor, "views frames people"]:
    """The person (from 0) of every detection; -1 where there is no track."""
    if not bool((nodes >= 0).any()):
        return nodes
    people = people_of_blocks(pixels, nodes, gather_evidence(small, nodes, fundamentals))
    block = torch.arange(nodes.shape[1]) // BLOCK
    return torch.where(nodes >= 0, people[block[None, :, None].expand_as(nodes), nodes.clamp(min=0)], -1)


def _finished(
    people: Int[Tensor, "views frames people"],
    nodes: Int[Tensor, "views frames people"],
    starts: list[int],
    frames: int,
) -> Associated:
    """Renumbered by how much is seen of each, without those whom no two cameras saw; every view at its own frames."""
    ids = torch.full_like(people, -1)
    names, counts = people[people >= 0].unique(return_counts=True)
    number = 0
    for person in names[counts.argsort(descending=True, stable=True)]:
        mine = people == person
        if int((mine.any(dim=-1).sum(dim=0) >= 2).sum()) >= LEAST_FRAMES:
            number += 1
            ids[mine] = number
    own = [[part[view, start : start + frames] for view, start in enumerate(starts)] for part in (ids, nodes)]
    ids, tracks = (torch.stack(part) for part in own)
    return Associated(ids, tracks, switches_of(ids, tracks))


def switches_of(
    ids: Int[Tensor, "views frames people"], tracks: Int[Tensor, "views frames people"]
) -> tuple[int, ...]:
    """Per view: how often along a track the person changes."""
    counts = []
    for view, track in zip(ids.numpy(), tracks.numpy(), strict=True):
        frame, place = np.nonzero((view > 0) & (track >= 0))
        number, person = track[frame, place], view[frame, place]
        order = np.lexsort((frame, number))
        same, changed = np.diff(number[order]) == 0, np.diff(person[order]) != 0
        counts.append(int((same & changed).sum()))
    return tuple(counts)
