"""Which layouts are understood, and what is said of the others."""

import json

import pytest

from coview.capture.importing.find_recording import find_recording

FRAME = json.dumps({"people": [{"pose_keypoints_2d": [1.0, 2, 0.5] * 17}]})
PLAIN = json.dumps({"frames": [{"people": []}]})


def files(root, *names, content=FRAME):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if path.suffix == ".json" else "")


def test_pose2sim_prefers_associated_people(tmp_path):
    trial = tmp_path / "participant" / "trial"
    for kind in ("pose", "pose-sync", "pose-associated"):
        files(
            trial, f"{kind}/cam02_json/a.0.json", f"{kind}/cam10_json/a.0.json", f"{kind}/cam1_json/a.0.json"
        )
    files(trial, "videos/cam1.mp4", "videos/.hidden.mp4", "videos/notes.txt", "Config.toml")
    files(tmp_path, "calibration/Calib.qca.txt", "calibration/Calib.toml", "calibration/Config.toml")
    found = find_recording(trial)
    assert list(found.joints) == ["cam1", "cam02", "cam10"], "natural order"
    assert found.joints_from == "pose-associated"
    assert found.joints_unused == ("pose-sync", "pose")
    assert list(found.videos) == ["cam1"]
    assert [path.name for path in found.calibrations] == ["Calib.toml", "Calib.qca.txt"]


def test_calibration_beside_the_trial_goes_before_one_above(tmp_path):
    files(tmp_path / "p" / "trial", "a_json/0.json", "b_json/0.json", "calibration/own.toml")
    files(tmp_path, "p/above.toml", "anybodys.toml", "calibration/farther.toml")
    names = [path.name for path in find_recording(tmp_path / "p" / "trial").calibrations]
    assert names == ["own.toml", "above.toml", "farther.toml"]


def test_openpose_folders_without_a_parent(tmp_path):
    files(tmp_path, "left/f_000000000000_keypoints.json", "right/f_000000000000_keypoints.json", "left.avi")
    found = find_recording(tmp_path)
    assert list(found.joints) == ["left", "right"]
    assert found.joints_from == "."


def test_one_file_per_camera_beside_the_videos(tmp_path):
    files(tmp_path, "cam1.json", "cam2_keypoints.json", content=PLAIN)
    files(tmp_path, "settings.json", content='{"detector": "x"}')
    files(tmp_path, "cam1.mp4", "cam2.mp4", "rig.toml")
    found = find_recording(tmp_path)
    assert {name: source.path.name for name, source in found.joints.items()} == {
        "cam1": "cam1.json",
        "cam2": "cam2_keypoints.json",
    }
    assert [path.name for path in found.calibrations] == ["rig.toml"]


def test_calibrations_of_other_programs_are_candidates(tmp_path):
    files(tmp_path, "cam1.json", "cam2.json", content=PLAIN)
    files(tmp_path, "calibration_walk.json", content='{"cameras": []}')
    files(tmp_path, "intri.yml", "extri.yml", "rig.xcp", "cameras.txt", "notes.txt")
    found = [path.name for path in find_recording(tmp_path).calibrations]
    assert found == ["calibration_walk.json", "cameras.txt", "intri.yml", "rig.xcp"]


def test_a_broken_or_empty_camera_is_found_and_not_skipped(tmp_path):
    files(tmp_path, "pose/a_json/0.json", "pose/b_json/readme.txt")
    files(tmp_path, "pose/c_json/0.json", content='{"people": [')
    assert list(find_recording(tmp_path).joints) == ["a", "b", "c"]


def test_the_session_made_in_the_folder_is_no_source(tmp_path):
    files(tmp_path, "joints2d/cam1.npz", "session.toml")
    files(tmp_path, "cam1.json", "cam2.json", content=PLAIN)
    assert find_recording(tmp_path).joints_from == "."


def test_messages(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere\."):
        find_recording(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"is empty\. Expected is a folder with 2D joints"):
        find_recording(tmp_path)
    files(tmp_path, ".DS_Store")
    with pytest.raises(ValueError, match="is empty"):
        find_recording(tmp_path)
    files(tmp_path, "readme.txt")
    with pytest.raises(FileNotFoundError, match="that is a file"):
        find_recording(tmp_path / "readme.txt")
    with pytest.raises(ValueError, match="holds neither videos nor 2D joints"):
        find_recording(tmp_path)
    files(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(ValueError, match=r"holds 2 videos \(a, b\) and no 2D joints\. .*run a 2D detector"):
        find_recording(tmp_path)
    files(tmp_path, "f0.json", "f1.json")
    with pytest.raises(ValueError, match=r"holds 2 frames of OpenPose JSON directly\. That is one camera"):
        find_recording(tmp_path)


def test_the_folder_above_names_its_recordings(tmp_path):
    files(tmp_path, "walk/pose/a_json/0.json", "run/pose/a_json/0.json", "calibration/x.toml")
    with pytest.raises(
        ValueError, match=r"neither videos nor 2D joints\. Its sub-folders run, walk do; import one"
    ):
        find_recording(tmp_path)


def test_duplicate_camera_names(tmp_path):
    files(tmp_path, "pose/cam1/0.json", "pose/cam1_json/0.json")
    with pytest.raises(ValueError, match="'cam1' and 'cam1_json' are both camera 'cam1'"):
        find_recording(tmp_path)


def test_a_session_is_not_a_recording(tmp_path):
    files(tmp_path, "joints2d/cam1.npz", "session.toml")
    with pytest.raises(ValueError, match=r"is a session already\. Go on with `coview calibrate"):
        find_recording(tmp_path)
