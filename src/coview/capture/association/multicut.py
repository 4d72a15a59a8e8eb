"""From affinities of tracks to people: multicut within blocks of frames, groups linked over time."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from coview.capture.association.epipolar_affinity import BLOCK, Affinities
from coview.capture.association.tracking import Track, gate_radius, pose_distances

# frames after which a view no longer predicts where a person should be
LOST = 50
# frames without a detection that halve the weight of a view's prediction
_HALVING = 10.0
# affinity, in frames, of two tracks that were one person in the block before
_HABIT = 2.0


def greedy_edge_contraction(weights: Float[np.ndarray, "n n"]) -> list[list[int]]:
    """Partition a graph by greedy additive edge contraction, a heuristic for the minimum cost multicut [Keuper15].

    The two groups with the greatest weight between them are joined and weights add up, until none is above 0. The
    result is cycle consistent: if a and b are one person, and b and c, then so are a and c; no group holds a forbidden
    pair.

    Args:
        weights: Symmetric; above 0 attracts, below repels, minus infinity forbids. The diagonal is ignored.

    Returns:
        Groups of nodes by their index.
    """
    left = weights.astype(float)
    np.fill_diagonal(left, -np.inf)
    groups = [[track_id] for track_id in range(len(left))]
    while len(groups) > 1:
        one, other = divmod(int(left.argmax()), len(left))
        if not left[one, other] > 0:
            break
        left[one] += left[other]
        left[:, one] = left[one]
        left[one, one] = -np.inf
        left = np.delete(np.delete(left, other, axis=0), other, axis=1)
        groups[one] += groups.pop(other)
    return groups


def people_of_blocks(
    joints: Float[Tensor, "views frames people joints 2"],
    track_ids: Int[Tensor, "views frames people"],
    affinities: Affinities,
) -> Int[Tensor, "blocks nodes"]:
    """Assign every track to a person, block of frames by block.

    In every block the tracks are grouped by `greedy_edge_contraction`: two tracks of one view that are seen at once can
    never be one person. A group then goes to the person whose expected poses, in all views together, it fits best
    (Hungarian method over all people who were seen recently): a track whose neighbours in the other views have changed
    is thereby given to another person.

    Args:
        joints: 2D detections, pixels, NaN where not seen.
        track_ids: The track of every detection; no two views share a number; -1: none.
        affinities: Affinities of pairs of tracks.

    Returns:
        The person (from 0) that each track shows in each block of `BLOCK` frames; -1 where the track is not there.
    """
    blocks = -(-track_ids.shape[1] // BLOCK)
    conflicts, edges = _conflicts(track_ids, blocks), _by_block(affinities, blocks)
    people = np.full((blocks, int(track_ids.max()) + 1), -1)
    crowd: list[_Person] = []
    for block in range(blocks):
        sightings = _sightings(joints, track_ids, block)
        here = sorted(sightings)
        weights = _weights(here, edges[block], conflicts[block], people[block - 1] if block else None)
        groups = [[here[index] for index in group] for group in greedy_edge_contraction(weights)]
        for group, person in _assigned(groups, sightings, crowd, conflicts[block]):
            people[block, group] = person
            while person >= len(crowd):
                crowd.append(_Person())
            for track_id in group:
                crowd[person].update(sightings[track_id])
    return torch.from_numpy(people)


@dataclass(frozen=True)
class _Sighting:
    """One track in one block."""

    view: int
    frames: np.ndarray
    # (frames, joints, 2) pixels
    poses: np.ndarray


@dataclass
class _Person:
    """A person found so far, with where each view saw them last."""

    # per view: the latest track state
    last: dict[int, Track] = field(default_factory=dict)
    # tracks and blocks so far
    seen: int = 0

    @property
    def standing(self) -> float:
        """From 0 to 1: of two who fit, the one who has been there longer; a stray detection is no person."""
        return self.seen / (self.seen + 5)

    def update(self, sighting: _Sighting) -> None:
        self.seen += 1
        for index in np.unique(np.linspace(0, len(sighting.frames) - 1, 3).round().astype(int)):
            frame, pose = int(sighting.frames[index]), sighting.poses[index]
            if sighting.view not in self.last:
                self.last[sighting.view] = Track.started(0, frame, pose)
            elif frame > self.last[sighting.view].frame:
                self.last[sighting.view].update(frame, pose)

    def fits(self, sighting: _Sighting) -> float:
        """1 where the person was expected there, 0 where they could hardly be, -1 where somebody else must be."""
        track, frame = self.last.get(sighting.view), int(sighting.frames[0])
        if track is None or frame - track.frame > LOST:
            return 0.0
        steps = max(frame - track.frame, 1)
        distance = pose_distances(track.expected(frame)[None], sighting.poses[:1], np.array([track.size]))[
            0, 0
        ]
        if not np.isfinite(distance):
            return 0.0
        return float(np.clip(1 - distance / gate_radius(track, frame), -1, 1)) / (1 + steps / _HALVING)


def _assigned(
    groups: list[list[int]],
    sightings: dict[int, _Sighting],
    crowd: list[_Person],
    conflicts: set[tuple[int, int]],
) -> list[tuple[list[int], int]]:
    """To whom each group goes: the number of a known person, or the next ones."""
    fits = np.array(
        [
            [who.standing * sum(who.fits(sightings[track_id]) for track_id in group) for who in crowd]
            for group in groups
        ]
    )
    fits = fits.reshape(len(groups), len(crowd))
    given: dict[int, int] = {}
    for group, person in zip(*linear_sum_assignment(np.maximum(fits, 0), maximize=True), strict=True):
        if fits[group, person] > 0:
            given[int(group)] = int(person)
    owned = {person: list(groups[group]) for group, person in given.items()}
    count = len(crowd)
    for group in sorted(set(range(len(groups))) - set(given), key=lambda index: -len(groups[index])):
        person = _also(groups[group], fits[group], owned, conflicts)
        if person is None:
            person, count = count, count + 1
        given[group] = person
        owned.setdefault(person, []).extend(groups[group])
    return [(groups[group], person) for group, person in sorted(given.items())]


def _also(
    group: list[int], fits: np.ndarray, owned: dict[int, list[int]], conflicts: set[tuple[int, int]]
) -> int | None:
    """A person who has a group of the block already, and whom this one fits and does not contradict."""
    for person in np.argsort(-fits):
        if not fits[person] > 0:
            return None
        pairs = {(min(a, b), max(a, b)) for a in group for b in owned.get(int(person), [])}
        if not pairs & conflicts:
            return int(person)
    return None


def _weights(
    here: list[int],
    edges: list[tuple[int, int, float]],
    conflicts: set[tuple[int, int]],
    before: np.ndarray | None,
) -> Float[np.ndarray, "n n"]:
    """Attraction and repulsion of the tracks of a block; ties are decided for those that were one person before."""
    weights = np.zeros((len(here), len(here)))
    place = {track_id: index for index, track_id in enumerate(here)}
    if before is not None:
        was = before[here]
        weights += _HABIT * ((was[:, None] == was) & (was >= 0))
    for a, b, value in edges:
        if a in place and b in place:
            weights[place[a], place[b]] += value
            weights[place[b], place[a]] += value
    for a, b in conflicts:
        weights[place[a], place[b]] = weights[place[b], place[a]] = -np.inf
    return weights


def _sightings(
    joints: Float[Tensor, "views frames people joints 2"],
    track_ids: Int[Tensor, "views frames people"],
    block: int,
) -> dict[int, _Sighting]:
    part = slice(block * BLOCK, (block + 1) * BLOCK)
    numbers, poses = track_ids[:, part].numpy(), joints[:, part].double().numpy()
    found = {}
    for view, (row, seen) in enumerate(zip(numbers, poses, strict=True)):
        for track_id in np.unique(row[row >= 0]):
            frame, place = np.nonzero(row == track_id)
            found[int(track_id)] = _Sighting(view, block * BLOCK + frame, seen[frame, place])
    return found


def _conflicts(track_ids: Int[Tensor, "views frames people"], blocks: int) -> list[set[tuple[int, int]]]:
    """Per block the pairs of tracks of one view that are there at once, the smaller number first."""
    found: list[set[tuple[int, int]]] = [set() for _ in range(blocks)]
    people = track_ids.shape[2]
    for one, other in combinations(range(people), 2):
        a, b = (
            torch.minimum(track_ids[..., one], track_ids[..., other]),
            torch.maximum(track_ids[..., one], track_ids[..., other]),
        )
        view, frame = (a >= 0).nonzero(as_tuple=True)
        pairs = torch.stack([frame // BLOCK, a[view, frame], b[view, frame]], dim=1).unique(dim=0)
        for block, first, second in pairs.tolist():
            found[block].add((first, second))
    return found


def _by_block(affinities: Affinities, blocks: int) -> list[list[tuple[int, int, float]]]:
    edges: list[list[tuple[int, int, float]]] = [[] for _ in range(blocks)]
    for (a, b), first, values in zip(affinities.pairs, affinities.first, affinities.values, strict=True):
        for step, value in enumerate(values):
            edges[first + step].append((int(a), int(b), float(value)))
    return edges
