"""Frames by number, people from numbers: what all readers share."""

import numpy as np
import pytest

from coview.formats.keypoints.frames import image_number, joint_count, person, scored_person, view_of_frames

ONE = np.array([[1.0, 2, 0.5]], dtype=np.float32)


def test_frames_that_are_not_there_are_left_empty():
    view = view_of_frames({5: [ONE], 8: [ONE, ONE + 1]}, "f", fps=50.0)
    assert (view.first, view.missing, view.fps) == (5, 2, 50.0)
    assert tuple(view.points.shape) == (4, 2, 1, 3)
    assert view.points[1:3].isnan().all()


@pytest.mark.parametrize(("image", "number"), [(7, 7), ("cam2_0012.jpg", 12), ("a/b9/003.png", 3)])
def test_numbers_of_images(image, number):
    assert image_number(image, "f") == number


def test_people_flat_and_nested():
    assert np.array_equal(person([1, 2, 0.5], "f"), ONE)
    assert np.array_equal(person([[1, 2, 0.5]], "f"), ONE)
    assert np.array_equal(scored_person([[1, 2]], [0.5], "f"), ONE)


@pytest.mark.parametrize("numbers", [[], [1, 2], [[1, 2]], ["a", 2, 3], None, [[[1, 2, 3]]], [10**400, 0, 0]])
def test_what_is_no_person_is_named(numbers):
    with pytest.raises(ValueError, match=r"^here: a person should be a list of \[x, y, confidence\]"):
        person(numbers, "here")


def test_messages():
    with pytest.raises(ValueError, match="f: nobody is in any of the 2 frames"):
        joint_count([[], []], "f")
    with pytest.raises(ValueError, match=r"f: people have different numbers of joints: \[1, 2\]"):
        joint_count([[ONE], [np.zeros((2, 3))]], "f")
    with pytest.raises(ValueError, match="these are no frame numbers"):
        view_of_frames({0: [ONE], 10**15: [ONE]}, "f")
    with pytest.raises(ValueError, match="holds no frame number"):
        image_number("x.jpg", "f")
