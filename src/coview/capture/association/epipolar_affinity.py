"""Affinity of two tracks of two cameras: how well their joints fit the epipolar geometry."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.geometry.epipolar.relative_pose import sampson_distance

# frames whose affinities are summed
BLOCK = 10
# factor by which the affinity of a block counts in the next one, either way in time
DECAY = 0.6
# joints that two detections must share to be compared
LEAST_JOINTS = 4
# times the typical error of a right pair: there the affinity is 0
NEUTRAL_ERROR = 3.0
# lower bound of a frame's affinity: a track that changes person must be cut where it does
_AGAINST = -1.0
# body sizes: no detector agrees better with itself
LEAST_ERROR = 0.004


@dataclass(frozen=True)
class Affinities:
    """Affinities over time of every pair of tracks of two views that were ever seen at once."""

    # numbers of two tracks, the smaller first
    pairs: Int[np.ndarray, "pairs 2"]
    # per pair: the block at which its `values` start
    first: Int[np.ndarray, "pairs"]
    # per pair: affinity in every block from `first` on, smoothed over time
    values: tuple[np.ndarray, ...]


def body_sizes(joints: Float[Tensor, "views frames people joints 2"]) -> Float[Tensor, "views"]:
    """Median diagonal of the box around a person in each view.

    Args:
        joints: 2D detections, pixels, NaN where not seen.

    Returns:
        Pixels; 1 where a view sees nobody.
    """
    valid = joints.isfinite()
    low = torch.where(valid, joints, torch.inf).amin(dim=-2)
    high = torch.where(valid, joints, -torch.inf).amax(dim=-2)
    size = (high - low).norm(dim=-1).flatten(1)
    size = torch.where(size.isfinite() & (size > 0), size, torch.nan)
    return size.nanmedian(dim=1).values.nan_to_num(1.0)


def epipolar_errors(
    fundamental: Float[Tensor, "3 3"],
    a: Float[Tensor, "frames people joints 2"],
    b: Float[Tensor, "frames others joints 2"],
) -> Float[Tensor, "frames people others"]:
    """Median Sampson distance of the joints that two detections of one instant share [HZ04 §11.4.3].

    Args:
        fundamental: F of the two views, b̃ᵀ F ã = 0.
        a: Detections in the first view, undistorted, in the unit that `fundamental` is for.
        b: Detections in the second view, likewise.

    Returns:
        Error of every pair, in the unit of the points; NaN where they share fewer than `LEAST_JOINTS`.
    """
    one, other = torch.broadcast_tensors(a[:, :, None], b[:, None])
    distance = sampson_distance(fundamental, one, other)
    enough = distance.isfinite().sum(dim=-1) >= LEAST_JOINTS
    return torch.where(enough, distance.nanmedian(dim=-1).values, torch.nan)


def typical_error(error: Float[Tensor, "frames people others"]) -> float:
    """Epipolar error that right pairs typically have, without knowing which pairs are right.

    Args:
        error: Errors of all pairs of an instant, as `epipolar_errors` gives them.

    Returns:
        Median over detections of the best partner's error, at least `LEAST_ERROR`.
    """
    least = torch.where(error.isnan(), torch.inf, error).amin(dim=-1)
    least = least[least.isfinite()]
    return max(LEAST_ERROR, float(least.median())) if len(least) else LEAST_ERROR


def frame_affinity(error: Float[Tensor, "*any"], typical: float) -> Float[Tensor, "*any"]:
    """Affinity of a pair in one frame by its epipolar error.

    Args:
        error: Epipolar errors; NaN: cannot be compared.
        typical: The error that right pairs typically have, in the same unit.

    Returns:
        1 for no error, 0 at `NEUTRAL_ERROR` times the typical one, never below -1; 0 for NaN.
    """
    return (1 - (error / (NEUTRAL_ERROR * typical)).square()).clamp(min=_AGAINST).nan_to_num(0.0)


def track_affinities(
    joints: Float[Tensor, "views frames people joints 2"],
    track_ids: Int[Tensor, "views frames people"],
    fundamentals: dict[tuple[int, int], Float[Tensor, "3 3"]],
) -> Affinities:
    """Affinities of the tracks of all pairs of views whose fundamental matrix is given.

    Cost: linear in frames, quadratic in views.

    Args:
        joints: 2D detections, undistorted and in the unit of the matrices, NaN where not seen.
        track_ids: The track of every detection; no two views share a number; -1: none.
        fundamentals: Per pair of views (a, b), a < b: F with b̃ᵀ F ã = 0.

    Returns:
        Per pair of tracks, the affinity in every block of frames, smoothed over time.
    """
    blocks = -(-joints.shape[1] // BLOCK)
    several = int(track_ids.max()) + 1
    keys, weights = [], []
    for a, b in combinations(range(len(joints)), 2):
        if (a, b) not in fundamentals:
            continue
        error = epipolar_errors(fundamentals[a, b], joints[a], joints[b])
        value = frame_affinity(error, typical_error(error))
        both = (track_ids[a] >= 0)[:, :, None] & (track_ids[b] >= 0)[:, None] & error.isfinite()
        frame, place, other = both.nonzero(as_tuple=True)
        pair = track_ids[a][frame, place] * several + track_ids[b][frame, other]
        keys.append(pair * blocks + frame // BLOCK)
        weights.append(value[both])
    if not keys:
        return Affinities(np.zeros((0, 2), dtype=int), np.zeros(0, dtype=int), ())
    distinct, place = torch.cat(keys).unique(return_inverse=True)
    total = torch.zeros(len(distinct), dtype=torch.float64).index_add_(0, place, torch.cat(weights).double())
    return _smoothed(distinct.numpy(), total.numpy(), blocks, several)


def _smoothed(keys: np.ndarray, values: np.ndarray, blocks: int, several: int) -> Affinities:
    """Affinities of each pair smoothed over blocks by an exponential filter that runs both ways."""
    pair, block = np.divmod(keys, blocks)
    starts = np.flatnonzero(np.r_[True, np.diff(pair) > 0])
    rows, first = [], []
    for start, end in zip(starts, np.r_[starts[1:], len(keys)], strict=True):
        low, high = block[start], block[end - 1]
        row = np.zeros(high - low + 1)
        row[block[start:end] - low] = values[start:end]
        rows.append(_two_sided(row))
        first.append(low)
    return Affinities(np.stack(np.divmod(pair[starts], several), axis=1), np.array(first), tuple(rows))


def _two_sided(row: np.ndarray) -> np.ndarray:
    """Sum over all blocks of value × `DECAY` to the power of the distance in blocks."""
    forward, backward = row.astype(float), row.astype(float)
    for block in range(1, len(row)):
        forward[block] += DECAY * forward[block - 1]
        backward[-1 - block] += DECAY * backward[-block]
    return forward + backward - row
