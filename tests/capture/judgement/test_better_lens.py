from dataclasses import replace

import pytest
import torch

from coview.capture.judgement.better_lens import better_lens
from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras

NOISE = DetectorNoise(sigma=4.0, outlier_rate=0.02, missing_rate=0.02, swap_rate=0.0)


def take():
    cameras = ring_cameras(4, height=2.2, start_angle=0.3)
    pixels, weights = detect(random_motion(200, seed=3), cameras, NOISE, 3)
    return cameras.to(torch.float64), pixels.double(), weights.double()


@pytest.mark.parametrize(("factor", "words"), [(1.25, "0.8"), (0.8, "1.25")])
def test_a_wrong_focal_length_of_all_cameras_is_noticed(factor: float, words: str):
    cameras, pixels, weights = take()
    assert better_lens(cameras, pixels, weights, 1) == ""
    zoomed = cameras.intrinsics * torch.tensor([[factor, 1, 1], [1, factor, 1], [1, 1, 1]])
    found = better_lens(replace(cameras, intrinsics=zoomed), pixels, weights, 1)
    assert f"{words} times the focal length" in found or "times as large" in found


def test_squeezed_pictures_are_noticed():
    cameras, pixels, weights = take()
    assert "as tall" in better_lens(cameras, pixels * torch.tensor([1.0, 0.85]), weights, 1)
