import pytest

from coview.skeletons import (
    BODY_25,
    BODY_25B,
    CANONPOSE_16,
    COCO_17,
    COCO_23,
    COCO_133,
    EPIPOLAR_16,
    H36M_17,
    H36M_32,
    HALPE_26,
    LEARNABLE_17,
    MEDIAPIPE_33,
    MOCAP_19,
    MPI_INF_3DHP_17,
    MPI_INF_3DHP_28,
    MPII_16,
    PANOPTIC_19,
    SKELETONS,
    SKIPOSE_17,
    Skeleton,
    named_skeleton,
    skeleton_map,
)

every_skeleton = pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)


# --- what holds for every skeleton ----------------------------------------------------------------


@every_skeleton
def test_the_name_tells_how_many_joints(skeleton):
    numbers = {"body_25b": 25, "mpi_inf_3dhp_17": 17, "mpi_inf_3dhp_28": 28}
    assert len(skeleton) == numbers.get(skeleton.name, 0) or skeleton.name.endswith(f"_{len(skeleton)}")
    assert named_skeleton(skeleton.name) is skeleton


@every_skeleton
def test_mirroring_twice_changes_nothing(skeleton):
    mirror = skeleton.mirror
    assert sorted(mirror) == list(range(len(skeleton)))
    assert [mirror[index] for index in mirror] == list(range(len(skeleton)))
    for joint, image in enumerate(mirror):
        name, other = skeleton.joints[joint], skeleton.joints[image]
        assert (joint == image) != name.startswith(("left_", "right_")), name
        assert other.replace("left_", "").replace("right_", "") == name.replace("left_", "").replace(
            "right_", ""
        )


@every_skeleton
def test_bones_stay_bones_in_the_mirror(skeleton):
    bones = {frozenset(bone) for bone in skeleton.bone_indices}
    assert {frozenset(skeleton.mirror[joint] for joint in bone) for bone in bones} == bones
    assert len(bones) == len(skeleton.bones)  # none twice


@every_skeleton
def test_bones_reach_every_joint_but_the_stated_ones(skeleton):
    reached, border = {skeleton.root}, [skeleton.root]
    while border:
        joint = border.pop()
        touching = {other for bone in skeleton.bones if joint in bone for other in bone} - reached
        reached |= touching
        border += touching
    left_out = set(skeleton.joints) - reached
    if skeleton in (COCO_17, COCO_23, COCO_133, MEDIAPIPE_33):  # no neck: the face floats
        assert {"nose", "left_eye", "right_eye", "left_ear", "right_ear"} <= left_out
        assert all(
            any(part in joint for part in ("nose", "eye", "ear", "mouth", "face")) for joint in left_out
        )
    elif skeleton is H36M_32:  # repeated places of the recording software
        assert all(joint.endswith("_copy") or joint.startswith("thorax_") for joint in left_out)
    else:
        assert left_out == set()


@every_skeleton
def test_the_root_is_a_joint(skeleton):
    assert skeleton.joints[skeleton.root_index] == skeleton.root


# --- the orders that others use -------------------------------------------------------------------


def order(skeleton: Skeleton) -> str:
    short = {"left": "l", "right": "r"}
    return " ".join("_".join(short.get(part, part) for part in joint.split("_")) for joint in skeleton.joints)


def test_orders_of_detectors(shared_data):
    # AlphaPose's list of HALPE-26; OpenPose's lists of BODY_25 and BODY_25B, also printed on the
    # recording in ../shared/data/pose2sim_single.
    assert order(HALPE_26) == order(COCO_17) + (
        " head_top neck pelvis l_big_toe r_big_toe l_small_toe r_small_toe l_heel r_heel"
    )
    assert order(BODY_25) == (
        "nose neck r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist pelvis r_hip r_knee r_ankle l_hip "
        "l_knee l_ankle r_eye l_eye r_ear l_ear l_big_toe l_small_toe l_heel r_big_toe r_small_toe r_heel"
    )
    import numpy as np

    names = np.load(shared_data / "pose2sim_single" / "balancing" / "balancing_arrays.npz")["kp2d_names"]
    ours = [joint.replace("_", "").replace("headtop", "head") for joint in order(BODY_25B).split()]
    assert ours == [str(name).lower() for name in names]


def test_orders_of_data_sets():
    # COCO's own list; MPII as in its json files: right leg upwards, left leg downwards, trunk, arms;
    # CanonPose's list from its issues 1 and 2; Panoptic's joints19.
    assert order(COCO_17).split()[5:9] == ["l_shoulder", "r_shoulder", "l_elbow", "r_elbow"]
    assert order(COCO_17).split()[11:] == ["l_hip", "r_hip", "l_knee", "r_knee", "l_ankle", "r_ankle"]
    assert order(MPII_16) == (
        "r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis thorax neck head_top "
        "r_wrist r_elbow r_shoulder l_shoulder l_elbow l_wrist"
    )
    assert order(CANONPOSE_16) == (
        "r_hip r_knee r_ankle l_hip l_knee l_ankle pelvis neck nose head_top "
        "r_shoulder r_elbow r_wrist l_shoulder l_elbow l_wrist"
    )
    assert order(PANOPTIC_19) == (
        "neck nose pelvis l_shoulder l_elbow l_wrist l_hip l_knee l_ankle "
        "r_shoulder r_elbow r_wrist r_hip r_knee r_ankle l_eye l_ear r_eye r_ear"
    )
    assert SKIPOSE_17.joints == H36M_17.joints
    assert MOCAP_19.joints[:17] == H36M_17.joints


@pytest.mark.parametrize(
    ("source", "target", "pick"),
    [  # the pick lists that VideoPose3D (H36M) and mmpose (3DHP) state for their loaders
        (H36M_32, H36M_17, [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]),
        (
            MPI_INF_3DHP_28,
            MPI_INF_3DHP_17,
            [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6],
        ),
        # EpipolarPose's map of its 17 joints to its 16, as the specification of the method lists it
        (H36M_17, EPIPOLAR_16, [3, 2, 1, 4, 5, 6, 0, 8, 9, 10, 16, 15, 14, 11, 12, 13]),
    ],
)
def test_pick_lists_come_out_by_name(source, target, pick):
    found = skeleton_map(source, target)
    assert found.weights == tuple(((index, 1.0),) for index in pick)
    assert not any(found.computed)


def test_an_unknown_skeleton_is_answered_with_the_known_ones():
    with pytest.raises(LookupError, match=r"no skeleton 'h36m'\. Known: body_25, body_25b, .*h36m_17"):
        named_skeleton("h36m")


def test_learnable_17_is_the_order_of_the_released_weights():
    # the paper's code, as the specification lists it: right ankle first, pelvis at 6, nose last
    short = (
        "r_ankle r_knee r_hip l_hip l_knee l_ankle pelvis spine thorax head_top r_wrist r_elbow r_shoulder"
    )
    named = [j.replace("right_", "r_").replace("left_", "l_") for j in LEARNABLE_17.joints]
    assert " ".join(named) == f"{short} l_shoulder l_elbow l_wrist nose"
    assert LEARNABLE_17.root_index == 6
    assert set(LEARNABLE_17.joints) == set(H36M_17.joints)
