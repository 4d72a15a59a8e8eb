"""What a motion capture skeleton of a person must look like: stature, trunk, side, up. All in MOCAP_19, +Y up."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import ANKLE_HEIGHT
from coview.skeletons import MOCAP_19

# metres, from a child of seven to the tallest of players
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
    """Hip to ankle over the knee, mean of the sides, median over the frames; the unit of `points`."""
    sides = [_length(points, f"{side}_hip", f"{side}_knee", f"{side}_ankle") for side in ("left", "right")]
    return float((sum(sides) / 2).nanmedian())  # type: ignore[union-attr]


def stature(points: Float[Tensor, "frames joints 3"]) -> float:
    """Standing height from the bones, whatever the pose: legs, trunk and head stretched out, and the ankle's height.

    The ankle is 0.039 of stature above the floor [Winter09 fig. 4.1]. CMU's people come out at 1.56 to 1.70 m,
    a little short, because their skeleton ends below the crown. The unit of `points`."""
    upper = float(_length(points, "pelvis", "spine", "thorax", "nose", "head_top").nanmedian())
    return (leg_length(points) + upper) / (1 - ANKLE_HEIGHT)


def trunk_to_leg(points: Float[Tensor, "frames joints 3"]) -> float:
    """Pelvis to thorax over the spine, divided by hip to ankle; no unit. Below TRUNK_TO_LEG a bone is missing."""
    return float(_length(points, "pelvis", "spine", "thorax").nanmedian()) / leg_length(points)


def bone_spread(points: Float[Tensor, "frames joints 3"]) -> float:
    """How much the bones that cannot stretch vary: the worst bone's 95th percentile of |length - median|."""
    lengths = torch.stack([(points[:, a] - points[:, b]).norm(dim=-1) for a, b in RIGID])
    return float((lengths - lengths.median(dim=-1, keepdim=True).values).abs().quantile(0.95, dim=-1).max())


def knee_forward(points: Float[Tensor, "frames joints 3"]) -> float:
    """How far the knees are in front of the line from hip to ankle, mean; negative: the body is mirrored.

    Forward is left × up of the body itself (hips, pelvis to thorax), so that it holds lying and upside down.
    Mirroring the world, or swapping left with right, turns its sign, for knees bend one way only.
    Says little where legs stay straight: toes, which point forward, are counted with the knees."""
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
    """The axis along which the head is mostly above the ankles: +Y as a rule, another for who lies down."""
    at = points[:, MOCAP_19.index("head_top")] - points[
        :, list(map(MOCAP_19.index, ("left_ankle", "right_ankle")))
    ].mean(1)
    middle = at.nanmedian(dim=0).values
    axis = int(middle.abs().argmax())
    return ("+" if middle[axis] > 0 else "-") + "XYZ"[axis]
