"""How well 2D joints fit the order of a skeleton, whatever the pose and the camera.

A bone's picture is never longer than the bone, times one scale per person. So under the right order of joints the
bones are short beside the whole figure, and short in proportion to their lengths in a human body; under a wrong order
they join points that have nothing to do with one another. Nothing is assumed about which way is up, about the pose,
or about which joints are seen.
"""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import (
    FOREARM,
    HIP_HALF,
    LOWER_TRUNK,
    NOSE_FORWARD,
    NOSE_UP,
    SHANK,
    SHOULDER_DROP,
    SHOULDER_HALF,
    THIGH,
    UPPER_ARM,
    UPPER_TRUNK,
)
from coview.skeletons import Skeleton

# Detectors place a joint this many statures beside where it is; without it, bones of a few centimetres decide alone.
_PLACEMENT = 0.03
# a person counts where this many joints are seen
_FEWEST = 6
# people from which an exchange of two joints is told
_POSES = 8
# people looked at, evenly spread over the recording
_MOST = 1000

_THORAX = LOWER_TRUNK + UPPER_TRUNK
_NOSE = _THORAX + NOSE_UP
# legs are spread by 45°, so that the nearest joints are those that a bone joins
_SPREAD = 0.5**0.5
_KNEE = HIP_HALF + THIGH * _SPREAD
_ANKLE = _KNEE + SHANK * _SPREAD
_SOLE = -(THIGH + SHANK) * _SPREAD
_WRIST = SHOULDER_HALF + UPPER_ARM + FOREARM
_ARM_HEIGHT = _THORAX - SHOULDER_DROP

# A body with arms and legs spread: forward, left, up from the pelvis, in statures. Face, hands and feet are ours.
_MIDDLE = {
    "pelvis": (0.0, 0.0, 0.0),
    "spine": (0.0, 0.0, LOWER_TRUNK),
    "spine_2": (0.0, 0.0, LOWER_TRUNK + 0.35 * UPPER_TRUNK),
    "spine_3": (0.0, 0.0, LOWER_TRUNK + 0.68 * UPPER_TRUNK),
    "spine_4": (0.0, 0.0, LOWER_TRUNK + 0.88 * UPPER_TRUNK),
    "thorax": (0.0, 0.0, _THORAX),
    "neck": (0.0, 0.0, _THORAX + 0.015),
    "nose": (NOSE_FORWARD, 0.0, _NOSE),
    "head": (0.0, 0.0, _NOSE + 0.015),
    "head_top": (0.0, 0.0, _NOSE + 0.085),
}
_LEFT = {
    "eye_inner": (NOSE_FORWARD, 0.010, _NOSE + 0.020),
    "eye": (NOSE_FORWARD - 0.005, 0.018, _NOSE + 0.020),
    "eye_outer": (NOSE_FORWARD - 0.010, 0.026, _NOSE + 0.020),
    "ear": (0.0, 0.043, _NOSE + 0.010),
    "mouth": (NOSE_FORWARD - 0.010, 0.014, _NOSE - 0.025),
    "clavicle": (0.0, 0.030, _ARM_HEIGHT),
    "shoulder": (0.0, SHOULDER_HALF, _ARM_HEIGHT),
    "elbow": (0.0, SHOULDER_HALF + UPPER_ARM, _ARM_HEIGHT),
    "wrist": (0.0, _WRIST, _ARM_HEIGHT),
    "hand": (0.0, _WRIST + 0.050, _ARM_HEIGHT),
    "thumb": (0.020, _WRIST + 0.030, _ARM_HEIGHT),
    "index": (0.015, _WRIST + 0.055, _ARM_HEIGHT),
    "pinky": (-0.015, _WRIST + 0.050, _ARM_HEIGHT),
    "hip": (0.0, HIP_HALF, 0.0),
    "knee": (0.0, _KNEE, -THIGH * _SPREAD),
    "ankle": (0.0, _ANKLE, _SOLE),
    "heel": (-0.030, _ANKLE + 0.020, _SOLE - 0.030),
    "foot": (0.060, _ANKLE + 0.010, _SOLE - 0.030),
    "toe": (0.100, _ANKLE + 0.015, _SOLE - 0.030),
    "big_toe": (0.100, _ANKLE, _SOLE - 0.030),
    "small_toe": (0.085, _ANKLE + 0.040, _SOLE - 0.020),
}
_BODY = (
    _MIDDLE
    | {f"left_{name}": place for name, place in _LEFT.items()}
    | {f"right_{name}": (x, -y, z) for name, (x, y, z) in _LEFT.items()}
)


