"""How well two views agree when one of them is shifted in time, and whether one shift explains them better.

The measure is absolute: the share of what both views see at once that fits one epipolar geometry, in units of the
detector's noise and of body sizes. It is high at every shift for people who hardly move, who say nothing of time.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.capture.association.association import TrackedDetections, associate_tracked
from coview.capture.association.epipolar_affinity import LEAST_ERROR, LEAST_JOINTS
from coview.capture.association.fundamental_from_people import fundamental_of_people
from coview.geometry.epipolar.relative_pose import sampson_distance

# body sizes: no detector is as bad as this on people who are matched rightly and at the right time
NOISIEST = 0.015
# standard deviations of the noise: a joint farther from its epipolar line is not explained
_WITHIN = 3.0
# frames of a view at which one shift is judged
_INSTANTS = 60
# shifts that are computed at a time, for memory
_AT_ONCE = 64
# seconds: what is seen within them counts as one observation
_BLOCK = 0.4
# blocks that two shifts are compared in, at least
_FEWEST = 3


@dataclass(frozen=True)
class TwoViews:
    """What two views see, each at its own frames."""

    own: TrackedDetections
    fps: float

    @property
    def frames(self) -> int:
        """Frames of each view."""
        return self.own.joints.shape[1]

    @cached_property
    def _counts(self) -> Int[Tensor, "two frames"]:
        return (self.own.tracks >= 0).sum(dim=-1)

    def common(self, shift: int) -> Int[Tensor, "frames"]:
        """Frames n of the second view for which the first has a frame n + `shift`."""
        return torch.arange(max(0, -shift), min(self.frames, self.frames - shift))

    def possible(
        self, shift: int | Int[Tensor, "shifts 1"], frames: Int[Tensor, "*some"]
    ) -> Float[Tensor, "*some"]:
        """How many people both views could see at once in these frames of the second view."""
        first, second = self._counts
        return torch.minimum(first[frames + shift], second[frames]).double()


@dataclass(frozen=True)
class Match:
    """People of two views matched at one shift: frame n + shift of the first shows what frame n of the second does."""

    shift: int
    # body sizes of each view, every person at the view's own frames; NaN where not seen
    people: Float[Tensor, "two people frames joints 2"]
    # of points in body sizes
    fundamental: Float[Tensor, "3 3"]

    @cached_property
    def distance(self) -> float:
        """Body sizes: standard deviation of joints from their epipolar lines, had all of it a normal distribution."""
        count = self.people.shape[2]
        frames = torch.arange(max(0, -self.shift), min(count, count - self.shift))
        some = frames[torch.linspace(0, max(len(frames) - 1, 0), min(len(frames), 4 * _INSTANTS)).long()]
        found = float(self._distances(self.shift, some).nanmedian()) / 0.6745
        return found if found == found else torch.inf

    @property
    def noise(self) -> float:
        """`distance` within the bounds of what detectors can have."""
        return min(max(self.distance, LEAST_ERROR), NOISIEST)

    def explained(
        self, shift: int | Int[Tensor, "shifts 1"], frames: Int[Tensor, "*some"], noise: float
    ) -> Float[Tensor, "*some"]:
        """How many people are where the geometry has them at a shift.

        Args:
            shift: Frames by which the first view is ahead.
            frames: Frames of the second view.
            noise: Body sizes, of the detector.

        Returns:
            Sum over people of a value from 0 to 1, which is the mean over joints.
        """
        distance = self._distances(shift, frames)
        near = (1 - (distance / (_WITHIN * noise)).square()).clamp(min=0)
        enough = distance.isfinite().sum(dim=-1) >= LEAST_JOINTS
        return torch.where(enough, near.nanmean(dim=-1), 0.0).sum(dim=0)

    def _distances(self, shift: int | Tensor, frames: Tensor) -> Float[Tensor, "people *some joints"]:
        first, second = self.people[0][:, frames + shift], self.people[1][:, frames]
        return sampson_distance(self.fundamental, first.flatten(1, -3), second.flatten(1, -3)).view(
            first.shape[:-1]
        )


def match_at(views: TwoViews, shift: int, seed: int = 0) -> Match | None:
    """Match the people of two views at a shift, by whatever geometry explains most of them.

    Args:
        views: What the two views see.
        shift: Frames by which the first view is ahead.
        seed: Seed of the search for the geometry.

    Returns:
        None where nobody can be matched.
    """
    ids = associate_tracked(views.own, (0.0, float(shift)), seed=seed).ids
    return match_of(views, _along_tracks(ids, views.own.tracks), shift, seed)


def match_of(
    views: TwoViews, ids: Int[Tensor, "two frames people"], shift: int, seed: int = 0
) -> Match | None:
    """The match that the numbers of people stand for.

    Args:
        views: What the two views see.
        ids: Person of every detection, from 1; -1: nobody.
        shift: Frames by which the first view is ahead.
        seed: Seed of the robust fit.

    Returns:
        None where the two views share too little.
    """
    people = _each(views.own.small, ids)
    if not len(people[0]) or not len(frames := views.common(shift)):
        return None
    matrix = fundamental_of_people(people[0][:, frames + shift], people[1][:, frames], seed=seed)
    return None if matrix is None else Match(shift, people, matrix)


def fitted_again(match: Match, frames: Int[Tensor, "frames"]) -> Match | None:
    """The same people, with the geometry that fits some frames of the second view best.

    Args:
        match: Where the fit starts.
        frames: Frames of the second view.

    Returns:
        None where too little is seen.
    """
    first, second = match.people[0][:, frames + match.shift], match.people[1][:, frames]
    matrix = fundamental_of_people(first, second, match.fundamental)
    return None if matrix is None else replace(match, fundamental=matrix)


def agreements(
    match: Match, views: TwoViews, shifts: Int[Tensor, "shifts"], noise: float
) -> Float[Tensor, "shifts"]:
    """Share of what both views see at each shift that the match explains, 0 to 1.

    Args:
        match: People, and a geometry.
        views: What the two views see.
        shifts: Frames by which the first view is ahead, fewer than there are.
        noise: Body sizes, of the detector.

    Returns:
        One value per shift; 0 where both see nobody.
    """
    found = []
    for part in shifts[:, None].split(_AT_ONCE):
        first, end = (-part).clamp(min=0), (views.frames - part).clamp(max=views.frames)
        frames = (first + torch.linspace(0, 1, _INSTANTS) * (end - 1 - first)).long()
        possible = views.possible(part, frames).sum(dim=1)
        found.append(match.explained(part, frames, noise).sum(dim=1) / possible.clamp(min=1))
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64)


@dataclass(frozen=True)
class Comparison:
    """How much more of the same frames one match explains than another."""

    # share of what is seen, that the first and the second explain
    first: float
    second: float
    # their difference over its standard deviation, from blocks of time; 0 where there are too few
    deviations: float


def compared(one: Match, other: Match, views: TwoViews, noise: float) -> Comparison:
    """Compare two matches on the frames of the shorter overlap, both with the geometry that fits these best.

    An overlap of a second or two is fitted more easily than a whole recording.

    Args:
        one: A match.
        other: Another one.
        views: What the two views see.
        noise: Body sizes, of the detector.

    Returns:
        Of the frames in which both could be right.
    """
    frames = views.common(one.shift)
    inside = (frames + one.shift - other.shift >= 0) & (frames + one.shift - other.shift < views.frames)
    also = frames + one.shift - other.shift
    first = _share(one, views, [frames], noise)
    both = [frames, torch.where(inside, also, frames)]
    around = torch.cat(both).unique()
    around = around[(around + other.shift >= 0) & (around + other.shift < views.frames)]
    refitted = [match for match in (other, fitted_again(other, around)) if match]
    seconds = [_share(match, views, both, noise) for match in refitted]
    second = max(seconds, key=lambda share: float(share.nanmean()))
    valid = first.isfinite() & second.isfinite()
    if not bool(valid.any()):
        return Comparison(0.0, 0.0, 0.0)
    block = (frames[valid] / (_BLOCK * views.fps)).long()
    sums = torch.zeros(int(block.max()) + 1, dtype=torch.float64)
    counts = sums.clone().index_add_(0, block, torch.ones(len(block), dtype=torch.float64))
    means = sums.index_add_(0, block, (first - second)[valid])[counts > 0] / counts[counts > 0]
    spread = float(means.std()) / len(means) ** 0.5 if len(means) >= _FEWEST else torch.inf
    mean = float(means.mean())
    return Comparison(float(first[valid].mean()), float(second[valid].mean()), mean / max(spread, 1e-6))


def _share(match: Match, views: TwoViews, places: list[Tensor], noise: float) -> Float[Tensor, "frames"]:
    """Share of what is seen that is explained, frame by frame, in several frames of the second view together."""
    explained = possible = torch.zeros(len(places[0]), dtype=torch.float64)
    for frames in places:
        inside = (frames + match.shift >= 0) & (frames + match.shift < views.frames)
        frames = torch.where(inside, frames, views.common(match.shift)[0])
        explained = explained + inside * match.explained(match.shift, frames, noise)
        possible = possible + inside * views.possible(match.shift, frames)
    return explained / torch.where(possible > 0, possible, torch.nan)


def _along_tracks(
    ids: Int[Tensor, "two frames people"], tracks: Int[Tensor, "two frames people"]
) -> Int[Tensor, "two frames people"]:
    """Every track is one person, also in frames that the other view does not share."""
    both = (ids > 0) & (tracks >= 0)
    if not bool(both.any()):
        return ids
    votes = torch.zeros(int(tracks.max()) + 1, int(ids.max()) + 1)
    votes.index_put_((tracks[both], ids[both]), torch.ones(()), accumulate=True)
    most, person = votes.max(dim=1)
    return torch.where(tracks >= 0, torch.where(most > 0, person, -1)[tracks.clamp(min=0)], -1)


def _each(
    joints: Float[Tensor, "two frames people joints 2"], ids: Int[Tensor, "two frames people"]
) -> Float[Tensor, "two numbers frames joints 2"]:
    """The detections of each person, NaN where not seen."""
    everybody = []
    for person in range(1, int(ids.max()) + 1):
        mine = ids == person
        place = mine.int().argmax(dim=-1)[..., None, None, None]
        picked = joints.gather(2, place.expand(*place.shape[:2], 1, *joints.shape[3:]))[:, :, 0]
        everybody.append(torch.where(mine.any(dim=-1)[..., None, None], picked, torch.nan))
    if not everybody:
        return joints.new_zeros(2, 0, joints.shape[1], *joints.shape[3:])
    return torch.stack(everybody, dim=1)
