"""What all calibration formats share: numbers, rotations and quaternions as files give them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from coview.formats.calibration.file_camera import (
    array,
    distortion_list,
    nearest_rotation,
    numbers,
    quaternion,
    rotation_from_quaternion,
    rotation_matrix,
)


def test_rounded_rotations_are_mended_and_wrong_ones_are_not():
    exact = np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1]])
    rounded = exact + np.random.default_rng(0).uniform(-5e-5, 5e-5, (3, 3))
    np.testing.assert_allclose(nearest_rotation(rounded) @ nearest_rotation(rounded).T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(nearest_rotation(rounded), exact, atol=2e-4)
    for wrong in (exact * 1.01, -exact):
        np.testing.assert_array_equal(nearest_rotation(wrong), wrong)


def test_a_quarter_turn_about_z_by_hand():
    # w = cos 45°, z = sin 45°: x goes to y. Scalar first.
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    half = 0.5**0.5
    np.testing.assert_allclose(rotation_from_quaternion((half, 0.0, 0.0, half), "q"), turn, atol=1e-15)
    np.testing.assert_allclose(rotation_matrix([0, 0, np.pi / 2], "r"), turn, atol=1e-15)
    np.testing.assert_allclose(quaternion(turn.astype(float)), (half, 0.0, 0.0, half), atol=1e-15)


def test_quaternions_go_round():
    for rotation in Rotation.random(50, rng=0).as_matrix():
        found = quaternion(rotation)
        assert found[0] >= 0
        np.testing.assert_allclose(rotation_from_quaternion(found, "q"), rotation, atol=1e-12)


@pytest.mark.parametrize(
    ("provoke", "message"),
    [
        (
            lambda: rotation_from_quaternion((0.5, 0.0, 0.0, 0.5), "here"),
            "here: the quaternion .* has length 0.7071",
        ),
        (lambda: rotation_from_quaternion((np.nan, 0.0, 0.0, 0.0), "here"), "has length nan instead of 1"),
        (lambda: numbers("1 2 x", 3, "here"), "here should be numbers, found '1 2 x'"),
        (lambda: numbers("1 2", 3, "here"), "here should be 3 numbers, found 2"),
        (lambda: array([1, 2], (3,), "here"), r"here should have shape \(3,\), found \(2,\)"),
        (lambda: array(["a"], None, "here"), "here should be numbers"),
    ],
)
def test_messages(provoke, message):
    with pytest.raises(ValueError, match=message):
        provoke()


@pytest.mark.parametrize("fisheye", [False, True])
def test_zeros_beyond_what_is_understood_are_dropped(fisheye):
    most = 4 if fisheye else 8
    given = [0.1 * n for n in range(1, most + 1)]
    for count in (most, 12, 14):
        padded = np.pad(given, (0, count - most))
        assert distortion_list(padded[None], "x", fisheye=fisheye) == tuple(given)
    with pytest.raises(
        ValueError, match=rf"x: 14 distortion .*number {most + 1} on not all zero; at most {most}"
    ):
        distortion_list([*given, *[0.0] * (13 - most), 1e-3], "x", fisheye=fisheye)
    assert distortion_list(None, "x") == ()
