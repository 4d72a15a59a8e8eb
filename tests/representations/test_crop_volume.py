import math

import pytest
import torch

from coview.representations.crop_volume import cross_entropy, depth_of_size, marginals, mean_cell


def test_marginals_are_those_of_the_softmax_over_the_whole_volume():
    torch.manual_seed(0)
    scores = 3 * torch.randn(2, 4, 5, 6)
    across, down, deep = marginals(scores)
    for n in range(2):
        total, columns, rows, layers = 0.0, [0.0] * 6, [0.0] * 5, [0.0] * 4
        for z in range(4):
            for y in range(5):
                for x in range(6):
                    share = math.exp(scores[n, z, y, x].item())
                    total += share
                    columns[x] += share
                    rows[y] += share
                    layers[z] += share
        for found, slow in ((across, columns), (down, rows), (deep, layers)):
            torch.testing.assert_close(found[n], torch.tensor(slow) / total, atol=1e-6, rtol=1e-5)


def test_half_precision_is_summed_in_single():
    assert all(each.dtype == torch.float32 for each in marginals(torch.zeros(1, 4, 4, 4).bfloat16()))


def test_the_mean_cell_of_a_lone_cell_and_of_two_halves():
    shares = torch.tensor([[0.0, 0, 0, 1, 0], [0, 0.5, 0.5, 0, 0]])
    assert mean_cell(shares).tolist() == [3.0, 1.5]


def test_a_place_is_as_unlikely_as_its_two_cells():
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    for place, chance in (
        (2.0, math.log(0.3)),
        (1.25, 0.75 * math.log(0.2) + 0.25 * math.log(0.3)),
        (3.0, math.log(0.4)),
        (-0.4, math.log(0.1)),  # in the outer half of the first cell
        (3.4, math.log(0.4)),
    ):
        assert cross_entropy(shares, torch.tensor([place])).item() == pytest.approx(-chance, abs=1e-6)
    empty = cross_entropy(torch.tensor([[1.0, 0.0]], requires_grad=True), torch.tensor([1.0]))
    assert empty.isfinite()


def bones_at(depth: torch.Tensor, slope: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    return (slope * depth[..., None, None] + offset).norm(dim=-1).sum(dim=-1)


def test_the_depth_that_gives_bones_their_length():
    torch.manual_seed(0)
    slope = 0.05 * torch.randn(200, 8, 3)
    slope[..., 2] = 0  # rays differ in x and y alone
    offset = 0.15 * torch.randn(200, 8, 3)
    true = 3 + 3 * torch.rand(200)
    for one in range(200):
        total = bones_at(true[one], slope[one], offset[one]).item()
        found = depth_of_size(slope[one], offset[one], total, 0.5)
        assert found.item() == pytest.approx(true[one].item(), rel=1e-3)


def test_without_offsets_one_division_is_enough():
    slope = torch.rand(5, 8, 3)
    expected = 2.8 / slope.norm(dim=-1).sum(dim=-1)
    torch.testing.assert_close(depth_of_size(slope, torch.zeros_like(slope), 2.8, 0.1), expected)


def test_bones_that_are_always_too_long_and_bones_without_length():
    """Where no depth fits: the least sum of squares; where nothing is known: something finite, not near."""
    slope, offset = torch.zeros(1, 2, 3), torch.zeros(1, 2, 3)
    slope[..., 0], offset[..., 0], offset[..., 2] = 0.1, -0.4, 5.0  # shortest at 4, and 5 long there
    assert depth_of_size(slope, offset, 1.0, 0.5).item() == pytest.approx(4.0, abs=1e-3)
    assert depth_of_size(slope, offset, 1.0, 4.5).item() == pytest.approx(4.5)
    nothing = depth_of_size(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), 1.0, 0.5)
    assert nothing.isfinite()
    assert nothing >= 0.5
