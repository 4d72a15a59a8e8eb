import pytest
import torch

from coview.geometry.self_calibration.variance_inflation import variance_factor


def test_independent_errors_count_fully_and_repeated_ones_do_not():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 3, 10, 2, generator=generator)
    known = torch.rand(400, 3, 10, generator=generator) > 0.2
    assert variance_factor(noise, known) == 1.0
    held = noise[:100].repeat_interleave(4, dim=0)  # every error lasts four frames
    assert variance_factor(held, known) == pytest.approx(4.0, rel=0.15)


def test_nothing_known_is_nothing_correlated():
    assert variance_factor(torch.zeros(5, 2, 3, 2), torch.zeros(5, 2, 3, dtype=torch.bool)) == 1.0
