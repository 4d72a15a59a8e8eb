import pytest
import torch
from torch import nn

from coview.networks.slabs import convolved, pop_each, slabs


@pytest.mark.parametrize("cells", [1, 2, 11, 12, 13, 25, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_convolutions_slab_by_slab_are_those_of_the_whole(cells, dtype):
    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.ReLU()).to(dtype)
    second = nn.Sequential(nn.Conv3d(3, 2, 3, padding=1)).to(dtype)
    volume = torch.randn(2, 2, cells, 5, 4, dtype=dtype)
    with torch.no_grad():
        parts = convolved(second, convolved(first, slabs(volume), cells), cells)
        torch.testing.assert_close(torch.cat([*parts], dim=2), second(first(volume)))


def test_the_first_slab_is_thinner_and_the_last_thicker():
    layers, volume = nn.Sequential(nn.Conv3d(1, 1, 3, padding=1)), torch.zeros(1, 1, 26, 3, 3)
    with torch.no_grad():
        assert [part.shape[2] for part in convolved(layers, slabs(volume), 26)] == [11, 12, 3]


def test_slabs_do_not_keep_the_whole():
    volume = torch.arange(26.0).view(1, 1, 26, 1, 1)
    parts = slabs(volume)
    assert torch.equal(torch.cat(parts, dim=2), volume)
    assert max(part.untyped_storage().nbytes() for part in parts) == 12 * 4


def test_what_is_taken_is_gone_from_the_list():
    held = [torch.zeros(1), torch.ones(1)]
    for count, part in enumerate(pop_each(held)):
        assert part.item() == count
        assert len(held) == 1 - count
