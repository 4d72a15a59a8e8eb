import pytest
import torch

from coview.geometry.bundle.distance_prior import DistancePrior, LowRank, linearise_prior

COUNT = 6


def prior_of(pairs: list[tuple[int, int]], metres: float = 1.5, sigma: float = 0.01) -> DistancePrior:
    first, second = torch.tensor(pairs).unbind(1)
    full = torch.full((len(pairs),), metres, dtype=torch.float64)
    return DistancePrior(first, second, full, torch.full_like(full, sigma))


def random_rows(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pairs that share points and repeat; their rows; and the same rows as a dense matrix."""
    ends = torch.tensor([[0, 0, 2, 0], [1, 3, 1, 1]])
    rows = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    dense = torch.zeros(4, 3, COUNT, dtype=torch.float64)
    for pair in range(4):
        for end in range(2):
            dense[pair, :, ends[end, pair]] += rows[end, :, pair]
    return ends, rows, dense.flatten(1)


def test_low_rank_inverse_equals_the_dense_one():
    ends, rows, dense = random_rows()
    inverse = torch.linalg.inv(torch.eye(3 * COUNT, dtype=torch.float64) + dense.mT @ dense)
    low_rank = LowRank(ends, rows)
    columns = torch.randn(5, 3, COUNT, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(low_rank.rows_times(columns), columns.flatten(1) @ dense.mT)
    torch.testing.assert_close(low_rank.apply(columns).flatten(1), columns.flatten(1) @ inverse)
    blocks = inverse.view(3, COUNT, 3, COUNT)
    expected = torch.stack([blocks[:, n, :, n] for n in range(COUNT)])
    torch.testing.assert_close(low_rank.blocks(COUNT), expected)


def test_rows_equal_autograd():
    prior = prior_of([(0, 1), (2, 5), (0, 5)])
    points = torch.randn(3, COUNT, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    pairs = linearise_prior(prior, points, pixel_sigma=2.0)
    residuals = lambda p: 2.0 * (prior.lengths(p) - prior.metres) / prior.sigma  # noqa: E731
    torch.testing.assert_close(pairs.residuals, residuals(points))
    assert pairs.cost == pytest.approx(0.5 * float(residuals(points).square().sum()))
    gradient = torch.autograd.functional.jacobian(lambda p: 0.5 * residuals(p).square().sum(), points)
    torch.testing.assert_close(pairs.negative_gradient(COUNT), -gradient)


def test_points_at_one_place_give_finite_rows():
    pairs = linearise_prior(prior_of([(0, 1)]), torch.zeros(3, 2, dtype=torch.float64), pixel_sigma=1.0)
    assert pairs.rows.isfinite().all()
    assert pairs.residuals.isfinite().all()


@pytest.mark.parametrize(
    ("pairs", "metres", "sigma"),
    [([(0, 1), (3, 3)], 1.5, 0.01), ([(0, 1)], -1.0, 0.01), ([(0, 1)], 1.5, 0.0)],
)
def test_impossible_priors_are_refused_by_pair(pairs, metres, sigma):
    with pytest.raises(ValueError, match=r"DistancePrior: pair \d joins points .* m\. Give two different"):
        prior_of(pairs, metres, sigma)
