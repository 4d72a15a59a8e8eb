"""Cameras that look at something in common."""

from pathlib import Path

import numpy as np
import pytest

from coview.formats.calibration.axis_convention import most_plausible, orientation_notes
from coview.formats.calibration.file_camera import FileCamera, camera_matrix

CONVENTIONS = [("as it is", np.eye(3), False), ("turned", np.diag([1.0, -1.0, -1.0]), False)]


def looking_at(centre, place, up=(0, 0, 1.0)):
    forward = np.subtract(place, centre).astype(float)
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = camera_matrix(1000.0, 1000.0, 500.0, 500.0)
    return FileCamera(
        "a", "a", (1000.0, 1000.0), matrix, (), False, rotation, -rotation @ np.array(centre, float)
    )


def rig(place=(0, 0, 1), up=(0, 0, 1.0)):
    return [looking_at(centre, place, up) for centre in ((4, 0, 2), (0, 4, 2), (-4, 0.5, 2))]


def backward():
    return most_plausible(rig(), CONVENTIONS[1:])[0]


def test_good_cameras_raise_no_note():
    assert orientation_notes(rig(), Path("a")) == []


@pytest.mark.parametrize(
    ("cameras", "words"),
    [(backward(), "meet behind most of them"), (rig(up=(0, 0, -1.0)), "stand on their heads")],
)
def test_turned_cameras_do(cameras, words):
    assert words in " ".join(orientation_notes(cameras, Path("a")))


def test_the_better_convention_is_named():
    cameras, said, readings = most_plausible(backward(), CONVENTIONS)
    assert said.startswith("turned, and not as it is")
    assert [name for name, _ in readings] == ["as it is", "turned"]
    np.testing.assert_allclose(cameras[0].rotation, rig()[0].rotation, atol=1e-12)
    assert most_plausible(rig(), CONVENTIONS)[1].startswith("as it is, with which")


def test_one_camera_and_parallel_ones_decide_nothing():
    parallel = [looking_at((x, 0, 1), (x, 100, 1)) for x in (0, 1, 2)]
    for cameras in (rig()[:1], parallel):
        assert orientation_notes(cameras, Path("a")) == []
        assert "cannot confirm it" in most_plausible(cameras, CONVENTIONS)[1]
