"""BVH conversions of CMU motion capture: the joints of MOCAP_19, and the trunk bone that many conversions lack."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.mocap.skeleton_plausibility import TRUNK_TO_LEG, trunk_to_leg
from coview.errors import UnknownNameError
from coview.formats.motion.asf import Asf
from coview.formats.motion.bvh import Bvh, joint_positions
from coview.skeletons import MOCAP_19


@dataclass(frozen=True)
class JointNames:
    """Joint names of one family of conversions."""

    # name of the family
    family: str
    # names of MOCAP_19's joints, without the pelvis, which is the middle of the hips
    joints: tuple[str, ...]
    # joint at the end of ASF's `upperback`; its rotation is that of `thorax`
    upper_back: str
    # joints at the end of `thorax`: root of the neck, both collars
    above: tuple[str, ...]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FAMILIES = (
    JointNames(
        "Poser names",
        _words(
            "RightHip RightKnee RightAnkle LeftHip LeftKnee LeftAnkle Chest2 lowerneck Head Head_end "
            "LeftShoulder LeftElbow LeftWrist RightShoulder RightElbow RightWrist LeftToe_end RightToe_end"
        ),
        "Chest2",
        ("lowerneck", "LeftCollar", "RightCollar"),
    ),
    JointNames(
        "MotionBuilder names",
        _words(
            "RightUpLeg RightLeg RightFoot LeftUpLeg LeftLeg LeftFoot Spine1 Neck Head Head_end "
            "LeftArm LeftForeArm LeftHand RightArm RightForeArm RightHand LeftToeBase_end RightToeBase_end"
        ),
        "Spine1",
        ("Neck", "LeftShoulder", "RightShoulder"),
    ),
)


@dataclass(frozen=True)
class ThoraxRepair:
    """The bone `thorax` that was restored."""

    # in the file's unit
    length: float
    # where length and direction come from
    source: str


def bvh_joints(
    bvh: Bvh, asf: Asf | None = None
) -> tuple[Float[Tensor, "frames joints 3"], ThoraxRepair | None]:
    """Joints of MOCAP_19 in the file's unit and axes, with a missing bone `thorax` restored.

    Many conversions lack ASF's bone `thorax`, so that neck and shoulders are about 117 mm too low. It is missing if the
    trunk is shorter than 0.47 of the leg *and* neck and collars coincide with the upper back. It is restored from the
    subject's ASF, or else as a copy of the bone below it, `upperback`. That rule is ours: in the skeletons of subjects
    02 and 09 the two differ by 0.1 and 2.6 mm in length and by 2° and 4° in direction, and the shared clip 131_01 was
    repaired the same way. A trunk that is short for another reason is left as it is, for the caller to refuse.

    Args:
        bvh: the motion.
        asf: skeleton of the same subject.

    Returns:
        The joints, and the repair; None where nothing was missing.

    Raises:
        LookupError: the joints are not those of a known family of conversions."""
    names = _family(bvh)
    points = _joints(bvh, names)
    if trunk_to_leg(points) >= TRUNK_TO_LEG or not _lacks_thorax(bvh, names):
        return points, None
    bone, source = _thorax(bvh, names, asf)
    for joint in names.above:
        bvh = bvh.with_offset(joint, bone)
    return _joints(bvh, names), ThoraxRepair(float(bone.norm()), source)


def _family(bvh: Bvh) -> JointNames:
    for names in FAMILIES:
        if {*names.joints, *names.above} <= set(bvh.joints):
            return names
    wanted = sorted({*FAMILIES[1].joints, *FAMILIES[1].above} - set(bvh.joints))
    raise UnknownNameError(
        f"{bvh.path}: not the joints of a conversion of CMU's motion; missing from the usual names: "
        f"{', '.join(wanted)}. It has: {', '.join(bvh.joints)}. Use the .asf and .amc of the take."
    )


def _joints(bvh: Bvh, names: JointNames) -> Float[Tensor, "frames joints 3"]:
    ends = joint_positions(bvh)[:, [bvh.index(joint) for joint in names.joints]]
    hips = [MOCAP_19.index(joint) - 1 for joint in ("right_hip", "left_hip")]
    return torch.cat([ends[:, hips].mean(dim=1, keepdim=True), ends], dim=1)


def _lacks_thorax(bvh: Bvh, names: JointNames) -> bool:
    """Whether neck and collars have no offset from the upper back."""
    upper_back = bvh.index(names.upper_back)
    above = [bvh.index(joint) for joint in names.above]
    return all(bvh.parents[joint] == upper_back for joint in above) and not bool(bvh.offsets[above].any())


def _thorax(bvh: Bvh, names: JointNames, asf: Asf | None) -> tuple[Float[Tensor, "3"], str]:
    """The bone in the file's unit; the rest axes of ASF and of its conversions are the same."""
    below = bvh.offsets[bvh.index(names.upper_back)]
    if asf is None or "thorax" not in asf.bones or "upperback" not in asf.bones:
        return below, f"a copy of {names.upper_back} below it"
    thorax, upper = (asf.offsets[asf.index(bone)] for bone in ("thorax", "upperback"))
    return thorax * (below.norm() / upper.norm()), f"from {asf.path.name}"
