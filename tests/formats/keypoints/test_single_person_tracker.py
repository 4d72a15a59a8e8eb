"""Following one person: the fast way equals the textbook one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.formats.keypoints.single_person_tracker import _GROWTH, _REACH, _SAME_SIZE, follow


def crowd(seed: int, frames: int, people: int) -> tuple[torch.Tensor, torch.Tensor]:
    """People of several sizes who drift about, in mixed order, with joints and whole people missing."""
    random = torch.Generator().manual_seed(seed)
    body = torch.rand(people, 6, 2, generator=random) * 60 * (1 + torch.arange(people))[:, None, None]
    walk = torch.randn(frames, people, 1, 2, generator=random).cumsum(0) * 4
    joints = body + walk + torch.rand(1, people, 1, 2, generator=random) * 200
    joints[torch.rand(frames, people, 6, generator=random) < 0.2] = torch.nan
    joints[torch.rand(frames, people, generator=random) < 0.2] = torch.nan
    order = torch.rand(frames, people, generator=random).argsort(dim=1)
    joints = joints.gather(1, order[..., None, None].expand(-1, -1, 6, 2))
    return joints, torch.where(joints.isfinite().all(dim=-1), 0.8, 0.0)


def box(pose: torch.Tensor) -> float:
    seen = pose[pose.isfinite().all(dim=-1)]
    return float((seen.amax(dim=0) - seen.amin(dim=0)).norm()) if len(seen) else 0.0


def textbook(joints: torch.Tensor, confidence: torch.Tensor) -> list[int]:
    """One frame, one person at a time."""
    frames, people = joints.shape[:2]
    chosen = [-1] * frames
    scores = [
        (float(confidence[f, p].sum()) * box(joints[f, p]), f, p)
        for f in range(frames)
        for p in range(people)
    ]
    score, start, person = max(scores, key=lambda entry: entry[0])
    if score <= 0:
        return chosen
    chosen[start] = person
    for order in (range(start + 1, frames), range(start - 1, -1, -1)):
        last, missed = joints[start, person], 0
        for f in order:
            best, who = float("inf"), -1
            for p in range(people):
                both = (joints[f, p].isfinite() & last.isfinite()).all(dim=-1)
                if not bool(both.any()):
                    continue
                distance = float((joints[f, p] - last)[both].norm(dim=-1).median())
                a, b = box(last[both]), box(joints[f, p][both])
                alike = a == b == 0 or (a > 0 and 1 / _SAME_SIZE < b / a < _SAME_SIZE)
                if distance <= (_REACH + _GROWTH * missed) * box(last) and alike and distance < best:
                    best, who = distance, p
            if who < 0:
                missed += 1
            else:
                chosen[f], last, missed = who, joints[f, who], 0
    return chosen


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(2, 4))
@settings(deadline=None, max_examples=40)
def test_equals_the_textbook(seed, frames, people):
    joints, confidence = crowd(seed, frames, people)
    assert follow(joints, confidence).tolist() == textbook(joints, confidence)


def test_a_single_person_is_followed_wherever_seen():
    joints, confidence = crowd(0, 8, 1)
    seen = (confidence > 0).any(dim=-1)[:, 0]
    assert follow(joints, confidence).tolist() == [0 if one else -1 for one in seen.tolist()]


def test_nobody():
    assert follow(torch.full((3, 2, 4, 2), torch.nan), torch.zeros(3, 2, 4)).tolist() == [-1, -1, -1]


def test_a_long_absence():
    """Longer than one block of frames; the other person who stays is never taken."""
    body = torch.rand(6, 2, generator=torch.Generator().manual_seed(1)) * 100
    joints = torch.stack([body, body * 0.3 + 500]).repeat(3000, 1, 1, 1)
    joints[10:2500, 0] = torch.nan
    found = follow(joints, joints.isfinite().all(dim=-1).float())
    assert (found[10:2500] == -1).all()
    assert (found[:10] == 0).all()
    assert (found[2500:] == 0).all()
