import math

import pytest
import torch

from coview.geometry.self_calibration.time_offset import (
    Track2D,
    candidates,
    correlations,
    epipolar_errors,
    rough_time_offsets,
)


def seen(scene):
    views = range(scene.pixels.shape[1])
    return [[Track2D(scene.pixels[:, view], scene.weights[:, view])] for view in views]


def test_correlation_peaks_at_the_lag_whatever_is_missing():
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(300, 5, generator=generator).cumsum(0)
    first, second = signal[:250].clone(), signal[37:287].clone()  # second[n] is first[n + 37]
    first[torch.rand(first.shape, generator=generator) < 0.3] = torch.nan
    assert candidates(correlations(first, second, 100, 50), 100, 50.0)[0][0] == 37


def test_too_little_in_common_is_no_candidate():
    signal = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    assert correlations(signal, signal, 39, 75).isnan().all()


def test_the_right_lag_fits_one_epipolar_geometry(make_walk):
    scene = make_walk(late=(0.0, 0.4), views=2)
    lags = torch.tensor([*range(-60, 61, 5), 180])
    (first,), (second,) = seen(scene)
    misses = epipolar_errors(second, first, lags)
    assert int(lags[misses.argmin()]) == -20  # late by 20 pictures: its picture n - 20
    assert misses[-1] == math.inf, "20 pictures in common are too few"


@pytest.mark.parametrize("late", [(0.0, 0.0, 0.0), (0.0, 1.46, -0.72)])
def test_cameras_are_found_late_to_a_frame_or_two(make_walk, late):
    scene = make_walk(1, frames=300, late=late, outliers=0.05, missing=0.1)
    found = rough_time_offsets(seen(scene), scene.fps, 10.0)
    assert (found - scene.late).abs().max() * scene.fps <= 2.5
