import torch

from coview.geometry.sampling import evenly_spaced


def test_frames_are_spread_evenly_over_the_chosen_ones():
    chosen = torch.arange(100) % 2 == 0
    assert evenly_spaced(chosen, 3).tolist() == [0, 48, 98]
    assert evenly_spaced(chosen, 1000).tolist() == list(range(0, 100, 2))
