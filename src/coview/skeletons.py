"""The skeletons that are known, by name: those of data sets, of detectors, and of released weights."""

from itertools import pairwise

from coview.errors import UnknownNameError
from coview.skeleton_maps import Skeleton as Skeleton
from coview.skeleton_maps import SkeletonMap as SkeletonMap
from coview.skeleton_maps import can_map as can_map
from coview.skeleton_maps import skeleton_map as skeleton_map


def named_skeleton(name: str) -> Skeleton:
    """A skeleton of this module by its name.

    Args:
        name: Name of the skeleton.

    Returns:
        The skeleton.

    Raises:
        UnknownNameError: There is no such skeleton; the text lists the names.
    """
    skeletons = {skeleton.name: skeleton for skeleton in SKELETONS}
    if name not in skeletons:
        raise UnknownNameError(f"no skeleton '{name}'. Known: {', '.join(sorted(skeletons))}.")
    return skeletons[name]


def _pairs(joints: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    lefts = [joint for joint in joints if joint.startswith("left_")]
    return tuple((left, "right_" + left[5:]) for left in lefts if "right_" + left[5:] in joints)


def _make(name: str, joints: str, bones: str, root: str) -> Skeleton:
    """`joints`: names; `bones`: chains like `pelvis-left_hip-left_knee`. l_ and r_ are short for sides."""
    names = tuple(_long(joint) for joint in joints.split())
    chains = [[_long(joint) for joint in chain.split("-")] for chain in bones.split()]
    pairs = tuple((parent, child) for chain in chains for parent, child in pairwise(chain))
    return Skeleton(name, names, pairs, _long(root), _pairs(names))


def _long(joint: str) -> str:
    return {"l_": "left_", "r_": "right_"}.get(joint[:2], joint[:2]) + joint[2:]


_LEGS = "pelvis-r_hip-r_knee-r_ankle pelvis-l_hip-l_knee-l_ankle"
_ARMS = "thorax-l_shoulder-l_elbow-l_wrist thorax-r_shoulder-r_elbow-r_wrist"
_NECK_ARMS = "neck-l_shoulder-l_elbow-l_wrist neck-r_shoulder-r_elbow-r_wrist"
_FACE = "nose-l_eye-l_ear nose-r_eye-r_ear"
_FEET = "l_ankle-l_big_toe-l_small_toe l_ankle-l_heel r_ankle-r_big_toe-r_small_toe r_ankle-r_heel"
_BOX = "l_hip-r_hip l_hip-l_knee-l_ankle r_hip-r_knee-r_ankle l_shoulder-r_shoulder l_hip-l_shoulder r_hip-r_shoulder"
_BOX_ARMS = "l_shoulder-l_elbow-l_wrist r_shoulder-r_elbow-r_wrist"

H36M_17 = _make(
    "h36m_17",
    "pelvis r_hip r_knee r_ankle l_hip l_knee l_ankle spine thorax nose head_top "
    "l_shoulder l_elbow l_wrist r_shoulder r_elbow r_wrist",
    f"{_LEGS} pelvis-spine-thorax-nose-head_top {_ARMS}",
    "pelvis",
)
H36M_32 = _make(
    "h36m_32",
    "pelvis r_hip r_knee r_ankle r_toe r_toe_end l_hip l_knee l_ankle l_toe l_toe_end "
    "pelvis_copy spine thorax nose head_top "
    "thorax_left l_shoulder l_elbow l_wrist l_wrist_copy l_thumb l_hand_end l_hand_end_copy "
    "thorax_right r_shoulder r_elbow r_wrist r_wrist_copy r_thumb r_hand_end r_hand_end_copy",
    "pelvis-r_hip-r_knee-r_ankle-r_toe-r_toe_end pelvis-l_hip-l_knee-l_ankle-l_toe-l_toe_end "
    f"pelvis-spine-thorax-nose-head_top {_ARMS} l_wrist-l_thumb r_wrist-r_thumb "
    "l_wrist-l_hand_end r_wrist-r_hand_end",
    "pelvis",
)
CANONPOSE_16 = _make(
    "canonpose_16",
    "r_hip r_knee r_ankle l_hip l_knee l_ankle pelvis neck nose head_top "
    "r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist",
    f"{_LEGS} pelvis-neck-nose-head_top {_NECK_ARMS}",
    "pelvis",
)
COCO_17 = _make(
    "coco_17",
    "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
    "l_hip r_hip l_knee r_knee l_ankle r_ankle",
    f"{_BOX} {_BOX_ARMS} {_FACE}",
    "l_hip",
)
COCO_19 = _make(  # ours: COCO with the two mid-points that a root and a trunk need
    "coco_19",
    " ".join((*COCO_17.joints, "pelvis", "neck")),
    f"{_LEGS} pelvis-neck-nose {_NECK_ARMS} {_FACE}",
    "pelvis",
)
HALPE_26 = _make(
    "halpe_26",
    "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
    "l_hip r_hip l_knee r_knee l_ankle r_ankle head_top neck pelvis "
    "l_big_toe r_big_toe l_small_toe r_small_toe l_heel r_heel",
    f"{_LEGS} pelvis-neck-nose neck-head_top {_NECK_ARMS} {_FACE} {_FEET}",
    "pelvis",
)
BODY_25 = _make(
    "body_25",
    "nose neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist pelvis r_hip r_knee r_ankle "
    "l_hip l_knee l_ankle r_eye l_eye r_ear l_ear l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel",
    f"{_LEGS} pelvis-neck-nose {_NECK_ARMS} {_FACE} {_FEET}",
    "pelvis",
)
BODY_25B = _make(
    "body_25b",
    "nose l_eye r_eye l_ear r_ear l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist "
    "l_hip r_hip l_knee r_knee l_ankle r_ankle neck head_top "
    "l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel",
    f"l_hip-r_hip l_hip-l_knee-l_ankle r_hip-r_knee-r_ankle l_shoulder-l_hip r_shoulder-r_hip "
    f"{_NECK_ARMS} neck-nose neck-head_top {_FACE} {_FEET}",
    "l_hip",
)
MPII_16 = _make(
    "mpii_16",
    "r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis thorax neck head_top "
    "r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist",
    f"{_LEGS} pelvis-thorax-neck-head_top {_ARMS}",
    "pelvis",
)
MPI_INF_3DHP_28 = _make(
    "mpi_inf_3dhp_28",
    "spine_3 spine_4 spine_2 spine pelvis neck head head_top l_clavicle l_shoulder l_elbow l_wrist l_hand "
    "r_clavicle r_shoulder r_elbow r_wrist r_hand l_hip l_knee l_ankle l_foot l_toe "
    "r_hip r_knee r_ankle r_foot r_toe",
    "pelvis-spine-spine_2-spine_3-spine_4-neck-head-head_top "
    "spine_4-l_clavicle-l_shoulder-l_elbow-l_wrist-l_hand spine_4-r_clavicle-r_shoulder-r_elbow-r_wrist-r_hand "
    "pelvis-l_hip-l_knee-l_ankle-l_foot-l_toe pelvis-r_hip-r_knee-r_ankle-r_foot-r_toe",
    "pelvis",
)
MPI_INF_3DHP_17 = _make(
    "mpi_inf_3dhp_17",
    "head_top neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist r_hip r_knee r_ankle "
    "l_hip l_knee l_ankle pelvis spine head",
    f"{_LEGS} pelvis-spine-neck-head-head_top {_NECK_ARMS}",
    "pelvis",
)
PANOPTIC_19 = _make(
    "panoptic_19",
    "neck nose pelvis l_shoulder l_elbow l_wrist l_hip l_knee l_ankle r_shoulder r_elbow r_wrist "
    "r_hip r_knee r_ankle l_eye l_ear r_eye r_ear",
    f"{_LEGS} pelvis-neck-nose {_NECK_ARMS} {_FACE}",
    "pelvis",
)
SKIPOSE_17 = Skeleton("skipose_17", H36M_17.joints, H36M_17.bones, H36M_17.root, H36M_17.left_right)
LEARNABLE_17 = _make(  # the order of the weights of Learnable Triangulation: MPII's, with the nose at the end
    "learnable_17",
    "r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis spine thorax head_top "
    "r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist nose",
    f"{_LEGS} pelvis-spine-thorax-nose-head_top {_ARMS}",
    "pelvis",
)
EPIPOLAR_16 = _make(  # the order of the weights of EpipolarPose: MPII's, with Human3.6M's nose as the neck
    "epipolar_16",
    "r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis thorax nose head_top "
    "r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist",
    f"{_LEGS} pelvis-thorax-nose-head_top {_ARMS}",
    "pelvis",
)
MOCAP_19 = _make(
    "mocap_19",
    "pelvis r_hip r_knee r_ankle l_hip l_knee l_ankle spine thorax nose head_top "
    "l_shoulder l_elbow l_wrist r_shoulder r_elbow r_wrist l_toe r_toe",
    f"{_LEGS} l_ankle-l_toe r_ankle-r_toe pelvis-spine-thorax-nose-head_top {_ARMS}",
    "pelvis",
)

OPENPOSE_18 = _make(  # OpenPose's older model, which AlphaPose writes too: BODY_25 without pelvis and feet
    "openpose_18",
    "nose neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist r_hip r_knee r_ankle l_hip l_knee l_ankle "
    "r_eye l_eye r_ear l_ear",
    f"neck-r_hip-r_knee-r_ankle neck-l_hip-l_knee-l_ankle neck-nose {_NECK_ARMS} {_FACE}",
    "neck",
)
COCO_23 = _make(  # the body and feet of COCO-WholeBody
    "coco_23",
    " ".join(
        (*COCO_17.joints, *(f"{side}_{place}" for side in "lr" for place in ("big_toe", "small_toe", "heel")))
    ),
    f"{_BOX} {_BOX_ARMS} {_FACE} {_FEET}",
    "l_hip",
)
MEDIAPIPE_33 = _make(  # BlazePose
    "mediapipe_33",
    "nose l_eye_inner l_eye l_eye_outer r_eye_inner r_eye r_eye_outer l_ear r_ear l_mouth r_mouth "
    "l_shoulder r_shoulder l_elbow r_elbow l_wrist r_wrist l_pinky r_pinky l_index r_index l_thumb r_thumb "
    "l_hip r_hip l_knee r_knee l_ankle r_ankle l_heel r_heel l_toe r_toe",
    f"{_BOX} {_BOX_ARMS} {_FACE} l_mouth-r_mouth l_wrist-l_pinky l_wrist-l_index l_wrist-l_thumb "
    "r_wrist-r_pinky r_wrist-r_index r_wrist-r_thumb l_ankle-l_heel-l_toe r_ankle-r_heel-r_toe",
    "l_hip",
)


def _whole_body() -> Skeleton:
    """COCO-WholeBody: COCO_23, 68 points of the face (jaw, brows, nose, eyes, mouth), 21 of each hand."""
    # jaw, brows, nostrils and lips run from the person's right to the left; eyes and lower lips run round
    runs = ((0, 16), (17, 26), (31, 35), (48, 54), (60, 64))
    across = [(first + step, last - step) for first, last in runs for step in range((last - first + 1) // 2)]
    across += [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (59, 55), (58, 56), (67, 65)]
    sides = {
        point: name for a, b in across for point, name in ((a, f"right_face_{a}"), (b, f"left_face_{a}"))
    }
    face = tuple(sides.get(point, f"face_{point}") for point in range(68))
    hands = {side: tuple(f"{side}_hand_{point}" for point in range(21)) for side in ("left", "right")}
    fingers = [
        pair
        for side, points in hands.items()
        for first in range(1, 21, 4)
        for pair in pairwise((points[0], *points[first : first + 4]))
    ]
    wrists = [(f"{side}_wrist", points[0]) for side, points in hands.items()]
    joints = (*COCO_23.joints, *face, *hands["left"], *hands["right"])
    return Skeleton("coco_133", joints, (*COCO_23.bones, *wrists, *fingers), COCO_23.root, _pairs(joints))


COCO_133 = _whole_body()

SKELETONS = (
    H36M_17,
    H36M_32,
    CANONPOSE_16,
    COCO_17,
    COCO_19,
    HALPE_26,
    BODY_25,
    BODY_25B,
    MPII_16,
    MPI_INF_3DHP_17,
    MPI_INF_3DHP_28,
    PANOPTIC_19,
    SKIPOSE_17,
    LEARNABLE_17,
    EPIPOLAR_16,
    MOCAP_19,
    OPENPOSE_18,
    COCO_23,
    COCO_133,
    MEDIAPIPE_33,
)
