"""Plausibility of a motion capture skeleton: stature, trunk, handedness, vertical axis. All in MOCAP_19, +Y up."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import ANKLE_HEIGHT
from coview.skeletons import MOCAP_19

# range of statures in metres, from a child of seven to the tallest of players
STATURE = (1.2, 2.2)
# Pelvis to the root of the neck, over hip to ankle: 0.50 to 0.60 over 11 skeletons of CMU, and 0.37 to 0.44 where
# the bone `thorax` is missing (measured on the prepared CMU clips).
TRUNK_TO_LEG = 0.47
# Joints that one bone connects; the others have a joint of the original skeleton between them.
_JOINTED = ("spine", "nose", "left_toe", "right_toe")
RIGID = tuple(
    (MOCAP_19.index(parent), MOCAP_19.index(child))
    for parent, child in MOCAP_19.bones
    if child not in _JOINTED
)


def _length(points: Tensor, *joints: str) -> Tensor:
    """Length of a chain of joints, per frame."""
    chain = points[..., [MOCAP_19.index(joint) for joint in joints], :]
    return chain.diff(dim=-2).norm(dim=-1).sum(dim=-1)


def leg_length(points: Float[Tensor, "frames joints 3"]) -> float:
    """Hip to ankle over the knee: mean of both sides, median over the frames.

    Args:
        points: joints, any unit."""
    sides = [_length(points, f"{side}_hip", f"{side}_knee", f"{side}_ankle") for side in ("left", "right")]
    return float((sum(sides) / 2).nanmedian())  # type: ignore[union-attr]


def stature(points: Float[Tensor, "frames joints 3"]) -> float:
    """Standing height from bone lengths, whatever the pose: legs, trunk and head stretched, plus the ankle's height.

    The ankle is 0.039 of stature above the floor [Winter09 fig. 4.1]. CMU's people come out at 1.56 to 1.70 m, a little
    short, because their skeleton ends below the crown.

    Args:
        points: joints, any unit.

    Returns:
        In the unit of `points`."""
    upper = float(_length(points, "pelvis", "spine", "thorax", "nose", "head_top").nanmedian())
    return (leg_length(points) + upper) / (1 - ANKLE_HEIGHT)


def trunk_to_leg(points: Float[Tensor, "frames joints 3"]) -> float:
    """Pelvis to thorax over the spine, divided by hip to ankle. Below TRUNK_TO_LEG a bone is missing.

    Args:
        points: joints, any unit."""
    return float(_length(points, "pelvis", "spine", "thorax").nanmedian()) / leg_length(points)


def bone_spread(points: Float[Tensor, "frames joints 3"]) -> float:
    """Variation of the lengths of rigid bones: the worst bone's 95th percentile of |length - median|.

    Args:
        points: joints, any unit.

    Returns:
        In the unit of `points`."""
    lengths = torch.stack([(points[:, a] - points[:, b]).norm(dim=-1) for a, b in RIGID])
    return float((lengths - lengths.median(dim=-1, keepdim=True).values).abs().quantile(0.95, dim=-1).max())


def knee_forward(points: Float[Tensor, "frames joints 3"]) -> float:
    """Mean distance of the knees in front of the line from hip to ankle; negative for a reflected body.

    Forward is left × up of the body itself (hips, pelvis to thorax), so that the sign holds in any orientation.
    Reflecting the world, or exchanging left and right, changes the sign, because knees flex one way only. It says
    little where legs stay straight; toes, which point forward, are averaged with the knees.

    Args:
        points: joints, any unit.

    Returns:
        In the unit of `points`."""
    at = {joint: points[:, number] for number, joint in enumerate(MOCAP_19.joints)}
    forward = torch.linalg.cross(at["left_hip"] - at["right_hip"], at["thorax"] - at["pelvis"])
    forward = torch.nn.functional.normalize(forward, dim=-1)
    ahead = [
        at[f"{side}_knee"]
        - (at[f"{side}_hip"] + at[f"{side}_ankle"]) / 2
        + at[f"{side}_toe"]
        - at[f"{side}_ankle"]
        for side in ("left", "right")
    ]
    return float(((ahead[0] + ahead[1]) / 4 * forward).sum(dim=-1).nanmean())


def up_axis(points: Float[Tensor, "frames joints 3"]) -> str:
    """The axis along which the head is above the ankles most of the time, as "+Y".

    Args:
        points: joints, any unit."""
    at = points[:, MOCAP_19.index("head_top")] - points[
        :, list(map(MOCAP_19.index, ("left_ankle", "right_ankle")))
    ].mean(1)
    middle = at.nanmedian(dim=0).values
    axis = int(middle.abs().argmax())
    return ("+" if middle[axis] > 0 else "-") + "XYZ"[axis]
