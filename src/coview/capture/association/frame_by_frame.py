"""People told apart in every frame by itself, with calibrated cameras: photographs, and frames far apart in time.

Nobody can be followed from such a frame to the next. Who is one person within a frame follows from the cameras; who it
is in another frame, from the lengths of the limbs and, as far as people stay, from the place.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from coview.capture.association.epipolar_affinity import epipolar_errors, frame_affinity, typical_error
from coview.capture.association.multicut import greedy_edge_contraction
from coview.geometry.triangulation.undistorted import triangulate_robust_undistorted

# share of detections that continue a track, below which frames are too far apart to follow people
_FOLLOWED = 0.5
# relative difference of the lengths of limbs of one person in two frames
_SAME_LENGTHS = 0.02
# of it: a person whose limbs differ by more is somebody else
_ANOTHER = 7.0
# of the distance of a joint from the middle of a body: a detection farther from its point than this is wrong
_WRONG = 0.15
# bones that are compared, at least
_FEWEST = 4
# body sizes in 3D that count as much as `_SAME_LENGTHS`; more of them do not count
_WAY = 1.0


def frames_far_apart(tracks: Int[Tensor, "views frames people"]) -> bool:
    """Whether frames are so far apart in time that people cannot be followed from one to the next.

    Args:
        tracks: Track of every detection; -1: none.

    Returns:
        True also for a single frame.
    """
    if tracks.shape[1] < 2:
        return True
    before, after = tracks[:, :-1], tracks[:, 1:]
    could = torch.minimum((before >= 0).sum(dim=-1), (after >= 0).sum(dim=-1)).sum()
    continued = ((before[..., None] == after[..., None, :]) & (before >= 0)[..., None]).sum()
    return bool(could) and float(continued) < _FOLLOWED * float(could)


def people_frame_by_frame(
    pixels: Float[Tensor, "views frames people joints 2"],
    small: Float[Tensor, "views frames people joints 2"],
    fundamentals: dict[tuple[int, int], Float[Tensor, "3 3"]],
    projections: Float[Tensor, "views 3 4"],
    bones: Sequence[tuple[int, int]] = (),
) -> Int[Tensor, "views frames people"]:
    """Match the people of every frame across views, and give them the same numbers in all frames as far as can be told.

    Args:
        pixels: 2D detections, undistorted pixels, NaN where not seen.
        small: The same in body sizes of each view.
        fundamentals: Per pair of views (a, b), a < b: F of points in body sizes, b̃ᵀ F ã = 0.
        projections: World to pixels.
        bones: Pairs of joints whose distance is that of a person; none: people are recognised by their place alone.

    Returns:
        The person (from 0) of every detection; -1: seen by one view alone.
    """
    affinity = {}
    for (a, b), matrix in fundamentals.items():
        error = epipolar_errors(matrix, small[a], small[b])
        affinity[a, b] = frame_affinity(error, typical_error(error)).numpy()
    there = small.isfinite().all(dim=-1).any(dim=-1)
    ids = torch.full(there.shape, -1)
    known: list[_Known] = []
    for frame in range(there.shape[1]):
        groups = _grouped(there[:, frame], {pair: value[frame] for pair, value in affinity.items()})
        bodies = [_body(pixels[:, frame], group, projections) for group in groups]
        for group, person in zip(groups, _recognised(bodies, known, bones), strict=True):
            for view, place in group:
                ids[view, frame, place] = person
    return ids


class _Known:
    """What is known of a person so far."""

    def __init__(self) -> None:
        self.lengths: list[np.ndarray] = []
        self.pose = np.zeros((0, 3))

    def add(self, pose: np.ndarray, bones: Sequence[tuple[int, int]]) -> None:
        self.pose = pose
        self.lengths.append(_lengths(pose, bones))

    def unlike(self, pose: np.ndarray, bones: Sequence[tuple[int, int]]) -> float:
        """How much the lengths of limbs differ, in units of what one person's do; 0 where nothing is comparable."""
        if not bones:
            return 0.0
        ratio = np.log(_lengths(pose, bones) / np.stack(self.lengths))
        ratio = ratio[np.isfinite(ratio)]
        return abs(float(np.median(ratio))) / _SAME_LENGTHS if len(ratio) >= _FEWEST else 0.0

    def away(self, pose: np.ndarray) -> float:
        """Distance from where the person was last, in body sizes, at most `_WAY`."""
        apart = np.linalg.norm(np.nanmedian(pose, axis=0) - np.nanmedian(self.pose, axis=0))
        size = np.linalg.norm(np.nanmax(pose, axis=0) - np.nanmin(pose, axis=0))
        return min(float(apart) / max(float(size), 1e-9), _WAY) if np.isfinite(apart) else _WAY


def _recognised(bodies: list[np.ndarray], known: list[_Known], bones: Sequence[tuple[int, int]]) -> list[int]:
    """The number of each body: that of a known person, or the next ones."""
    usable = np.array([bool(np.isfinite(body).all(axis=-1).any()) for body in bodies], dtype=bool)
    people = [-1] * len(bodies)
    cost = np.full((len(bodies), len(known)), 1e3)
    for row, body in enumerate(bodies):
        for column, who in enumerate(known):
            unlike = who.unlike(body, bones) if usable[row] else _ANOTHER
            if unlike < _ANOTHER:
                cost[row, column] = unlike + who.away(body)
    for row, column in zip(*linear_sum_assignment(cost), strict=True):
        if cost[row, column] < 1e3:
            people[row] = int(column)
    for row, body in enumerate(bodies):
        if not usable[row]:
            continue
        if people[row] < 0:
            people[row] = len(known)
            known.append(_Known())
        known[people[row]].add(body, bones)
    return people


def _grouped(there: Tensor, affinity: dict[tuple[int, int], np.ndarray]) -> list[list[tuple[int, int]]]:
    """The detections of one frame (view, place) that show one person; those of one view alone are left out."""
    nodes = [(int(view), int(place)) for view, place in there.nonzero().tolist()]
    weights = np.full((len(nodes), len(nodes)), -np.inf)
    for row, (view, place) in enumerate(nodes):
        for column in range(row + 1, len(nodes)):
            other, beside = nodes[column]
            if view != other and (view, other) in affinity:
                weights[row, column] = weights[column, row] = affinity[view, other][place, beside]
    groups = [[nodes[index] for index in group] for group in greedy_edge_contraction(weights)]
    return sorted((group for group in groups if len(group) > 1), key=len, reverse=True)


def _body(
    pixels: Float[Tensor, "views people joints 2"], group: list[tuple[int, int]], projections: Tensor
) -> np.ndarray:
    """Joints in space, (joints, 3), NaN where unknown; the unit of the world does not matter."""
    views = [view for view, _ in group]
    own = torch.stack([pixels[view, place] for view, place in group]).double()
    size = float((own - own.nanmedian(dim=1, keepdim=True).values).norm(dim=-1).nanmedian())
    seen = own.isfinite().all(dim=-1).double()
    found = triangulate_robust_undistorted(own, projections[views], seen, threshold=_WRONG * max(size, 1e-9))
    return found.points.numpy()


def _lengths(pose: np.ndarray, bones: Sequence[tuple[int, int]]) -> np.ndarray:
    if not len(bones):
        return np.zeros(0)
    ends = np.asarray(bones)
    lengths: np.ndarray = np.linalg.norm(pose[ends[:, 0]] - pose[ends[:, 1]], axis=-1)
    return lengths
