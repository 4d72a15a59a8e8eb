import pytest
import torch

from coview.geometry.epipolar.essential_ransac import (
    Pairs,
    _descended,
    _sampson_with_slope,
    find_essential,
    msac_cost,
    samples,
)
from coview.geometry.epipolar.relative_pose import essential_from_pose, sampson_distance
from coview.geometry.rotations import rotation_from_axis_angle


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def homogeneous(points: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(points[..., :2] / points[..., 2:], (0, 1), value=1.0)


def noisy_pairs(count: int = 60, seed: int = 0) -> tuple[Pairs, torch.Tensor]:
    """Pairs with noise of 0.005 and the true essential matrix, of unit norm."""
    rotation, translation = rotation_from_axis_angle(tensor([0.1, -0.4, 0.2])), tensor([1.0, 0.2, 0.1])
    points = random(count, 3, seed=seed).clamp(-2, 2) + tensor([0.0, 0.0, 5.0])
    a, b = homogeneous(points), homogeneous(points @ rotation.mT + translation)
    b[:, :2] += 0.005 * random(count, 2, seed=seed + 1)
    essential = essential_from_pose(rotation, translation)
    return Pairs(a, b, random(count, seed=seed + 2).abs() + 0.1), essential / essential.norm()


def tensor(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("count", [5, 6, 7, 100_000])
def test_samples_are_five_different_pairs(count):
    sample = samples(count, 5, hypotheses=200, seed=1)
    assert sample.shape == (200, 5)
    assert sample.min() >= 0
    assert sample.max() < count
    assert (sample.sort(dim=-1).values.diff(dim=-1) > 0).all()
    assert (sample == samples(count, 5, hypotheses=200, seed=1)).all()


def test_samples_prefer_no_pair():
    counts = samples(10, 5, hypotheses=20_000, seed=0).flatten().bincount(minlength=10)
    # each of ten pairs is in half of the samples: 10 000 ± 71 (binomial); five deviations allowed
    assert (counts - 10_000).abs().max() < 5 * 71


def test_cost_as_in_the_textbook():
    pairs, essential = noisy_pairs()
    candidates = torch.stack([essential, *random(4, 3, 3)])
    distance = sampson_distance(candidates, pairs.a[:, :2], pairs.b[:, :2])
    slow = (pairs.weights * distance.square().clamp_max(0.01**2)).sum(dim=-1)
    torch.testing.assert_close(msac_cost(candidates, pairs, 0.01), slow)


def test_slopes_are_derivatives():
    pairs, essential = noisy_pairs(7)
    residual, slope = _sampson_with_slope(essential[None], pairs)
    torch.testing.assert_close(
        residual[0, :, 0].abs(), sampson_distance(essential, pairs.a[:, :2], pairs.b[:, :2])
    )
    exact = torch.autograd.functional.jacobian(
        lambda entries: _sampson_with_slope(entries[None], pairs)[0].flatten(), essential
    )
    torch.testing.assert_close(slope[0], exact.flatten(1))


def test_descent_lowers_every_cost_and_stays_essential():
    pairs, essential = noisy_pairs()
    rotations = rotation_from_axis_angle(0.03 * random(5, 3, seed=4))
    start = rotations @ essential
    found = _descended(start, pairs, 0.02, steps=10)
    assert (msac_cost(found, pairs, 0.02) <= msac_cost(start, pairs, 0.02) * (1 + 1e-12)).all()
    values = torch.linalg.svdvals(found)
    torch.testing.assert_close(values, tensor([1.0, 1.0, 0.0]).expand(5, 3), atol=1e-9, rtol=0)


def test_the_search_beats_the_truth():
    pairs, essential = noisy_pairs()
    found = find_essential(pairs, 0.02, hypotheses=64, seed=0)
    assert msac_cost(found[None], pairs, 0.02) < msac_cost(essential[None], pairs, 0.02)


def test_coinciding_points_have_no_answer():
    still = Pairs(torch.ones(9, 3).double(), torch.ones(9, 3).double(), torch.ones(9).double())
    assert find_essential(still, 0.01, hypotheses=16, seed=0) is None
