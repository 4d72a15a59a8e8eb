import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.report.eye import enclosing_eye, free_azimuth, near_cameras

SLOPES = (0.6, 0.45)


def test_the_eye_stands_between_the_cameras():
    four = ring_cameras(4, start_angle=0.4)
    angle = free_azimuth(four, np.zeros(3))
    apart = [abs(math.remainder(angle - 0.4 - k * math.pi / 2, 2 * math.pi)) for k in range(4)]
    assert min(apart) == pytest.approx(math.pi / 4, abs=1e-5)
    one = free_azimuth(ring_cameras(1), np.zeros(3))
    assert abs(math.remainder(one - math.pi, 2 * math.pi)) < 1e-5


def seen(points: np.ndarray, eye: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """Across, up, depth: the slow twin."""
    ahead = forward / np.linalg.norm(forward)
    right = np.cross(ahead, [0, 0, 1])
    right = right / np.linalg.norm(right)
    return np.stack([(points - eye) @ axis for axis in (right, np.cross(right, ahead), ahead)], axis=1)


@given(st.integers(0, 10_000), st.integers(1, 20))
@settings(deadline=None, max_examples=50)
def test_every_ball_is_in_the_picture_and_nearer_one_would_be_cut(seed, count):
    draw = np.random.default_rng(seed)
    points, radii = draw.normal(size=(count, 3)) * 3, draw.uniform(0.1, 0.5, count)
    forward = draw.normal(size=3) + np.array([0, 3.0, 0])
    eye = enclosing_eye(points, radii, forward, SLOPES)
    slack = []
    for side, slope in zip((0, 1), SLOPES, strict=True):
        across = seen(points, eye, forward)
        for sign in (-1, 1):  # distance of each ball from the plane at that side
            slack.append((slope * across[:, 2] + sign * across[:, side]) / math.hypot(1, slope) - radii)
    least = [part.min() for part in slack]
    assert min(least) > -1e-9
    touched = [abs(part) < 1e-9 for part in least]
    assert touched[:2] == [True, True] or touched[2:] == [True, True]  # left and right, or above and below


def test_a_camera_far_from_all_others_does_not_count():
    ring = ring_cameras(4)
    lost = ring_cameras(1, radius=200.0)
    every = Cameras.stack([*(ring[view] for view in range(4)), lost[0]])
    near = near_cameras(every, np.zeros(3))
    np.testing.assert_allclose(near, ring.centres.double().numpy())
    assert near_cameras(None, np.zeros(3)).shape == (0, 3)
    assert torch.is_tensor(every.centres)
