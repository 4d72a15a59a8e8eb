"""Skeletons from the joint names of other programs: `LAnkle`, `left_ankle` and `ankle_l` are one joint."""

import re
from collections.abc import Sequence

from coview.errors import InputError
from coview.formats.keypoints.view_joints import ViewJoints
from coview.skeletons import (
    BODY_25B,
    COCO_17,
    HALPE_26,
    MEDIAPIPE_33,
    MPI_INF_3DHP_28,
    MPII_16,
    SKELETONS,
    Skeleton,
)

_SIDES = {
    word: side
    for side, words in {"left": ("left", "l", "lt"), "right": ("right", "r", "rt")}.items()
    for word in words
}
# our name by the words of others, without side, case and separators
_PLACES = {
    word: name
    for name, words in {
        "eye": ("eye",),
        "eye_inner": ("eyeinner", "innereye"),
        "eye_outer": ("eyeouter", "outereye"),
        "ear": ("ear",),
        "mouth": ("mouth",),
        "shoulder": ("shoulder", "sho"),
        "clavicle": ("clavicle", "collar"),
        "elbow": ("elbow", "elb"),
        "wrist": ("wrist", "wri"),
        "hand": ("hand",),
        "thumb": ("thumb",),
        "index": ("index",),
        "pinky": ("pinky",),
        "hip": ("hip",),
        "knee": ("knee",),
        "ankle": ("ankle", "ank"),
        "heel": ("heel",),
        "foot": ("foot",),
        "toe": ("toe", "footindex"),
        "big_toe": ("bigtoe", "hallux"),
        "small_toe": ("smalltoe", "littletoe", "pinkytoe"),
    }.items()
    for word in words
}
_MIDDLE = {
    word: name
    for name, words in {
        "nose": ("nose",),
        "head": ("head",),
        "head_top": ("headtop", "tophead", "topofhead", "crown", "vertex"),
        "neck": ("neck", "upperneck"),
        "thorax": ("thorax",),
        "spine": ("spine",),
        "pelvis": ("pelvis", "midhip", "hips", "root"),
    }.items()
    for word in words
}
# bones of a skeleton that is made up from names: those of these whose ends it has
_BONES = tuple(
    dict.fromkeys(
        bone
        for skeleton in (HALPE_26, COCO_17, BODY_25B, MPII_16, MEDIAPIPE_33, MPI_INF_3DHP_28)
        for bone in skeleton.bones
    )
)
# joints of a body and feet; more are face and hands
_MOST = 40
# bones from which joints are a body
_FEWEST = 4


def said_skeleton(view: ViewJoints) -> str | Skeleton | None:
    """The skeleton that the file of one camera says.

    Args:
        view: The joints as the file has them.

    Returns:
        Its name, or the skeleton of the joints' names; None where the file says neither, or names the points of a
        whole-body detector, whose number tells them.

    Raises:
        InputError: The names are not those of a human body.
    """
    if view.skeleton or not view.joint_names or len(view.joint_names) > _MOST:
        return view.skeleton
    if len(view.joint_names) != view.joint_count:
        raise InputError(
            f"the file names {len(view.joint_names)} joints and people have {view.joint_count}. Export it again, or "
            f"pass --skeleton."
        )
    return skeleton_of_names(view.joint_names)


def skeleton_of_names(names: Sequence[str]) -> Skeleton:
    """The skeleton whose joints have these names.

    Args:
        names: Names as another program writes them, in the order of the joints.

    Returns:
        A skeleton of `coview.skeletons` where the names are its own; otherwise one made for these joints, with those
        bones of a human body whose ends are there. A name that is not understood is kept as it is.

    Raises:
        InputError: Two joints have one name, or too few names are of a human body.
    """
    ours = tuple(_ours(name) or name.strip() for name in names)
    known = next((skeleton for skeleton in SKELETONS if skeleton.joints == ours), None)
    if known is not None:
        return known
    doubled = sorted({name for name in ours if ours.count(name) > 1})
    if doubled:
        raise InputError(
            f"joints are named {', '.join(names)}, and two of them mean {', '.join(doubled)}. Rename one, or pass "
            f"--skeleton with the name of a skeleton of {len(names)} joints."
        )
    bones = tuple(bone for bone in _BONES if set(bone) <= set(ours))
    if len(bones) < _FEWEST:
        raise InputError(
            f"joints are named {', '.join(names)}; too few of these are joints of a human body (left_hip, LKnee, "
            f"ankle_r, nose, ... are understood). Pass --skeleton with the name of a skeleton of {len(names)} joints, "
            f"if they are in its order."
        )
    root = next(name for name in ("pelvis", "left_hip", "neck", "thorax", *bones[0]) if name in ours)
    pairs = tuple(
        (name, other) for name in ours if name.startswith("left_") and (other := f"right_{name[5:]}") in ours
    )
    return Skeleton(f"named_{len(ours)}", ours, bones, root, pairs)


def _ours(name: str) -> str | None:
    """Our name of a joint; None where the name is not understood."""
    words = re.sub(r"([a-z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name.strip())
    parts = [part.casefold() for part in re.split(r"[\W_]+", words) if part]
    sides = [_SIDES[part] for part in parts if part in _SIDES]
    rest = "".join(part for part in parts if part not in _SIDES)
    if not sides:
        for side in ("left", "right"):
            if rest.startswith(side) and rest[len(side) :] in _PLACES:
                return f"{side}_{_PLACES[rest[len(side) :]]}"
        return _MIDDLE.get(rest)
    return f"{sides[0]}_{_PLACES[rest]}" if len(sides) == 1 and rest in _PLACES else None
