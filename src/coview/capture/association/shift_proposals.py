"""Time shifts between two views at which people move alike: proposals, to be judged by geometry."""

from collections.abc import Sequence

import torch

from coview.capture.association.association import TrackedDetections
from coview.geometry.self_calibration.time_offset import (
    LEAST,
    Track2D,
    candidates,
    correlations,
    epipolar_errors,
)

# longest tracks of each view that are tried: cost is quadratic in them
_TRACKS = 4
# frames around a proposal, since a peak of the correlation is as wide as a movement is long
_NEARBY = (-6, -3, 0, 3, 6)
# proposals by movement, at most, and pairs of tracks by whose geometry they are ranked
_MOST, _PAIRINGS = 3, 3
# frames: proposals nearer to each other are one
_SAME = 4


def proposed_shifts(
    own: TrackedDetections, fps: float, most: int, implied: int, others: Sequence[int], *, thorough: bool
) -> list[int]:
    """Shifts between two views worth a look, the likeliest first.

    Args:
        own: What two views see.
        fps: Frames per second.
        most: Largest shift, frames.
        implied: The shift that other pairs of views imply, frames; 0: none.
        others: Further shifts to look at, frames, the likeliest first.
        thorough: Whether shifts at which people move alike are looked for.

    Returns:
        Frames by which the first view is ahead; none near 0.
    """
    kept: list[int] = []
    for shifts, count in (([implied], 1), (others, 2), (_alike(own, fps, most) if thorough else [], _MOST)):
        new = len(kept) + count
        for shift in shifts:
            if (
                len(kept) < new
                and _SAME < abs(shift) <= most
                and all(abs(shift - other) > _SAME for other in kept)
            ):
                kept.append(shift)
    return kept


def _alike(own: TrackedDetections, fps: float, most: int) -> list[int]:
    """Shifts at which tracks of both views move alike, ranked by how well one pair of tracks fits a geometry."""
    first, second = (_longest(own, view) for view in range(2))
    if not first or not second:
        return []
    signals = [[track.signal for track in view] for view in (first, second)]
    every = [
        [correlations(signals[0][i], signals[1][j], most, round(LEAST * fps)) for j in range(len(second))]
        for i in range(len(first))
    ]
    curves = torch.stack([torch.stack(row) for row in every])
    together = curves.nan_to_num(-2.0).amax(dim=1).sum(dim=0)
    peaks = torch.tensor([shift for shift, _ in candidates(together, most, fps)])
    if not len(peaks):
        return []
    near = (peaks[:, None] + torch.tensor(_NEARBY)).flatten().unique()
    near = near[near.abs() <= most]
    height = curves.nan_to_num(-2.0).amax(dim=-1)
    least = torch.full((len(near),), torch.inf, dtype=torch.float64)
    for index in height.flatten().argsort(descending=True)[:_PAIRINGS].tolist():
        i, j = divmod(index, len(second))
        least = torch.minimum(least, epipolar_errors(first[i], second[j], near).double())
    found: list[int] = []
    for shift in near[least.argsort()].tolist():
        if all(abs(shift - other) > max(_NEARBY) for other in found):
            found.append(shift)
        if len(found) == _MOST:
            break
    return found


def _longest(own: TrackedDetections, view: int) -> list[Track2D]:
    """The longest tracks of one view."""
    tracks, joints = own.tracks[view], own.joints[view].double()
    names, counts = tracks[tracks >= 0].unique(return_counts=True)
    found = []
    for track in names[counts.argsort(descending=True)[:_TRACKS]]:
        mine = (tracks == track)[..., None, None]
        # at most one of a frame's people is not NaN
        pixels = torch.where(mine, joints, torch.nan).nanmean(dim=1)
        found.append(Track2D(pixels, pixels.isfinite().all(dim=-1).double()))
    return found
