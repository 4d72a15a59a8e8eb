"""A procedural human body: bone lengths from anthropometry, joint angles within human limits, joints in metres.

Body axes: x forward, y to the body's left, z up. The pelvis is the root. A pose is a vector of anatomical angles
(`DOFS`) within their ranges of motion, so that knees and elbows flex in one direction only.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.skeletons import H36M_17

# Shares of stature. Limbs and heights: [Winter09] fig. 4.1, after [Drillis66]. The spacing of joint
# *centres* (hips, shoulders) and the inner trunk points are ours: the figure gives body breadths.
THIGH, SHANK, ANKLE_HEIGHT = 0.245, 0.246, 0.039
UPPER_ARM, FOREARM = 0.186, 0.146
HIP_HALF, SHOULDER_HALF, SHOULDER_DROP = 0.055, 0.110, 0.012
LOWER_TRUNK, UPPER_TRUNK = 0.130, 0.170
NOSE_FORWARD, NOSE_UP, CROWN_UP = 0.055, 0.085, 0.085
# the least height of any joint but the ankles: half a limb's thickness
BODY_CLEARANCE = 0.045

# Anatomical angles in degrees: lowest, at rest, highest. Ranges after [AAOS65], kept a little inside.
_TRUNK = {
    # forward is positive
    "pelvis_tilt": (-15, 4, 40),
    # to the right is positive
    "pelvis_list": (-10, 0, 10),
    # to the left is positive
    "pelvis_turn": (-12, 0, 12),
    "spine_flexion": (-20, 4, 55),
    "spine_bend": (-25, 0, 25),
    "spine_twist": (-35, 0, 35),
    "neck_flexion": (-35, 0, 40),
    "neck_bend": (-25, 0, 25),
    "neck_twist": (-60, 0, 60),
}
_LIMBS = {
    "hip_flexion": (-20, 6, 110),
    "hip_abduction": (-12, 4, 40),
    # inward is positive
    "hip_rotation": (-30, 0, 30),
    "knee_flexion": (2, 10, 135),
    "shoulder_flexion": (-45, 6, 170),
    "shoulder_abduction": (-5, 10, 150),
    # inward is positive
    "shoulder_rotation": (-60, 0, 70),
    "elbow_flexion": (2, 22, 140),
}
RANGES: dict[str, tuple[int, int, int]] = _TRUNK | {
    f"{side}_{name}": limits for side in ("left", "right") for name, limits in _LIMBS.items()
}
DOFS: tuple[str, ...] = tuple(RANGES)


@dataclass(frozen=True)
class Body:
    """Segment lengths and joint offsets of one person, metres. Left and right are equal."""

    thigh: float
    shank: float
    ankle_height: float
    upper_arm: float
    forearm: float
    hip_half: float
    shoulder_half: float
    shoulder_drop: float
    lower_trunk: float
    upper_trunk: float
    nose_forward: float
    nose_up: float
    crown_up: float

    @staticmethod
    def make(stature: float, generator: torch.Generator, variety: float = 0.03) -> "Body":
        """A body of a given stature with random proportions.

        Args:
            stature: standing height in metres.
            generator: of the proportions.
            variety: standard deviation of every length, as a share of it; clipped at two deviations.

        Raises:
            ValueError: for a stature outside 0.5 to 2.5 m."""
        if not 0.5 <= stature <= 2.5:
            raise InputError(f"a body's stature is given in metres, 0.5 to 2.5; got {stature}.")
        shares = (
            *(THIGH, SHANK, ANKLE_HEIGHT, UPPER_ARM, FOREARM, HIP_HALF, SHOULDER_HALF, SHOULDER_DROP),
            *(LOWER_TRUNK, UPPER_TRUNK, NOSE_FORWARD, NOSE_UP, CROWN_UP),
        )
        wobble = 1 + variety * torch.randn(len(shares), generator=generator).clamp(-2, 2)
        return Body(
            *(share * stature * factor for share, factor in zip(shares, wobble.tolist(), strict=True))
        )


def limits() -> tuple[Float[Tensor, "dofs"], Float[Tensor, "dofs"], Float[Tensor, "dofs"]]:
    """Lowest, resting and highest angle of each of `DOFS`, radians."""
    low, rest, high = torch.tensor(list(RANGES.values())).float().deg2rad().unbind(-1)
    return low, rest, high


def pose(
    body: Body,
    angles: Float[Tensor, "*batch dofs"],
    heading: Float[Tensor, "*batch"],
    ground: Float[Tensor, "*batch 2"],
) -> Float[Tensor, "*batch joints 3"]:
    """Forward kinematics: joints of `H36M_17` of a body that stands on the floor z = 0.

    Args:
        body: segment lengths.
        angles: radians, in the order of `DOFS`.
        heading: where the body faces, radians from x towards y.
        ground: x and y of the pelvis, metres.

    Returns:
        Joints in metres, z up. The height follows from the lowest joint's clearance above the floor."""
    at = dict(zip(DOFS, angles.unbind(-1), strict=True))
    joints = _trunk(body, at, heading)
    trunk, pelvis = joints.pop("_trunk"), joints.pop("_pelvis")
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints |= _leg(body, at, side, sign, pelvis)
        joints |= _arm(body, at, side, sign, trunk, joints["thorax"])
    placed = torch.stack([joints[name] for name in H36M_17.joints], dim=-2)
    lift = (_clearance(body, placed) - placed[..., 2]).amax(dim=-1)
    return placed + torch.cat([ground, lift[..., None]], dim=-1)[..., None, :]


