import math

import torch

from coview.capture.reconstruction.motion_quality import bone_length_std, jitter


def test_a_stick_that_breathes_and_trembles():
    frames = torch.arange(100.0)
    points = torch.zeros(100, 2, 3)
    points[:, 1, 0] = 1 + 0.01 * torch.where(frames % 2 == 0, 1.0, -1.0)
    assert abs(bone_length_std(points, [(0, 1)]) - 0.01) < 1e-6
    assert abs(jitter(points) - 0.08 / math.sqrt(2)) < 1e-6, "eight amplitudes at one of two joints"


def test_speed_and_acceleration_are_no_jitter():
    frames = torch.arange(50.0, dtype=torch.float64)
    points = torch.stack([frames, frames**2, 0 * frames], dim=-1)[:, None]
    assert jitter(points) < 1e-9


def test_nothing_known_is_nan():
    unknown = torch.full((10, 2, 3), torch.nan)
    assert math.isnan(bone_length_std(unknown, [(0, 1)]))
    assert math.isnan(bone_length_std(unknown, []))
    assert math.isnan(jitter(unknown))
