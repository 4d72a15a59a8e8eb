"""Skeletons from the names of joints."""

import pytest
import torch

from coview.formats.keypoints.named_joints import said_skeleton, skeleton_of_names
from coview.formats.keypoints.view_joints import ViewJoints
from coview.skeletons import BODY_25, COCO_17, COCO_23, MEDIAPIPE_33


@pytest.mark.parametrize("skeleton", [COCO_17, COCO_23, BODY_25, MEDIAPIPE_33])
def test_our_own_names(skeleton):
    assert skeleton_of_names(skeleton.joints) is skeleton


@pytest.mark.parametrize(
    "form", ["LeftEye", "left-eye", "eye_l", "L_Eye", "lt eye", "leftEye", "LEye", "lefteye"]
)
def test_forms_of_a_name(form):
    names = [form, "nose", "LShoulder", "LElbow", "LWrist", "LHip", "LKnee", "LAnkle"]
    made = skeleton_of_names(names)
    assert made.joints[0] == "left_eye"
    assert ("left_knee", "left_ankle") in made.bones
    assert made.root == "left_hip"


def test_unknown_names_are_kept_and_sides_are_paired():
    made = skeleton_of_names(["RHip", "LHip", "RKnee", "LKnee", "RAnkle", "LAnkle", "ski tip"])
    assert made.joints[-1] == "ski tip"
    assert ("left_knee", "right_knee") in made.left_right
    assert all("ski tip" not in bone for bone in made.bones)


def test_messages():
    with pytest.raises(ValueError, match=r"snout, tail, paw; too few of these are joints of a human body"):
        skeleton_of_names(["snout", "tail", "paw"])
    with pytest.raises(ValueError, match=r"two of them mean left_hip"):
        skeleton_of_names(["LHip", "left_hip", "nose"])
    view = ViewJoints(torch.zeros(1, 1, 3, 3), joint_names=("nose", "LHip"))
    with pytest.raises(ValueError, match="names 2 joints and people have 3"):
        said_skeleton(view)


def test_a_file_that_says_nothing_or_everything():
    assert said_skeleton(ViewJoints(torch.zeros(1, 1, 17, 3))) is None
    assert said_skeleton(ViewJoints(torch.zeros(1, 1, 17, 3), skeleton="h36m_17")) == "h36m_17"
    assert said_skeleton(ViewJoints(torch.zeros(1, 1, 17, 3), joint_names=COCO_17.joints)) is COCO_17
    whole = tuple(f"point {n}" for n in range(133))
    assert said_skeleton(ViewJoints(torch.zeros(1, 1, 133, 3), joint_names=whole)) is None
