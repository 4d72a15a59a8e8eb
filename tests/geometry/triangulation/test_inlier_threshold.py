import pytest
import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.triangulation.inlier_threshold import automatic_threshold


def sightings(noise: float):
    cameras = ring_cameras(4).to(torch.float64)
    pixels = cameras.project(random_motion(200, seed=0).double()[:, None])
    pixels = pixels + noise * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0)).double()
    return cameras, pixels, torch.ones(pixels.shape[:-1])


def test_it_follows_the_noise_of_the_recording():
    # four views leave 5 of 8 residual freedoms per point, hence the root
    cameras, pixels, weights = sightings(12.0)
    assert automatic_threshold(cameras, pixels, weights) == pytest.approx(3 * 12 * (5 / 8) ** 0.5, rel=0.1)


def test_it_is_never_below_a_hundredth_of_the_diagonal():
    cameras, pixels, weights = sightings(0.1)
    assert automatic_threshold(cameras, pixels, weights) == pytest.approx(0.01 * 1000 * 2**0.5)


def test_it_has_an_answer_where_nothing_was_seen():
    cameras, pixels, weights = sightings(1.0)
    nothing = torch.full_like(pixels, torch.nan)
    assert automatic_threshold(cameras, nothing, 0 * weights) == pytest.approx(0.01 * 1000 * 2**0.5)


def test_outliers_do_not_raise_it():
    cameras, pixels, weights = sightings(12.0)
    clean = automatic_threshold(cameras, pixels, weights)
    pixels[::20] += 300
    assert automatic_threshold(cameras, pixels, weights) < 1.15 * clean
