"""One file per camera: plain JSON, COCO results, npz."""

import json

import numpy as np
import pytest
import torch

from coview.formats.keypoints.files import is_keypoint_content, is_keypoint_file, read_keypoint_file


def write(tmp_path, content, name="cam1.json"):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_plain_json(tmp_path):
    content = {
        "camera": "cam1",
        "fps": 50,
        "size": [640, 480],
        "skeleton": "coco_17",
        "frames": [
            {"people": [[[1, 2, 0.5], [3, 4, 0.6]]]},
            {"people": []},
            None,
            {"people": [[], [[5, 6, 1], [7, 8, 1]]]},
        ],
    }
    view = read_keypoint_file(write(tmp_path, content))
    assert (view.fps, view.size, view.skeleton, view.first) == (50.0, (640, 480), "coco_17", 0)
    assert tuple(view.points.shape) == (4, 1, 2, 3)
    assert view.points[0, 0, 1].tolist() == [3, 4, pytest.approx(0.6)]
    assert view.points[1:3].isnan().all()
    assert view.points[3, 0, 0].tolist() == [5, 6, 1]


def test_coco_results(tmp_path):
    rows = [
        {"image_id": 12, "category_id": 1, "keypoints": [1, 2, 0.5] * 17, "score": 0.9},
        {"image_id": 10, "category_id": 1, "keypoints": [3, 4, 0.5] * 17, "score": 0.8},
        {"image_id": 12, "category_id": 1, "keypoints": [5, 6, 0.5] * 17, "score": 0.7},
    ]
    view = read_keypoint_file(write(tmp_path, rows))
    assert view.first == 10
    assert tuple(view.points.shape) == (3, 2, 17, 3)
    assert view.points[1].isnan().all()
    assert view.points[2, :, 0, 0].tolist() == [1, 5]


def test_image_names_hold_the_number(tmp_path):
    rows = [{"image_id": f"cam1_{n:05d}.jpg", "keypoints": [1, 2, 0.5]} for n in (0, 1)]
    assert read_keypoint_file(write(tmp_path, rows)).points.shape[0] == 2


def test_npz(tmp_path):
    joints = np.random.default_rng(0).random((4, 1, 17, 3)).astype(np.float32)
    np.savez(tmp_path / "a.npz", joints=joints)
    assert torch.equal(read_keypoint_file(tmp_path / "a.npz").points, torch.from_numpy(joints))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cameras": []}, "holds no 2D joints"),
        ([], "holds no 2D joints"),
        ('{"frames": [', r"cam1.json, line 1, column 13: not valid JSON"),
        ({"frames": [{"people": []}]}, "nobody is in any of the 1 frames"),
        (
            {"frames": [{"people": [[[1, 2]]]}]},
            r"cam1.json, frame 0: a person should be a list of \[x, y, conf",
        ),
        ({"frames": [{"people": [[["a", 2, 3]]]}]}, "frame 0: a person should be"),
        ({"frames": [{"people": [[[1, 2, 3]], [[1, 2, 3]] * 2]}]}, r"different numbers of joints: \[1, 2\]"),
        ({"frames": [3]}, r"frame 0: should be a table with a list `people`, found 3"),
        ({"frames": [{"people": [[[1, 2, 3]]]}], "size": ["x", 2]}, r"`size` should be width and height"),
        ({"frames": [{"people": [[[1, 2, 3]]]}], "size": [1e400, 2]}, r"`size` should be width and height"),
        (
            {"frames": [{"people": [[[1, 2, 3]]]}], "fps": 1e400},
            r"`fps` should be frames per second, found inf",
        ),
        ({"frames": [{"people": [[[1, 2, 3]]]}], "skeleton": 3}, r"`skeleton` should be a name, found 3"),
        ([{"image_id": "x.jpg", "keypoints": [1, 2, 3]}], "holds no frame number"),
        ([{"image_id": n, "keypoints": [1, 2, 3]} for n in (0, 10**9)], "no frame numbers"),
    ],
)
def test_messages(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_keypoint_file(write(tmp_path, content))


def test_npz_of_another_shape(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.zeros((4, 17, 3)))
    with pytest.raises(ValueError, match="needs an array 'joints' of shape"):
        read_keypoint_file(tmp_path / "a.npz")


def test_settings_are_not_taken_for_joints():
    assert not is_keypoint_content({"cameras": {"cam1": {}}})
    assert not is_keypoint_content([{"image_id": 1, "bbox": []}])
    assert is_keypoint_content({"frames": []})


def test_npz_of_places_and_scores(tmp_path):
    """What rtmlib and MMPose return, saved as it is."""
    places, scores = np.ones((4, 2, 17, 2)), np.full((4, 2, 17), 0.5)
    np.savez(tmp_path / "a.npz", keypoints=places, scores=scores)
    assert is_keypoint_file(tmp_path / "a.npz")
    assert read_keypoint_file(tmp_path / "a.npz").points[3, 1, 16].tolist() == [1, 1, 0.5]
    np.savez(tmp_path / "b.npz", keypoints=places[:, 0], scores=scores[:, 0])
    assert tuple(read_keypoint_file(tmp_path / "b.npz").points.shape) == (4, 1, 17, 3)
    np.savez(tmp_path / "c.npz", keypoints=places, scores=scores[:2])
    with pytest.raises(ValueError, match=r"'keypoints' .* and 'scores'"):
        read_keypoint_file(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", features=places)
    assert not is_keypoint_file(tmp_path / "d.npz")


def test_numbers_beyond_all_images_are_absent(tmp_path):
    view = read_keypoint_file(write(tmp_path, {"frames": [{"people": [[[1, 2, 0.5], [1e300, 2, 1]]]}]}))
    assert view.points[0, 0, 1, 0].isinf()
