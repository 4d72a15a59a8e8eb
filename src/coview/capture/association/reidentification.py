"""Re-identification in 3D of people who were out of sight of all cameras for a moment."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from coview.geometry.triangulation.undistorted import triangulate_undistorted

# frames that somebody may be out of sight
_GAP = 75
# body heights from the predicted place
_NEAR = 0.35
# body heights more per frame out of sight
_STRAYS = 0.02
# frames at either end of a stretch that its place and velocity are taken from
_ENDS = 8
_NEVER = 1e6


@dataclass(frozen=True)
class _Stretch:
    """Where and when one person was first and last seen by two views."""

    person: int
    first: int
    last: int
    # world units, where the person is in the first frame
    start: Float[np.ndarray, "3"]
    # world units, in the last frame
    end: Float[np.ndarray, "3"]
    # world units per frame, at the end
    velocity: Float[np.ndarray, "3"]
    # extent of the body, world units
    height: float


def rejoin_people(
    pixels: Float[Tensor, "views frames people joints 2"],
    people: Int[Tensor, "views frames people"],
    projections: Float[Tensor, "views 3 4"],
) -> Int[Tensor, "views frames people"]:
    """Merge people of whom one ends where, and when, another begins: they were out of sight of all cameras for a
    moment.

    Ends are joined to later beginnings where that takes the least distance in all (Hungarian method).

    Args:
        pixels: 2D detections, undistorted pixels, NaN where not seen.
        people: The person of every detection, from 0; -1: nobody.
        projections: World to pixels; the unit of the world does not matter, since distances are in body heights.

    Returns:
        `people`, with the numbers of those who follow each other made one.
    """
    stretches = [
        found
        for person in people[people >= 0].unique()
        if (found := _stretch(pixels, people, int(person), projections))
    ]
    if len(stretches) < 2:
        return people
    cost = np.array([[_way(before, after) for after in stretches] for before in stretches])
    same = {stretch.person: stretch.person for stretch in stretches}
    for before, after in sorted(
        zip(*linear_sum_assignment(cost), strict=True), key=lambda pair: stretches[pair[0]].first
    ):
        if cost[before, after] < _NEVER:
            same[stretches[after].person] = same[stretches[before].person]
    whole = people.clone()
    for person, root in same.items():
        whole[people == person] = root
    return whole


def _way(before: _Stretch, after: _Stretch) -> float:
    gap = after.first - before.last
    if not 0 < gap <= _GAP:
        return _NEVER
    expected = before.end + before.velocity * min(gap, _ENDS)
    way = min(float(np.linalg.norm(after.start - place)) for place in (expected, before.end)) / before.height
    return way if way <= _NEAR + _STRAYS * gap else _NEVER


def _stretch(
    pixels: Tensor, people: Int[Tensor, "views frames people"], person: int, projections: Tensor
) -> _Stretch | None:
    """Where somebody begins and ends to be seen; None where too little of them is known in 3D."""
    mine = people == person
    twice = (mine.any(dim=-1).sum(dim=0) >= 2).nonzero()[:, 0]
    if len(twice) < 2:
        return None
    first, last = (
        _places(pixels, mine, twice[:_ENDS], projections),
        _places(pixels, mine, twice[-_ENDS:], projections),
    )
    if len(first[0]) < 2 or len(last[0]) < 2:
        return None
    velocity = (last[1][-1] - last[1][0]) / (last[0][-1] - last[0][0])
    ever = mine.any(dim=-1).any(dim=0).nonzero()[:, 0]
    return _Stretch(
        person, int(ever[0]), int(ever[-1]), first[1][0], last[1][-1], velocity, float(np.median(last[2]))
    )


def _places(
    pixels: Tensor, mine: Tensor, frames: Int[Tensor, "some"], projections: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the frames in which it is known: number, median joint, and extent of the body."""
    here = mine[:, frames]
    place = here.int().argmax(dim=-1)
    own = pixels[:, frames].gather(
        2, place[..., None, None, None].expand(*place.shape, 1, *pixels.shape[3:])
    )[:, :, 0]
    seen = own.isfinite().all(dim=-1) & here.any(dim=-1)[..., None]
    points = triangulate_undistorted(own.transpose(0, 1).double(), projections, seen.transpose(0, 1).double())
    middle = points.nanmedian(dim=1).values
    extent = 2 * (points - middle[:, None]).norm(dim=-1).nan_to_num(0.0).quantile(0.9, dim=1)
    valid = middle.isfinite().all(dim=-1) & (extent > 0)
    return frames[valid].numpy(), middle[valid].numpy(), extent[valid].numpy()
