import pytest
import torch

from coview.metrics.k_means import k_means


def blobs(per: int = 30, spread: float = 0.05) -> tuple[torch.Tensor, torch.Tensor]:
    """Points around four corners, and the corners."""
    generator = torch.Generator().manual_seed(2)
    corners = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
    noise = torch.randn(4, per, 2, generator=generator, dtype=torch.float64)
    return (corners[:, None] + spread * noise).flatten(0, 1), corners


def cost(points: torch.Tensor, centres: torch.Tensor) -> float:
    """The slow twin: all differences."""
    return float((points[:, None] - centres).square().sum(dim=-1).min(dim=1).values.sum())


def test_separate_clusters_are_found():
    points, corners = blobs()
    found = k_means(points, 4, seed=1)
    order = [int((found - corner).norm(dim=-1).argmin()) for corner in corners]
    assert sorted(order) == [0, 1, 2, 3]
    torch.testing.assert_close(found[order], points.unflatten(0, (4, -1)).mean(dim=1))  # means, exactly


def lloyd(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The slow twin of a run: plain Lloyd iterations."""
    for _ in range(100):
        nearest = torch.cdist(points, centres).argmin(dim=-1)
        centres = torch.stack([points[nearest == index].mean(dim=0) for index in range(len(centres))])
    return centres


def test_not_worse_than_plain_lloyd_and_a_fixed_point():
    points = torch.randn(400, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = k_means(points, 7, seed=3)
    others = [lloyd(points, points[start : start + 7]) for start in range(0, 70, 7)]
    assert cost(points, found) < 1.01 * min(cost(points, other) for other in others)
    torch.testing.assert_close(lloyd(points, found), found)


def test_the_seed_decides_to_the_bit():
    points = torch.randn(300, 6, generator=torch.Generator().manual_seed(4))
    assert torch.equal(k_means(points, 9, seed=3, starts=3), k_means(points, 9, seed=3, starts=3))
    assert not torch.equal(k_means(points, 9, seed=3, starts=1), k_means(points, 9, seed=4, starts=1))
    state = torch.random.get_rng_state()
    k_means(points, 3)
    assert torch.equal(state, torch.random.get_rng_state())  # nobody else's numbers are drawn


def test_one_start_is_enough_for_clusters_far_apart():
    """k-means++ draws far points first, so hardly a start misses a cluster."""
    points, _ = blobs(spread=1e-4)
    for seed in range(20):
        assert cost(points, k_means(points, 4, seed=seed, starts=1)) < 1e-4


def test_a_centre_for_every_point_is_exact():
    points, corners = blobs(per=2)
    assert cost(points, k_means(points, 8)) < 1e-15
    assert cost(corners.repeat(5, 1), k_means(corners.repeat(5, 1), 4)) < 1e-15


@pytest.mark.parametrize("k", [0, 5])
def test_too_few_different_points_are_refused(k):
    _, corners = blobs()
    with pytest.raises(ValueError, match=rf"k_means: {k} centres need .* different points .* there are 4"):
        k_means(corners.repeat(3, 1), k)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match=r"not finite, and would make every centre NaN. Leave them out"):
        k_means(torch.tensor([[0.0], [torch.nan]]), 1)
