"""MMPose's JSON of its inferencer, of its demos, and of single pictures."""

import json

import pytest

from coview.formats.keypoints.files import read_keypoint_file
from coview.formats.keypoints.mmpose import is_mmpose, is_mmpose_picture, mmpose_people


def instance(x=1.0, score=0.5, joints=2):
    # MMPose wraps the box once more
    return {
        "keypoints": [[x + n, 2.0] for n in range(joints)],
        "keypoint_scores": [score] * joints,
        "bbox": [[0, 0, 9, 9]],
        "bbox_score": 0.9,
    }


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_the_inferencer(tmp_path):
    rows = [
        {"frame_id": 0, "instances": [instance(), instance(5.0)]},
        {"frame_id": 1, "instances": []},
        {"frame_id": 2, "instances": [instance(7.0)]},
    ]
    view = read_keypoint_file(write(tmp_path / "cam1.json", rows))
    assert tuple(view.points.shape) == (3, 2, 2, 3)
    assert view.points[0, 1, 1].tolist() == [6, 2, 0.5]
    assert view.points[1].isnan().all()
    assert (view.first, view.lists_empty, view.joint_names) == (0, True, ())


def test_the_demo_counts_from_one_and_may_name_the_joints(tmp_path):
    content = {
        "meta_info": {"dataset_name": "coco", "keypoint_id2name": {"0": "nose", "1": "left_eye"}},
        "instance_info": [{"frame_id": 1, "instances": [instance()]}],
    }
    view = read_keypoint_file(write(tmp_path / "cam1.json", content))
    assert (view.first, view.joint_names) == (1, ("nose", "left_eye"))


def test_one_picture():
    assert is_mmpose_picture([instance()])
    assert not is_mmpose([instance()])
    assert mmpose_people([instance(3.0)], "p")[0][0].tolist() == [3, 2, 0.5]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"frame_id": "x", "instances": [instance()]}], r"cam1.json, entry 0: `frame_id` 'x' is no number"),
        ([{"instances": [{"keypoints": [[1, 2, 3]], "keypoint_scores": [1]}]}], r"frame 0: .* joints in 3D"),
        ([{"instances": [{"keypoints": [[1, 2]], "keypoint_scores": [1, 1]}]}], "with a score each"),
        ([{"instances": [{"keypoints": [["a", 2]], "keypoint_scores": [1]}]}], "with a score each"),
        ([{"instances": [3]}], "should be a list of people"),
        ([{"instances": []}, 7], "nobody is in any of the 2 frames"),
        ([{"instances": [instance(), instance(joints=3)]}], r"different numbers of joints: \[2, 3\]"),
    ],
)
def test_messages(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        read_keypoint_file(write(tmp_path / "cam1.json", rows))