def can_be_checked(skeleton: Skeleton) -> bool:
    """Whether the places of a skeleton's joints in a human body are known here.

    Args:
        skeleton: The skeleton.

    Returns:
        Whether all of its joints are.
    """
    return set(skeleton.joints) <= _BODY.keys()


def people_seen(points: Float[Tensor, "*batch joints 3"]) -> Float[Tensor, "people joints 2"]:
    """The people that show enough joints to judge by, at most a thousand.

    Args:
        points: Shape (..., joints, 3): x, y in pixels, confidence; any number of views, frames and people.

    Returns:
        Shape (people, joints, 2): pixels; NaN where a joint is not seen.
    """
    flat = points.reshape(-1, *points.shape[-2:]).double()
    seen = flat.isfinite().all(dim=-1) & (flat[..., 2] > 0) & (flat[..., :2] != 0).any(dim=-1)
    pixels = torch.where(seen[..., None], flat[..., :2], torch.nan)
    # joints that are all in one place show nothing
    apart = (pixels - pixels.nanmean(dim=1, keepdim=True)).abs().nan_to_num(0.0).amax(dim=(1, 2)) > 0
    enough = ((seen.sum(dim=-1) >= _FEWEST) & apart).nonzero()[:, 0]
    return pixels[enough[:: max(1, len(enough) // _MOST)][:_MOST]]


def order_cost(people: Float[Tensor, "people joints 2"], skeleton: Skeleton) -> Float[Tensor, "people"]:
    """How badly people fit a skeleton's order of joints.

    The squared lengths of the bones' pictures, each relative to the bone's own, give the scale that the order implies;
    the cost is the logarithm of this scale (squared) relative to the size of the figure, made comparable between
    skeletons by the bones' mean log length (as the logarithm of a Gaussian likelihood is).

    Args:
        people: Shape (people, joints, 2): pixels; NaN: not seen.
        skeleton: One whose joints `can_be_checked` knows, as many as there are.

    Returns:
        Per person. About −3 to −1 for the right order, around 1 for a random one; NaN where no bone is seen.
    """
    return _cost(people, *_tree(skeleton.joints))


def best_exchange(
    people: Float[Tensor, "people joints 2"], skeleton: Skeleton
) -> tuple[float, tuple[str, str]]:
    """The two joints whose exchange would make the order of a skeleton fit best.

    Args:
        people: Shape (people, joints, 2): pixels; NaN: not seen.
        skeleton: One whose joints `can_be_checked` knows, as many as there are.

    Returns:
        By how much the cost falls (median over the people who show both; at most 0 for the right order, apart from
        noise), and the names of the two.
    """
    before, best = order_cost(people, skeleton), (-np.inf, ("", ""))
    for i in range(len(skeleton)):
        for j in range(i):
            both = people[:, (i, j)].isfinite().all(dim=-1).all(dim=-1)
            # a few people may be false detections, and one pose may deceive
            if int(both.sum()) < max(_POSES, len(people) // 10):
                continue
            order = list(range(len(skeleton)))
            order[i], order[j] = j, i
            gain = before[both] - order_cost(people[both][:, order], skeleton)
            best = max(best, (float(gain.nanmedian()), (skeleton.joints[j], skeleton.joints[i])))
    return best


def _cost(
    people: Float[Tensor, "people joints 2"], bones: Tensor, squared: Float[Tensor, "bones"]
) -> Float[Tensor, "people"]:
    ratio = (people[:, bones[0]] - people[:, bones[1]]).square().sum(dim=-1) / squared
    logs = torch.where(ratio.isfinite(), squared.log(), torch.nan).nanmean(dim=-1)
    centred = people - people.nanmean(dim=1, keepdim=True)
    return ratio.nanmean(dim=-1).log() + logs - centred.square().sum(dim=-1).nanmean(dim=-1).log()


@cache
def _tree(joints: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Bones that join all joints (the shortest tree through a body with its limbs spread), and their squared lengths
    in statures with the detector's inaccuracy added."""
    places = np.array([_BODY[joint] for joint in joints])
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    inside, bones = [0], []
    while len(inside) < len(joints):
        outside = [joint for joint in range(len(joints)) if joint not in inside]
        among = distance[np.ix_(inside, outside)]
        row, column = np.unravel_index(int(among.argmin()), among.shape)
        bones.append((inside[row], outside[column]))
        inside.append(outside[column])
    pairs = np.array(bones).T
    return torch.from_numpy(pairs), torch.from_numpy(distance[pairs[0], pairs[1]] ** 2 + _PLACEMENT**2)
