"""Following one person through the frames of one view."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_REACH = 0.3  # how far a person may move between frames, in body sizes ...
_GROWTH = 0.1  # ... and how much more for every frame in which nobody was found
_SAME_SIZE = 2.0  # a person does not grow by more than this factor between two frames


def follow(
    joints: Float[Tensor, "frames people joints 2"], confidence: Float[Tensor, "frames people joints"]
) -> Int[Tensor, "frames"]:
    """Which of the people is the followed one in each frame; -1 where nobody is.

    Starts where one person's confidence × size is greatest, and goes forward and backward from there to
    the nearest person each time; a person farther away than a body moves is taken for somebody else."""
    if joints.shape[1] == 1:
        return torch.where((confidence > 0).any(dim=-1)[:, 0], 0, -1)
    score = confidence.sum(dim=-1) * _size(joints)
    chosen = torch.full((len(joints),), -1, dtype=torch.long)
    if not bool((score > 0).any()):
        return chosen
    start, person = divmod(int(score.flatten().argmax()), joints.shape[1])
    chosen[start] = person
    _walk(joints, chosen, start, range(start + 1, len(joints)))
    _walk(joints, chosen, start, range(start - 1, -1, -1))
    return chosen


def _walk(joints: Tensor, chosen: Tensor, start: int, frames: range) -> None:
    """Fill `chosen` along `frames`, carrying the pose last seen."""
    last, missed = joints[start, chosen[start]], 0
    for frame in frames:
        reach = (_REACH + _GROWTH * missed) * _size(last)
        distance = (joints[frame] - last).norm(dim=-1).nanmedian(dim=-1).values
        likely = (distance <= reach) & _alike(joints[frame], last)  # NaN, no joint in common, is not
        distance = torch.where(likely, distance, torch.inf)
        nearest = int(distance.argmin())
        if not bool(distance[nearest].isfinite()):
            missed += 1
            continue
        chosen[frame] = nearest
        seen = joints[frame, nearest].isfinite()
        last, missed = torch.where(seen, joints[frame, nearest], last), 0


def _alike(
    people: Float[Tensor, "people joints 2"], last: Float[Tensor, "joints 2"]
) -> Bool[Tensor, "people"]:
    """Whether people are about as large as `last`, over the joints that both have."""
    both = people.isfinite() & last.isfinite()
    growth = _size(torch.where(both, people, torch.nan)) / _size(torch.where(both, last, torch.nan))
    return (growth < _SAME_SIZE) & (growth > 1 / _SAME_SIZE) | growth.isnan()  # NaN: a single joint


def _size(joints: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch"]:
    """Diagonal of the box around the joints that are there, pixels; 0 where fewer than two are."""
    seen = joints.isfinite()
    low = torch.where(seen, joints, torch.inf).amin(dim=-2)
    high = torch.where(seen, joints, -torch.inf).amax(dim=-2)
    return (high - low).clamp(min=0).nan_to_num(0.0, 0.0, 0.0).norm(dim=-1)
