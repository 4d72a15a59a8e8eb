"""Numbers from 0 and from 1: what shows it, and what is said where nothing does."""

import pytest

from coview.formats.keypoints.frame_numbers import Numbered, first_numbers


def first(**views):
    return first_numbers({name: Numbered(*numbers) for name, numbers in views.items()})


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        ({"a": (0, 9), "b": (0, 9)}, {"a": 0, "b": 0}),
        # equally many files, one higher
        ({"a": (0, 9), "b": (1, 10)}, {"a": 0, "b": 0}),
        # the number 10 does not exist in ten pictures counted from 0
        ({"a": (0, 9, 10), "b": (3, 10, 10)}, {"a": 0, "b": 2}),
        # nobody has a file 0
        ({"a": (1, 9), "b": (4, 10)}, {"a": 0, "b": 3}),
        # the program of the others counts from 0, and nobody was seen in frame 0
        ({"a": (0, 9), "b": (1, 9)}, {"a": 0, "b": 1}),
        ({"a": (100, 109), "b": (101, 109)}, {"a": 100, "b": 101}),
    ],
)
def test_the_first_number_counted_from_0(views, expected):
    assert first(**views).first == expected


def test_counting_from_1_in_one_camera_is_said():
    found = first(a=(0, 9), b=(1, 10), c=(0, 7))
    assert "the files of b are numbered from 1" in found.warnings[0]
    assert found.said == ("first frame numbers differ (a 0, b 1, c 0): b counted from 1, the others from 0",)


def test_what_cannot_be_told_is_said():
    found = first(a=(0, 9), b=(1, 8))
    assert "begin with number 1" in found.warnings[0]


def test_an_excerpt_video_begins_with_the_first_file():
    found = first(a=(1000, 1009, 10), b=(1000, 1009, 2000))
    assert found.first == {"a": 1000, "b": 1000}
    assert found.video_start == {"a": 1000}
    assert found.warnings == ()


def test_an_excerpt_video_with_fewer_files_is_said():
    found = first(a=(1000, 1009, 50), b=(1000, 1009, 50))
    assert "its first picture was taken for number 1000" in found.warnings[0]
