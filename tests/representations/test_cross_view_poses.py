import torch

from coview.representations.cross_view_poses import permutation_within, rotated_pairs


def test_permutations_stay_in_their_group():
    groups = torch.tensor([2, 0, 2, 2, 0, 1, 0, 2])
    torch.manual_seed(0)
    drawn = [permutation_within(groups) for _ in range(50)]
    assert all(torch.equal(groups[order], groups) for order in drawn)
    assert all(torch.equal(order.sort().values, torch.arange(8)) for order in drawn)
    assert len({tuple(order.tolist()) for order in drawn}) > 20


def test_turned_pairs_equals_one_product_per_pair():
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(5, 3, 17, 3, generator=generator)
    rotation = torch.randn(2, 5, 3, 3, 3, 3, generator=generator)
    expected = torch.stack(
        [torch.stack([pose[:, a] @ rotation[:, :, a, b].mT for b in range(3)], dim=2) for a in range(3)],
        dim=2,
    )
    torch.testing.assert_close(rotated_pairs(pose, rotation), expected)
