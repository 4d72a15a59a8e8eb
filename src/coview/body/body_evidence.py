"""What reconstructed bodies say about the world they are in: its unit, its vertical, and whether it is mirrored.

Needs no truth: a person has constant and equal limbs, is one to two metres tall, mostly stands on the feet, and bends
the knees forward.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.stature_scale import BONE_SHARES
from coview.skeletons import Skeleton

# frames with a known limb that it takes to judge it
_FEW = 10
# a cue of where forward is, as a share of the limb or trunk that it is on; less than that says nothing
_CLEAR = 0.06
# cues that it takes to call a body mirrored
_CUES = 30


@dataclass(frozen=True)
class BodyEvidence:
    """Measures of one reconstructed person; NaN where the joints do not tell."""

    # metres: the stature that the limbs imply [Drillis66]
    stature: float
    # robust standard deviation of a limb's length over time, as a share of it: median over limbs
    limb_spread: float
    # |left - right| / mean of the limbs' median lengths: median over limbs
    asymmetry: float
    # unit vector from feet to hips or from hips to shoulders, mean over the take; short where it varies
    up: Float[Tensor, "3"]
    # share of the cues by which left and right are exchanged, or the world is mirrored
    mirrored: float


def body_evidence(points: Float[Tensor, "frames joints 3"], skeleton: Skeleton) -> BodyEvidence:
    """Measure a reconstructed person: stature, constancy and symmetry of limbs, vertical, chirality.

    Meaningless for fewer than ten frames with whole limbs: NaN.

    Args:
        points: joints in metres; NaN: unknown.
        skeleton: of the joints.

    Returns:
        The measures."""
    lengths, shares, sides = _limbs(points.double(), skeleton)
    median = lengths.nanmedian(dim=0).values
    known = lengths.isfinite().sum(dim=0) >= _FEW
    median = torch.where(known, median, torch.nan)
    deviation = 1.4826 * (lengths - median).abs().nanmedian(dim=0).values
    left, right = median[sides == 0], median[sides == 1]
    return BodyEvidence(
        float((median / shares).nanmedian()),
        float((deviation / median).nanmedian()),
        float((2 * (left - right).abs() / (left + right)).nanmedian()),
        _up(points.double(), skeleton),
        _mirrored(points.double(), skeleton),
    )


def _limbs(points: Tensor, skeleton: Skeleton) -> tuple[Tensor, Tensor, Tensor]:
    """Lengths over time, shares of stature and side (0: left, 1: right) of the limbs that the skeleton has in pairs."""
    lengths, shares, sides = [], [], []
    for (a, b), (share, _) in BONE_SHARES.items():
        if not {f"{side}_{end}" for side in ("left", "right") for end in (a, b)} <= set(skeleton.joints):
            continue
        for number, side in enumerate(("left", "right")):
            ends = [points[:, skeleton.index(f"{side}_{end}")] for end in (a, b)]
            lengths.append((ends[1] - ends[0]).norm(dim=-1))
            shares.append(share)
            sides.append(number)
    if not lengths:
        return points.new_full((len(points), 1), torch.nan), points.new_ones(1), torch.full((1,), 2)
    return torch.stack(lengths, dim=-1), points.new_tensor(shares), torch.tensor(sides)


def _middle(points: Tensor, skeleton: Skeleton, name: str) -> Tensor:
    """Between the left and the right joint of that name; NaN where the skeleton lacks them."""
    names = [f"{side}_{name}" for side in ("left", "right")]
    if not set(names) <= set(skeleton.joints):
        return points.new_full((len(points), 3), torch.nan)
    return sum(points[:, skeleton.index(each)] for each in names) / 2  # type: ignore[return-value]


def _up(points: Tensor, skeleton: Skeleton) -> Tensor:
    ankles, hips, shoulders = (_middle(points, skeleton, name) for name in ("ankle", "hip", "shoulder"))
    stance = torch.nn.functional.normalize(hips - ankles, dim=-1)
    trunk = torch.nn.functional.normalize(shoulders - hips, dim=-1)
    both = torch.cat([stance, trunk])
    both = both[both.isfinite().all(dim=-1)]
    return both.mean(dim=0) if len(both) >= _FEW else points.new_full((3,), torch.nan)


def _mirrored(points: Tensor, skeleton: Skeleton) -> float:
    """Share of the frames' cues in which what should be in front of the body is behind it, given left and up."""
    hips, shoulders = _middle(points, skeleton, "hip"), _middle(points, skeleton, "shoulder")
    if "left_hip" not in skeleton.joints or "left_shoulder" not in skeleton.joints:
        return float("nan")
    across = sum(
        points[:, skeleton.index(f"left_{name}")] - points[:, skeleton.index(f"right_{name}")]
        for name in ("hip", "shoulder")
    )
    ahead = torch.nn.functional.normalize(torch.linalg.cross(across, shoulders - hips), dim=-1)
    cues = [_cue(vector, length, ahead) for vector, length in _forward(points, skeleton)]
    every = torch.cat([cue[cue.isfinite()] for cue in cues]) if cues else points.new_zeros(0)
    return float((every < 0).double().mean()) if len(every) >= _CUES else float("nan")


def _forward(points: Tensor, skeleton: Skeleton) -> list[tuple[Tensor, Tensor]]:
    """Vectors that point forward, and the length that each is compared with: flexed knees, feet."""
    found = []
    for side in ("left", "right"):
        names = [f"{side}_{name}" for name in ("hip", "knee", "ankle")]
        if set(names) <= set(skeleton.joints):
            hip, knee, ankle = (points[:, skeleton.index(name)] for name in names)
            found.append((knee - (hip + ankle) / 2, (hip - ankle).norm(dim=-1)))
        if {f"{side}_heel", f"{side}_big_toe"} <= set(skeleton.joints):
            foot = points[:, skeleton.index(f"{side}_big_toe")] - points[:, skeleton.index(f"{side}_heel")]
            found.append((foot, foot.norm(dim=-1)))
    return found


def _cue(vector: Tensor, length: Tensor, ahead: Tensor) -> Tensor:
    """Component ahead as a share of a length; NaN where it is too small to tell."""
    share = (vector * ahead).sum(dim=-1) / length
    return torch.where(share.abs() > _CLEAR, share, torch.nan)
