from dataclasses import replace

import torch

from coview.data.human36m.check import check_human36m
from coview.data.human36m.labels import read_labels, write_labels


def test_a_sound_folder(human36m):
    report = check_human36m(human36m)
    assert report.faults == ()
    s1, s9 = report.rows
    assert (s1.subject, s1.part, s1.clips, s1.instants, s1.incomplete) == ("S1", "train", 1, 3, 0)
    assert (s9.subject, s9.part, s9.incomplete, s9.missing) == ("S9", "test", 1, 0)
    assert min(s1.inside, s9.inside) == 1
    assert max(s1.off, s9.off) < 0.02
    assert report.notes[0].startswith("train: 3 instants: no preparation that is known")
    assert report.notes[2].startswith("1 instants lack a view and are left out")


def test_numbers_to_recognise_are_recognised(human36m):
    labels = read_labels(human36m)
    write_labels(labels[torch.arange(3, 5).repeat(13_317)], human36m)
    notes = check_human36m(human36m).notes
    assert "test: 26634 instants: every fifth frame, as the paper's tables." in notes


def test_missing_pictures_are_counted_and_one_is_named(human36m):
    place = human36m / "processed" / "S9" / "Walking-1" / "imageSequence"
    (place / "55011271" / "img_000006.jpg").unlink()
    for path in (place / "60457274").iterdir():
        path.unlink()
    (place / "60457274").rmdir()
    report = check_human36m(human36m)
    assert [row.missing for row in report.rows] == [0, 4]
    (fault,) = report.faults
    assert fault.startswith("4 pictures are missing in 2 folders, e.g. ")
    assert fault.endswith("55011271/img_000006.jpg.")


def test_cameras_in_another_order_are_found_out(human36m):
    labels = read_labels(human36m)
    write_labels(replace(labels, cam_from_world=labels.cam_from_world.roll(1, dims=1)), human36m)
    faults = check_human36m(human36m).faults
    assert len(faults) == 2
    assert "do not belong together" in faults[0]


def test_a_camera_that_cannot_be_is_a_fault(human36m):
    labels = read_labels(human36m)
    wrong = labels.intrinsics.clone()
    wrong[1, 2, 0, 2] = 1700
    write_labels(replace(labels, intrinsics=wrong), human36m)
    assert any(
        "S9: camera '58860488': the principal point" in fault for fault in check_human36m(human36m).faults
    )


def test_a_broken_picture_is_a_fault(human36m):
    path = human36m / "processed" / "S1" / "Walking-1" / "imageSequence" / "54138969" / "img_000001.jpg"
    path.write_bytes(b"")
    assert check_human36m(human36m).faults == (f"{path} is no picture that can be decoded.",)


def test_pictures_undistorted_before_are_found_and_said(human36m):
    for place in sorted(human36m.glob("processed/*/*/imageSequence")):
        place.rename(place.with_name("imageSequence-undistorted"))
    report = check_human36m(human36m)
    assert report.faults == ()
    assert report.notes[0] == "the pictures are in imageSequence-undistorted: read them with undistort False."


def test_damaged_scenes_are_counted(human36m):
    labels = read_labels(human36m)
    write_labels(replace(labels, actions=("Waiting-1",)), human36m)
    assert any(note.startswith("3 instants of S9 Greeting-2, ") for note in check_human36m(human36m).notes)
