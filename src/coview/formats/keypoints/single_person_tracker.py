"""Track one person through the frames of one view by nearest neighbours."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# distance that a person may move between two frames, in body sizes
_REACH = 0.3
# distance added for every frame in which nobody was found, in body sizes
_GROWTH = 0.1
# a person does not grow by more than this factor between two frames
_SAME_SIZE = 2.0
# frames compared at once, which bounds the memory
_BLOCK = 1024


def follow(
    joints: Float[Tensor, "frames people joints 2"], confidence: Float[Tensor, "frames people joints"]
) -> Int[Tensor, "frames"]:
    """Index of the tracked person in each frame of one view.

    Starts where one person's confidence × size is greatest, and goes forward and backward from there to the nearest
    person each time; one that is farther away than a person moves, or of another size, is taken for somebody else.

    Args:
        joints: Shape (frames, people, joints, 2), pixels; NaN: not seen.
        confidence: Shape (frames, people, joints).

    Returns:
        Shape (frames,): index among the people; -1 where the person is absent.
    """
    if joints.shape[1] == 1:
        return torch.where((confidence > 0).any(dim=-1)[:, 0], 0, -1)
    score = confidence.sum(dim=-1) * _size(joints)
    if not bool((score > 0).any()):
        return torch.full((len(joints),), -1, dtype=torch.long)
    start, person = divmod(int(score.flatten().argmax()), joints.shape[1])
    backward = _forward(joints[: start + 1].flip(0), person)
    return torch.cat([backward.flip(0), _forward(joints[start:], person)[1:]])


def _forward(joints: Float[Tensor, "frames people joints 2"], person: int) -> Int[Tensor, "frames"]:
    """The same from a person of the first frame on."""
    blocks = zip(joints[:-1].split(_BLOCK), joints[1:].split(_BLOCK), strict=True)
    links = [row for now, then in blocks for row in _nearest(now, then, torch.zeros(len(now))).tolist()]
    chosen = torch.full((len(joints),), -1, dtype=torch.long)
    frame, chosen[0] = 0, person
    while frame < len(links):
        step, following = 1, links[frame][person]
        if following < 0:
            step, following = _reappears(joints[frame, person], joints[frame + 1 :])
        if following < 0:
            break
        frame, person = frame + step, following
        chosen[frame] = person
    return chosen


def _reappears(
    last: Float[Tensor, "joints 2"], later: Float[Tensor, "frames people joints 2"]
) -> tuple[int, int]:
    """In how many frames somebody near `last` is seen again, and who; (0, -1) if never."""
    for start in range(0, len(later), _BLOCK):
        block = later[start : start + _BLOCK]
        missed = torch.arange(start, start + len(block))
        who = _nearest(last.expand(len(block), 1, -1, -1), block, missed.to(last.dtype))[:, 0]
        if bool((who >= 0).any()):
            first = int((who >= 0).int().argmax())
            return start + first + 1, int(who[first])
    return 0, -1


def _nearest(
    now: Float[Tensor, "frames people joints 2"],
    then: Float[Tensor, "frames others joints 2"],
    missed: Float[Tensor, "frames"],
) -> Int[Tensor, "frames people"]:
    """For each of `now` the nearest of `then`, or -1 where nobody is near enough and alike."""
    a, b = now[:, :, None], then[:, None]
    # NaN: no joint in common
    distance = (a - b).norm(dim=-1).nanmedian(dim=-1).values
    reach = (_REACH + _GROWTH * missed)[:, None] * _size(now)
    distance = torch.where((distance <= reach[..., None]) & _alike(a, b), distance, torch.inf)
    least, who = distance.min(dim=-1)
    return torch.where(least.isfinite(), who, -1)


def _alike(
    a: Float[Tensor, "*#batch joints 2"], b: Float[Tensor, "*#batch joints 2"]
) -> Bool[Tensor, "*out"]:
    """Whether two people are about equally large, over the joints that both have."""
    both = a.isfinite() & b.isfinite()
    growth = _size(torch.where(both, b, torch.nan)) / _size(torch.where(both, a, torch.nan))
    # NaN: a single joint
    return (growth < _SAME_SIZE) & (growth > 1 / _SAME_SIZE) | growth.isnan()


def _size(joints: Float[Tensor, "*batch joints 2"]) -> Float[Tensor, "*batch"]:
    """Diagonal of the box around the joints that are there, pixels; 0 where fewer than two are."""
    seen = joints.isfinite()
    low = torch.where(seen, joints, torch.inf).amin(dim=-2)
    high = torch.where(seen, joints, -torch.inf).amax(dim=-2)
    return (high - low).clamp(min=0).nan_to_num(0.0, 0.0, 0.0).norm(dim=-1)