def _trunk(body: Body, at: dict[str, Tensor], heading: Tensor) -> dict[str, Tensor]:
    """Trunk and head with the pelvis at the origin, and the frames of pelvis and trunk, from which the limbs start."""
    pelvis = (
        _axis_rotation("z", heading + at["pelvis_turn"])
        @ _axis_rotation("y", at["pelvis_tilt"])
        @ _axis_rotation("x", at["pelvis_list"])
    )
    # half of the trunk's bending happens below the spine point, half above
    half = _trunk_rotation(at["spine_twist"] / 2, at["spine_flexion"] / 2, at["spine_bend"] / 2)
    trunk = pelvis @ half @ half
    head = trunk @ _trunk_rotation(at["neck_twist"], at["neck_flexion"], at["neck_bend"])
    origin = torch.zeros_like(pelvis[..., 0])
    spine = (pelvis @ half)[..., 2] * body.lower_trunk
    thorax = spine + trunk[..., 2] * body.upper_trunk
    nose = thorax + head[..., 0] * body.nose_forward + head[..., 2] * body.nose_up
    crown = nose - head[..., 0] * body.nose_forward + head[..., 2] * body.crown_up
    return {
        **{"pelvis": origin, "spine": spine, "thorax": thorax, "nose": nose, "head_top": crown},
        **{"_pelvis": pelvis, "_trunk": trunk},
    }


def _leg(body: Body, at: dict[str, Tensor], side: str, sign: float, pelvis: Tensor) -> dict[str, Tensor]:
    thigh = pelvis @ _limb(at, f"{side}_hip", sign)
    shank = thigh @ _axis_rotation("y", at[f"{side}_knee_flexion"])
    hip = sign * body.hip_half * pelvis[..., 1]
    knee = hip - body.thigh * thigh[..., 2]
    return {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": knee - body.shank * shank[..., 2]}


def _arm(
    body: Body, at: dict[str, Tensor], side: str, sign: float, trunk: Tensor, thorax: Tensor
) -> dict[str, Tensor]:
    upper = trunk @ _limb(at, f"{side}_shoulder", sign)
    fore = upper @ _axis_rotation("y", -at[f"{side}_elbow_flexion"])
    shoulder = thorax + sign * body.shoulder_half * trunk[..., 1] - body.shoulder_drop * trunk[..., 2]
    elbow = shoulder - body.upper_arm * upper[..., 2]
    return {
        f"{side}_shoulder": shoulder,
        f"{side}_elbow": elbow,
        f"{side}_wrist": elbow - body.forearm * fore[..., 2],
    }


def _limb(at: dict[str, Tensor], joint: str, sign: float) -> Tensor:
    """Rotation of a ball joint; `sign` is +1 on the left, so that positive abduction is outward on both sides."""
    flexion, abduction, inward = (at[f"{joint}_{part}"] for part in ("flexion", "abduction", "rotation"))
    return (
        _axis_rotation("y", -flexion)
        @ _axis_rotation("x", sign * abduction)
        @ _axis_rotation("z", -sign * inward)
    )


def _trunk_rotation(twist: Tensor, flexion: Tensor, lateral: Tensor) -> Tensor:
    """Rotation of a trunk segment: axial twist, then flexion, then lateral flexion."""
    return _axis_rotation("z", twist) @ _axis_rotation("y", flexion) @ _axis_rotation("x", lateral)


def _axis_rotation(axis: str, angle: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation about a coordinate axis, right-handed."""
    c, s, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    rows = {
        "x": [one, zero, zero, zero, c, -s, zero, s, c],
        "y": [c, zero, s, zero, one, zero, -s, zero, c],
        "z": [c, -s, zero, s, c, zero, zero, zero, one],
    }
    return torch.stack(rows[axis], dim=-1).unflatten(-1, (3, 3))


def _clearance(body: Body, placed: Tensor) -> Tensor:
    """The least height of each joint above the floor, metres."""
    clearance = placed.new_full((len(H36M_17),), BODY_CLEARANCE)
    for side in ("left", "right"):
        clearance[H36M_17.index(f"{side}_ankle")] = body.ankle_height
    return clearance
