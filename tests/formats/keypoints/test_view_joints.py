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


def test_equal_cameras_stay_as_they_are():
    rows, said = align_frames({"a": view(5), "b": view(5)})
    assert [len(row) for row in rows] == [5, 5]
    assert said == "5 frames"


@pytest.mark.parametrize("more", [1, 2])
def test_one_or_two_frames_more_are_cut_and_said(more):
    rows, said = align_frames({"a": view(5), "b": view(5 + more)})
    assert [len(row) for row in rows] == [5, 5]
    assert said == f"5 frames; cut to the shortest camera (a 5, b {5 + more})"


def test_mismatched_frame_counts_are_refused_with_all_counts():
    with pytest.raises(
        ValueError, match=r"a 5, b 8, c 5\).*|a 5, b 8, c 5\. Frame n .*--allow-unequal"
    ) as caught:
        align_frames({"a": view(5), "b": view(8), "c": view(5)})
    assert "keep the first 5 frames" in str(caught.value)


def test_mismatched_frame_counts_on_request():
    rows, said = align_frames({"a": view(5), "b": view(8)}, allow_unequal=True)
    assert [len(row) for row in rows] == [5, 5]
    assert "cut to the shortest" in said


def test_the_first_frame_is_common_to_all_cameras():
    (a, b), said = align_frames({"a": view(6, first=10), "b": view(5, first=11)})
    assert a[:, 0, 0, 0].tolist() == [10, 11, 12, 13, 14, 15]
    assert b[0].isnan().all()
    assert b[1:, 0, 0, 0].tolist() == [11, 12, 13, 14, 15]
    assert "first frame numbers differ (a 10, b 11)" in said


def test_frames_without_files_are_counted():
    _, said = align_frames({"a": view(5, missing=2), "b": view(5)})
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
