"""Conversion between marker names of motion capture programs (RHip, LBigToe) and ours (right_hip, left_big_toe)."""

import re
from collections.abc import Sequence

from coview.skeletons import SKELETONS, Skeleton

# Pose2Sim's markers, which OpenSim set-ups expect; everything else is the same word in the other spelling.
_SPECIAL = {"pelvis": "Hip", "head_top": "Head", "head": "HeadCentre"}
_SPECIAL_BACK = {marker: joint for joint, marker in _SPECIAL.items()} | {"CHip": "pelvis", "MidHip": "pelvis"}


def marker_from_joint(joint: str) -> str:
    """Marker name of a joint, as Pose2Sim writes it: `right_big_toe` is `RBigToe`, `pelvis` `Hip`, `head_top` `Head`.

    Args:
        joint: Our name.

    Returns:
        The marker's name.
    """
    if joint in _SPECIAL:
        return _SPECIAL[joint]
    side = {"left_": "L", "right_": "R"}.get(joint[: joint.find("_") + 1], "")
    words = joint.split("_")[1 if side else 0 :]
    return side + "".join(word[:1].upper() + word[1:] for word in words)


def joint_from_marker(marker: str) -> str:
    """Joint name of a marker; the inverse of `marker_from_joint`.

    Args:
        marker: The marker's name.

    Returns:
        Our name; a name that follows no such pattern is returned as it is.
    """
    if marker in _SPECIAL_BACK:
        return _SPECIAL_BACK[marker]
    # digit by digit: groups of groups of digits could be cut in exponentially many ways
    if not re.fullmatch(r"(?:[A-Z][a-z]*|\d)+", marker) or marker.isupper():
        return marker
    words = re.findall(r"[A-Z][a-z]*|\d+", marker)
    side = {"L": "left_", "R": "right_"}.get(words[0], "") if len(words) > 1 else ""
    return side + "_".join(word.lower() for word in words[1 if side else 0 :])


def skeleton_of(joints: Sequence[str], name: str) -> Skeleton:
    """The skeleton with exactly these joints; else a new one with the bones of the known one that shares most joints.

    Args:
        joints: Names of joints, in order.
        name: Name of a new skeleton.

    Returns:
        The skeleton.

    Raises:
        ValueError: Two joints have one name.
    """
    joints = tuple(joints)
    for skeleton in SKELETONS:
        if skeleton.joints == joints:
            return skeleton
    nearest = max(SKELETONS, key=lambda skeleton: (len(set(skeleton.joints) & set(joints)), -len(skeleton)))
    bones = tuple(bone for bone in nearest.bones if set(bone) <= set(joints))
    root = next((joint for joint in ("pelvis", "left_hip", "neck") if joint in joints), joints[0])
    pairs = tuple(
        (j, "right_" + j[5:]) for j in joints if j.startswith("left_") and "right_" + j[5:] in joints
    )
    return Skeleton(name, joints, bones, root, pairs)
