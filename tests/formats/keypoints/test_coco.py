"""COCO results, AlphaPose's list (the same layout) and COCO annotations."""

import json

import pytest

from coview.formats.keypoints.coco import is_coco_annotations, is_coco_results
from coview.formats.keypoints.files import read_keypoint_file


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def annotations(keypoints=(1, 2, 2, 3, 4, 1), files=("000007.jpg", "000008.jpg"), **changes):
    return {
        "images": [
            {"id": 40 + n, "file_name": name, "width": 640, "height": 480} for n, name in enumerate(files)
        ],
        "annotations": [{"id": 1, "image_id": 40, "category_id": 1, "keypoints": list(keypoints)}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_eye"]}],
        **changes,
    }


def test_alphapose_gives_sums_as_scores_and_tracks_and_leaves_empty_frames_out(tmp_path):
    rows = [
        {"image_id": f"{n}.jpg", "category_id": 1, "keypoints": [1, 2, 0.5] * 3, "score": 2.9, "idx": [[0.0]]}
        for n in (4, 6)
    ]
    view = read_keypoint_file(write(tmp_path / "cam1.json", rows))
    assert (view.first, view.missing, view.lists_empty) == (4, 1, False)
    assert view.points[0, 0, 0].tolist() == [1, 2, 0.5]
    assert view.points[1].isnan().all()


def test_annotations(tmp_path):
    view = read_keypoint_file(write(tmp_path / "cam1.json", annotations()))
    assert (view.first, view.size, view.joint_names) == (7, (640, 480), ("nose", "left_eye"))
    assert view.points[0, 0].tolist() == [[1, 2, 1], [3, 4, 0.5]], "visible 1, occluded one half"
    assert view.points[1].isnan().all(), "an image without annotations is a frame without people"


def test_third_numbers_that_are_confidences_stay(tmp_path):
    view = read_keypoint_file(write(tmp_path / "c.json", annotations((1, 2, 0.4, 3, 4, 0.9))))
    assert view.points[0, 0, :, 2].tolist() == [pytest.approx(0.4), pytest.approx(0.9)]


def test_recognition():
    assert is_coco_annotations(annotations())
    assert not is_coco_annotations({"images": [], "annotations": [{"bbox": [1, 2, 3, 4]}]})
    assert not is_coco_results([{"bbox": [1, 2, 3, 4], "image_id": 1}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (annotations(files=("cam1/1.jpg", "cam2/1.jpg")), r"images of several folders \(cam1, cam2\)"),
        (annotations(images=[{"file_name": "1.jpg"}]), "needs an `id`"),
        (annotations(images=[]), "needs an `id`"),
        (
            annotations(annotations=[{"image_id": 9, "keypoints": [1, 2, 2]}]),
            "of image 9, which is not listed",
        ),
        (annotations(keypoints=(1, 2)), r"a person should be a list of \[x, y, confidence\]"),
        (
            [{"image_id": 0, "keypoints": [1, 2, 1]}, 3],
            "an entry should be a table with `keypoints`, found 3",
        ),
    ],
)
def test_messages(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_keypoint_file(write(tmp_path / "cam1.json", content))
