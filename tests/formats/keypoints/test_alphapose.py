"""AlphaPose's tables of pictures: `--format open` and `--format cmu`."""

import json

import pytest

from coview.formats.keypoints.alphapose import is_alphapose_pictures
from coview.formats.keypoints.files import read_keypoint_file

NUMBERS = [1.0, 2.0, 0.5, 3.0, 4.0, 0.6]


@pytest.mark.parametrize(
    "row",
    [{"people": [{"pose_keypoints_2d": NUMBERS}]}, {"bodies": [{"joints": NUMBERS}]}],
    ids=["open", "cmu"],
)
def test_both_forms(tmp_path, row):
    path = tmp_path / "cam1.json"
    path.write_text(json.dumps({f"{n}.jpg": {"version": "AlphaPose v0.3", **row} for n in (10, 9, 12)}))
    view = read_keypoint_file(path)
    assert (view.first, len(view.points), view.missing, view.lists_empty) == (9, 4, 1, False)
    assert view.points[0, 0, 1].tolist() == [3, 4, pytest.approx(0.6)]


def test_what_is_no_such_table():
    assert not is_alphapose_pictures({})
    assert not is_alphapose_pictures({"people": []})
    assert not is_alphapose_pictures({"0.jpg": {"people": []}, "settings": {"detector": "yolo"}})


def test_a_damaged_table_is_named(tmp_path):
    path = tmp_path / "cam1.json"
    path.write_text(json.dumps({"picture.jpg": {"people": []}}))
    with pytest.raises(ValueError, match=r"cam1.json: image_id 'picture.jpg' holds no frame number"):
        read_keypoint_file(path)
    path.write_text(json.dumps({"1.jpg": {"people": [{"pose_keypoints_2d": [1, 2]}]}}))
    with pytest.raises(ValueError, match="not a flat list of x, y, confidence"):
        read_keypoint_file(path)
