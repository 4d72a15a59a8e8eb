import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.capture.reconstruction.filtering import fill_gaps, low_pass


def slow_fill(values: list[float], max_gap: int) -> list[float]:
    """The textbook twin: one joint, one coordinate, one gap at a time."""
    filled = list(values)
    frame = 0
    while frame < len(values):
        if not math.isnan(values[frame]):
            frame += 1
            continue
        end = frame
        while end < len(values) and math.isnan(values[end]):
            end += 1
        if frame > 0 and end < len(values) and end - frame <= max_gap:
            for k in range(frame, end):
                share = (k - frame + 1) / (end - frame + 1)
                filled[k] = values[frame - 1] + share * (values[end] - values[frame - 1])
        frame = end
    return filled


@given(
    values=st.lists(st.one_of(st.just(math.nan), st.floats(-5, 5, width=32)), min_size=1, max_size=40),
    max_gap=st.integers(0, 6),
)
@settings(deadline=None)
def test_gaps_are_filled_as_in_the_textbook(values, max_gap):
    points = torch.tensor(values)[:, None, None].expand(-1, 1, 3).clone()
    found, _ = fill_gaps(points, None, max_gap)
    expected = torch.tensor(slow_fill(values, max_gap))[:, None, None].expand(-1, 1, 3)
    torch.testing.assert_close(found, expected, equal_nan=True, atol=1e-5, rtol=1e-5)


def test_an_interpolated_point_is_less_sure_than_its_neighbours():
    points = torch.tensor([[0.0, 0, 0], [torch.nan] * 3, [0.12, 0, 0]])[:, None]
    covariance = torch.stack([torch.eye(3) * 1e-4, torch.full((3, 3), torch.nan), torch.eye(3) * 4e-4])[
        :, None
    ]
    filled, grown = fill_gaps(points, covariance, 5)
    assert grown is not None
    torch.testing.assert_close(filled[1, 0], torch.tensor([0.06, 0, 0]))
    # the wider neighbour, plus 12 cm squared over 12 along x
    torch.testing.assert_close(grown[1, 0], torch.diag(torch.tensor([4e-4 + 0.0012, 4e-4, 4e-4])))


def test_a_slow_movement_passes_and_fast_noise_does_not():
    time = torch.arange(300) / 50.0
    slow = torch.sin(2 * torch.pi * time)[:, None, None].expand(-1, 2, 3)
    fast = 0.1 * torch.sin(2 * torch.pi * 20 * time)[:, None, None]
    smoothed = low_pass(slow + fast, fps=50.0, cutoff=6.0)
    assert (smoothed - slow)[30:-30].abs().max() < 0.01


def test_gaps_are_not_smoothed_over():
    points = torch.randn(80, 1, 3)
    points[40] = torch.nan
    smoothed = low_pass(points, fps=50.0, cutoff=6.0)
    assert smoothed[40].isnan().all()
    assert smoothed[:40].isfinite().all()
    torch.testing.assert_close(smoothed[:40], low_pass(points[:40], fps=50.0, cutoff=6.0))


@pytest.mark.parametrize("cutoff", [0.0, 12.5, 30.0])
def test_an_impossible_cut_off_is_refused(cutoff):
    with pytest.raises(ValueError, match=r"must lie between 0 and 12.5 Hz"):
        low_pass(torch.zeros(50, 1, 3), fps=25.0, cutoff=cutoff)
