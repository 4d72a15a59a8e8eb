"""OpenPose folders as they are found: gaps, empty people, several naming habits, broken files."""

import json
from pathlib import Path

import pytest

from coview.formats.keypoints.openpose import frame_numbers, read_openpose_folder

PERSON = [10.0, 20.0, 0.5, 30.0, 40.0, 0.9]  # two joints


def write(folder: Path, number: int, content) -> None:
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / f"cam_{number:012d}_keypoints.json").write_text(text)


def people(*persons):
    return {"version": 1.3, "people": [{"person_id": [-1], "pose_keypoints_2d": p} for p in persons]}


def test_frames_people_and_gaps(tmp_path):
    write(tmp_path, 3, people(PERSON))
    write(tmp_path, 4, people(PERSON, [1.0] * 6))
    write(tmp_path, 6, people([5.0] * 6))
    view = read_openpose_folder(tmp_path)
    assert (view.first, view.missing, view.joint_count, tuple(view.points.shape)) == (3, 1, 2, (4, 2, 2, 3))
    assert view.points[0, 0].tolist() == [[10, 20, 0.5], [30, 40, pytest.approx(0.9)]]
    assert view.points[0, 1].isnan().all(), "one person where there is place for two"
    assert view.points[2].isnan().all(), "frame 5 has no file"


@pytest.mark.parametrize("empty", [[], {}, [{}], [{"pose_keypoints_2d": []}], None])
def test_nobody_in_some_frames(tmp_path, empty):
    # all these were seen in files of OpenPose and Pose2Sim
    write(tmp_path, 0, people(PERSON))
    write(tmp_path, 1, {"people": empty})
    view = read_openpose_folder(tmp_path)
    assert view.points[0].isfinite().all()
    assert view.points[1].isnan().all()


def test_frames_are_sorted_by_number(tmp_path):
    for number in (10, 2, 1):
        tmp_path.joinpath(f"c1_frame{number}.json").write_text(json.dumps(people([float(number)] * 6)))
    view = read_openpose_folder(tmp_path)
    assert view.points[[0, 1, 9], 0, 0, 0].tolist() == [1, 2, 10]


def test_null_and_nan_are_missing(tmp_path):
    write(tmp_path, 0, '{"people": [{"pose_keypoints_2d": [null, NaN, 0.5, 1, 2, 0.5]}]}')
    assert read_openpose_folder(tmp_path).points[0, 0].isnan().tolist() == [[True, True, False], [False] * 3]


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["cam01.0000.json", "cam01.0001.json"], [0, 1]),
        (["S1_cam2_000000000007_keypoints.json", "S1_cam2_000000000012_keypoints.json"], [7, 12]),
        (["frame3_cam1.json", "frame4_cam1.json"], [3, 4]),  # the last number is the camera's
        (["5.json"], [5]),
    ],
)
def test_frame_numbers(names, numbers):
    assert frame_numbers(names, Path("f")) == numbers


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a1.json", "b1.json"], "a1.json and b1.json have the same frame number 1"),
        (["one.json"], "no frame number"),
        (["1700000000123.json", "1700000000156.json"], None),
        (["1700000000123.json", "1700009000156.json"], "no frame numbers"),
    ],
)
def test_doubtful_frame_numbers(names, message):
    if message is None:
        assert len(frame_numbers(names, Path("f"))) == 2
        return
    with pytest.raises(ValueError, match=message):
        frame_numbers(names, Path("f"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"people": [', r"cam_000000000000_keypoints.json, line 1, column 13: not valid JSON"),
        ("[1]", "no `people`; this is not OpenPose JSON"),
        ({"people": [[1.0, 2.0, 3.0]]}, r"a person should be a table .* found \[1.0, 2.0, 3.0\]"),
        ({"people": "two"}, "`people` should be a list, found str"),
        (people([1.0, 2.0]), r"has shape \(2,\), not a flat list"),
        (people(["x", 1, 2]), "holds something that is no number"),
    ],
)
def test_broken_files_are_named(tmp_path, content, message):
    write(tmp_path, 0, content)
    with pytest.raises(ValueError, match=message):
        read_openpose_folder(tmp_path)


def test_a_camera_that_saw_nobody(tmp_path):
    write(tmp_path, 0, people())
    with pytest.raises(ValueError, match="nobody is in any of the 1 frames"):
        read_openpose_folder(tmp_path)


def test_two_detectors_in_one_folder(tmp_path):
    write(tmp_path, 0, people(PERSON))
    write(tmp_path, 1, people(PERSON[:3]))
    with pytest.raises(ValueError, match=r"different numbers of joints: 1 joints \(such as .*\), 2 joints"):
        read_openpose_folder(tmp_path)


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="holds no JSON files"):
        read_openpose_folder(tmp_path)


def test_the_real_recording(shared_data):
    # README there: people[0] may be [] or {}; cam03 has one frame with an empty person (counted by hand)
    folder = shared_data / "pose2sim_single" / "balancing" / "pose-associated"
    view = read_openpose_folder(folder / "cam03_json")
    assert tuple(view.points.shape) == (100, 1, 25, 3)
    assert int(view.points.flatten(1).isnan().all(dim=1).sum()) == 1


@pytest.mark.parametrize("key", ["pose_keypoints_2d", "pose_keypoints", "joints"])
def test_keys_of_versions_and_ports(tmp_path, key):
    (tmp_path / "0.json").write_text(json.dumps({"people": [{key: [1, 2, 0.5]}]}))
    assert read_openpose_folder(tmp_path).points[0, 0, 0].tolist() == [1, 2, 0.5]


def test_people_without_a_body_name_what_they_have(tmp_path):
    (tmp_path / "0.json").write_text(json.dumps({"people": [{"hand_left_keypoints_2d": [1, 2, 0.5]}]}))
    with pytest.raises(ValueError, match=r"a person has `hand_left_keypoints_2d` and no `pose_keypoints_2d`"):
        read_openpose_folder(tmp_path)
    (tmp_path / "0.json").write_text(json.dumps({"people": [None]}))
    with pytest.raises(ValueError, match=r"a person should be a table with `pose_keypoints_2d`, found None"):
        read_openpose_folder(tmp_path)
