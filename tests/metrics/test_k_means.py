import numpy as np
import pytest
import torch
from scipy.cluster.vq import kmeans2

from coview.metrics.k_means import k_means, nearest_centre, plus_plus


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


def test_not_worse_than_scipy_and_a_fixed_point():
    points = torch.randn(400, 5, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = k_means(points, 7, seed=3)
    others = [kmeans2(points.numpy(), 7, iter=100, minit="++", seed=seed)[0] for seed in range(10)]
    assert cost(points, found) < 1.01 * min(cost(points, torch.from_numpy(np.asarray(o))) for o in others)
    assigned, distance = nearest_centre(points, found)
    means = torch.stack([points[assigned == centre].mean(dim=0) for centre in range(7)])
    torch.testing.assert_close(means, found)
    assert float(distance.sum()) == pytest.approx(cost(points, found))


def test_the_seed_decides_to_the_bit():
    points = torch.randn(300, 6, generator=torch.Generator().manual_seed(4))
    assert torch.equal(k_means(points, 9, seed=3, starts=3), k_means(points, 9, seed=3, starts=3))
    assert not torch.equal(k_means(points, 9, seed=3, starts=1), k_means(points, 9, seed=4, starts=1))
    state = torch.random.get_rng_state()
    k_means(points, 3)
    assert torch.equal(state, torch.random.get_rng_state())  # nobody else's numbers are drawn


def test_starts_are_far_apart():
    """k-means++ takes no point twice, and reaches every far cluster."""
    points, corners = blobs(spread=1e-4)
    for seed in range(20):
        starts = plus_plus(points, 4, torch.Generator().manual_seed(seed))
        assert len(nearest_centre(starts, corners)[0].unique()) == 4


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
