"""Cameras on one row of frames."""

import numpy as np
import pytest
import torch

from coview.errors import InputError
from coview.formats.keypoints import view_joints
from coview.formats.keypoints.view_joints import ViewJoints, align_frames, stack_people


def view(frames, first=0, **rest):
    points = torch.arange(first, first + frames).float()[:, None, None, None].expand(frames, 1, 2, 3)
    return ViewJoints(points.clone(), first, **rest)


def aligned(views, *given):
    found = align_frames(views, *given)
    return found.points, found.said


def test_equal_cameras_stay_as_they_are():
    rows, said = aligned({"a": view(5), "b": view(5)})
    assert [len(row) for row in rows] == [5, 5]
    assert said == "5 frames"


@pytest.mark.parametrize("more", [1, 2])
def test_one_or_two_frames_more_are_cut_and_said(more):
    rows, said = aligned({"a": view(5), "b": view(5 + more)})
    assert [len(row) for row in rows] == [5, 5]
    assert said == f"5 frames; cut to the shortest camera (a 5, b {5 + more})"


def test_mismatched_frame_counts_are_refused_with_all_counts():
    with pytest.raises(ValueError, match=r"a 5, b 8, c 5\. Frame n .*--allow-unequal") as caught:
        align_frames({"a": view(5), "b": view(8), "c": view(5)})
    assert "keep the first 5 frames" in str(caught.value)


def test_mismatched_frame_counts_on_request():
    rows, said = aligned({"a": view(5), "b": view(8)}, True)
    assert [len(row) for row in rows] == [5, 5]
    assert "cut to the shortest" in said


@pytest.mark.parametrize("allow_unequal", [False, True])
def test_a_file_without_empty_frames_may_end_early(allow_unequal):
    open_ended = {name: view(n, lists_empty=False) for name, n in (("a", 5), ("b", 9))}
    found = align_frames(open_ended, allow_unequal)
    assert [len(row) for row in found.points] == [9, 9]
    assert found.points[0][5:].isnan().all()
    assert found.said == "9 frames; frames without a file, left empty: a 4"
    assert "joints of a end before" in found.warnings[0]
    # equally long videos prove it
    assert align_frames(open_ended, allow_unequal, {"a": 9, "b": 9}).warnings == ()


def test_equally_long_videos_prove_one_recording():
    views = {"a": view(5), "b": view(9)}
    found = align_frames(views, lengths={"a": 9, "b": 9})
    assert [len(row) for row in found.points] == [9, 9]
    # more joints than pictures: these are of another video
    with pytest.raises(ValueError, match=r"different numbers of frames: a 5, b 9\. "):
        align_frames(views, lengths={"a": 6, "b": 6})


def test_videos_of_different_lengths_are_different_recordings():
    views = {"a": view(5, lists_empty=False), "b": view(9, lists_empty=False)}
    with pytest.raises(ValueError, match=r"a 5, b 9 \(their videos: a 5, b 9 pictures\)"):
        align_frames(views, lengths={"a": 5, "b": 9})


def test_the_first_frame_is_common_to_all_cameras():
    found = align_frames({"a": view(6, first=10), "b": view(5, first=11)})
    a, b = found.points
    assert a[:, 0, 0, 0].tolist() == [10, 11, 12, 13, 14, 15]
    assert b[0].isnan().all()
    assert b[1:, 0, 0, 0].tolist() == [11, 12, 13, 14, 15]
    assert "first frame numbers differ (a 10, b 11)" in found.said
    assert found.first == 10
    assert found.first_pictures == {"a": 10, "b": 10}


def test_frames_without_files_are_counted():
    _, said = aligned({"a": view(5, missing=2), "b": view(5)})
    assert said == "5 frames; frames without a file, left empty: a 2"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": (2**63, 1000)}, "images of 9223372036854775808×1000 pixels"),
        ({"size": (0, 1000)}, "images of 0×1000"),
        ({"fps": float("inf")}, "inf frames per second"),
        ({"fps": 0.0}, "0.0 frames per second"),
    ],
)
def test_what_no_recording_has_is_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        ViewJoints(torch.zeros(1, 1, 2, 3), **wrong)


def test_time_stamps_are_no_frame_numbers():
    """Rows for all numbers between would take 510 TB."""
    views = {
        "a": ViewJoints(torch.zeros(5, 1, 2, 3)),
        "b": ViewJoints(torch.zeros(5, 1, 2, 3), 1_700_000_000_000),
    }
    with pytest.raises(
        InputError, match="frames of camera 'a' are numbered from 0 and those of 'b' from 1700000000000"
    ):
        align_frames(views)


def test_one_frame_of_thousands_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(view_joints, "_MANY", 1000)
    person = np.zeros((2, 3))
    assert stack_people([[person] * 50, [person] * 50], 2).shape == (2, 50, 2, 3)
    with pytest.raises(InputError, match=r"frame 3 .* holds 50 people"):
        stack_people([[]] * 3 + [[person] * 50] + [[]] * 200, 2)
