"""Which files are the 2D joints of which camera."""

import json

import pytest

from coview.formats.keypoints.sources import frames_within, not_understood, source_at, sources_in

FRAME = json.dumps({"people": [{"pose_keypoints_2d": [1.0, 2, 0.5] * 17}]})
ROWS = json.dumps([{"image_id": n, "keypoints": [1.0, 2, 0.5] * 17} for n in (0, 1)])


def files(root, *names, content=FRAME):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_frames_of_all_cameras_in_one_folder(tmp_path):
    files(tmp_path, *(f"cam0{c}_{n:012d}_keypoints.json" for c in (1, 2) for n in range(3)))
    found = sources_in(tmp_path)
    assert {name: len(source.files) for name, source in found.items()} == {"cam01": 3, "cam02": 3}
    assert tuple(found["cam01"].read().points.shape) == (3, 1, 17, 3)


def test_one_camera_s_frames_are_no_several_cameras(tmp_path):
    files(tmp_path, *(f"take_{n:03d}.json" for n in range(3)))
    assert sources_in(tmp_path) == {}
    assert len(frames_within(tmp_path).files) == 3


def test_pictures_of_mmpose_and_folders_within(tmp_path):
    picture = json.dumps([{"keypoints": [[1, 2]] * 17, "keypoint_scores": [1.0] * 17}])
    files(tmp_path, *(f"{c}/predictions/{n:06d}.json" for c in "ab" for n in range(2)), content=picture)
    assert {name: len(source.read().points) for name, source in sources_in(tmp_path).items()} == {
        "a": 2,
        "b": 2,
    }


def test_results_of_single_pictures(tmp_path):
    """AlphaPose's and COCO's list, one file per picture."""
    for camera in "ab":
        for n in range(3):
            rows = [{"image_id": f"{n}.jpg", "keypoints": [1.0, 2, 0.5] * 17}] * n
            files(
                tmp_path,
                f"{camera}/{n:06d}.json",
                content=json.dumps(rows or [{"image_id": "0.jpg", "keypoints": [0] * 51}]),
            )
    assert [tuple(source.read().points.shape) for source in sources_in(tmp_path).values()] == [
        (3, 2, 17, 3)
    ] * 2


def test_a_file_in_a_folder_per_camera(tmp_path):
    files(tmp_path, "cam1/alphapose-results.json", "cam2/alphapose-results.json", content=ROWS)
    assert list(sources_in(tmp_path)) == ["cam1", "cam2"]
    assert len(source_at(tmp_path / "cam1").read().points) == 2


def test_files_of_all_cameras_go_before_one_that_lies_deeper(tmp_path):
    files(tmp_path, "cam1.json", "cam2.json", "old/cam1.json", "older/cam1.json", content=ROWS)
    assert [source.path.name for source in sources_in(tmp_path).values()] == ["cam1.json", "cam2.json"]


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("cam1_json.json", "cam1"),
        ("results_cam1.json", "cam1"),
        ("cam1DLC_resnet50_walkJul1shuffle1_50000.json", "cam1"),
        ("Cam\u0065\u0301ra.json", "Cam\u00e9ra"),
        ("cam #1 (a).json", "cam #1 (a)"),
        ("DLC_a.json", "DLC_a"),
    ],
)
def test_names(tmp_path, name, camera):
    files(tmp_path, name, content=ROWS)
    assert list(sources_in(tmp_path)) == [camera]


def test_the_kind_of_file_that_most_cameras_have(tmp_path):
    files(tmp_path, "a.json", "b.json", content=ROWS)
    files(tmp_path, "features.h5", content="")
    assert list(sources_in(tmp_path)) == ["a", "b"]


def test_what_is_not_understood_is_named(tmp_path):
    files(tmp_path, "x/cam1.pkl", "x/cam2.pkl", "notes.txt", "video.mp4", content="")
    assert not_understood(tmp_path) == "2 files *.pkl (x/cam1.pkl, x/cam2.pkl); 1 file *.txt (notes.txt)"


def test_nothing_there(tmp_path):
    assert sources_in(tmp_path / "nowhere") == {}
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere"):
        source_at(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no JSON files"):
        source_at(tmp_path).read()
