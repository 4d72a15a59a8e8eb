"""Joint names in the spelling of motion capture programs, and back."""

import pytest

from coview.formats.motion.marker_names import joint_from_marker, marker_from_joint, skeleton_of
from coview.skeletons import BODY_25B, H36M_17, MOCAP_19, SKELETONS


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda s: s.name)
def test_every_joint_comes_back(skeleton):
    markers = [marker_from_joint(joint) for joint in skeleton.joints]
    assert len(set(markers)) == len(markers)
    assert tuple(joint_from_marker(marker) for marker in markers) == skeleton.joints


@pytest.mark.parametrize(
    ("joint", "marker"),
    [  # Pose2Sim's names, from the sample TRC
        ("right_hip", "RHip"),
        ("left_big_toe", "LBigToe"),
        ("head_top", "Head"),
        ("neck", "Neck"),
        ("pelvis", "Hip"),
    ],
)
def test_pose2sims_names(joint, marker):
    assert marker_from_joint(joint) == marker
    assert joint_from_marker(marker) == joint


@pytest.mark.parametrize("marker", ["LASI", "r.ASIS_study", "marker 1", "*12"])
def test_other_markers_keep_their_names(marker):
    assert joint_from_marker(marker) == marker


def test_known_skeletons_are_found_by_their_joints():
    assert skeleton_of(MOCAP_19.joints, "x") == MOCAP_19
    assert skeleton_of(H36M_17.joints, "x") == H36M_17


def test_a_part_of_a_skeleton_keeps_its_bones():
    joints = [joint for joint in BODY_25B.joints if "eye" not in joint and "ear" not in joint]
    found = skeleton_of(joints, "part")
    assert found.bones == tuple(bone for bone in BODY_25B.bones if set(bone) <= set(joints))
    assert found.root == "left_hip"


def test_markers_that_nobody_knows():
    found = skeleton_of(["LASI", "RASI"], "markers")
    assert (found.bones, found.root) == ((), "LASI")


def test_doubled_markers():
    with pytest.raises(ValueError, match=r"joints named twice: \['neck'\]"):
        skeleton_of(["neck", "neck"], "x")


@pytest.mark.timeout(5)
def test_long_digits_are_no_puzzle():
    """As groups of groups of digits they could be cut in 2**5000 ways."""
    assert joint_from_marker("1" * 5000 + "!") == "1" * 5000 + "!"
    assert joint_from_marker("A" + "1" * 5000 + "_") == "A" + "1" * 5000 + "_"
    assert joint_from_marker("Marker12") == "marker_12"
