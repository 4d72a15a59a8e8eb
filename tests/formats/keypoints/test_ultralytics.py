"""Ultralytics' labels: the line's numbers, and folders of them."""

import pytest

from coview.formats.keypoints.sources import sources_in
from coview.formats.keypoints.ultralytics import is_ultralytics, ultralytics_people


def line(joints=17, dims=3, after="", x=0.5):
    return (
        "0 0.5 0.5 0.2 0.6 "
        + " ".join([f"{x} 0.25 0.9" if dims == 3 else f"{x} 0.25"] * joints)
        + after
        + "\n"
    )


@pytest.mark.parametrize("after", ["", " 0.87", " 0.87 3"])
@pytest.mark.parametrize(("joints", "dims"), [(17, 3), (17, 2), (26, 3), (133, 3)])
def test_a_line(tmp_path, joints, dims, after):
    file = tmp_path / "cam1_1.txt"
    file.write_text(line(joints, dims, after) * 2)
    assert is_ultralytics(file.read_text())
    people = ultralytics_people(file)
    assert [one.shape for one in people] == [(joints, 3)] * 2
    assert people[0][0].tolist() == pytest.approx([0.5, 0.25, 0.9 if dims == 3 else 1.0])


def test_cameras_in_one_folder_and_frames_without_anybody(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    for n in (2, 3, 10):
        (folder / f"walk cam1_{n}.txt").write_text(line())
    for n in (1, 3):
        (folder / f"walk cam2_{n}.txt").write_text(line() if n > 1 else "")
    found = sources_in(folder)
    assert list(found) == ["walk cam1", "walk cam2"]
    view = found["walk cam1"].read()
    assert (view.first, len(view.points), view.normalised, view.lists_empty) == (2, 9, "unit", False)


def test_a_folder_per_camera_with_labels_in_it(tmp_path):
    for camera in ("left", "right"):
        (tmp_path / camera / "labels").mkdir(parents=True)
        for n in (1, 2):
            (tmp_path / camera / "labels" / f"video_{n}.txt").write_text(line())
    assert list(sources_in(tmp_path)) == ["left", "right"]


def test_what_is_not_a_label_file(tmp_path):
    assert not is_ultralytics("some notes\n")
    assert not is_ultralytics("0 0.5 0.5 0.2 0.6\n"), "a box without joints"
    assert not is_ultralytics("1 " + " ".join(["400"] * 60)), "a table of anything"
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.2 0.6 " + "0.1 " * 29)
    with pytest.raises(
        ValueError, match=r"a.txt: a line of 34 numbers is not class, box and x, y, confidence"
    ):
        ultralytics_people(tmp_path / "a.txt")
    (tmp_path / "a.txt").write_text("0 x\n")
    with pytest.raises(ValueError, match="a line should be numbers"):
        ultralytics_people(tmp_path / "a.txt")
