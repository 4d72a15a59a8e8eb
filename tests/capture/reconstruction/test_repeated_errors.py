import numpy as np
import pytest

from coview.capture.reconstruction.repeated_errors import autocorrelation, inflation


def errors(alike: float, frames: int = 4000) -> np.ndarray:
    generator = np.random.default_rng(0)
    new = generator.normal(size=(2, 3, 4, frames))
    for frame in range(1, frames):
        new[..., frame] = alike * new[..., frame - 1] + np.sqrt(1 - alike**2) * new[..., frame]
    return new


def test_the_correlation_is_that_of_the_errors_and_chance_is_none():
    found = autocorrelation(errors(0.8), np.ones((3, 4, 4000), dtype=bool))
    assert found[:4] == pytest.approx(0.8 ** np.arange(1, 5), abs=0.03)
    assert 10 <= len(found) <= 18  # 0.8^13 is 0.05
    assert len(autocorrelation(errors(0.0), np.ones((3, 4, 4000), dtype=bool))) == 0
    assert len(autocorrelation(errors(0.8), np.zeros((3, 4, 4000), dtype=bool))) == 0


def test_what_is_not_smoothed_is_not_inflated():
    shares = np.array([0.01, 0.1, 0.5, 1.0])
    assert inflation(shares, np.array([])).tolist() == [1.0] * 4
    factors = inflation(shares, 0.8 ** np.arange(1, 14))
    assert (np.diff(factors) < 0).all()
    assert factors[-1] == pytest.approx(1.0, abs=0.01)


def test_a_wide_mean_of_repeated_errors_has_their_whole_inflation():
    # noise contributes three quarters of a wide smoother's posterior; 1 + 2 Σ 0.5^k = 3
    factor = inflation(np.array([0.01]), 0.5 ** np.arange(1, 30))
    assert factor[0] == pytest.approx(0.75 * 3 + 0.25, rel=0.03)
