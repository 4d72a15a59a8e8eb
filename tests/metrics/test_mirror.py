import pytest
import torch

from coview.metrics.mirror import MirroredShare
from coview.metrics.running import OppositeShare

MIRROR = torch.tensor([1.0, 1.0, -1.0])


def people(count: int = 20) -> torch.Tensor:
    """Taller than deep, as people are; joint 0 is the root."""
    spread = torch.tensor([0.3, 0.6, 0.2])
    return spread * torch.randn(count, 8, 3, generator=torch.Generator().manual_seed(3))


def share(predicted: torch.Tensor, truth: torch.Tensor) -> float:
    metric = MirroredShare(0)
    metric.update(predicted, truth)
    return metric.compute().item()


def test_depth_that_is_mirrored_is_counted():
    truth = people()
    noisy = truth + 0.01 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(4))
    assert share(noisy, truth) == 0
    assert share(noisy * MIRROR, truth) == 100
    assert share(torch.cat([noisy[:5], noisy[5:] * MIRROR]), truth) == pytest.approx(75)


def test_the_sign_of_the_scale_does_not_show_it():
    """Why this metric exists: height and width outweigh depth."""
    truth = people()
    opposite = OppositeShare(0)
    opposite.update(truth * MIRROR, truth)
    assert opposite.compute().item() < 10
    assert share(truth * MIRROR, truth) == 100


def test_size_and_place_do_not_matter():
    truth = people()
    assert share(7 * truth * MIRROR + 2, truth) == 100


def test_flat_and_unknown_poses_are_not_counted():
    truth = people(4)
    flat = truth.clone()
    flat[..., 2] = 0
    assert torch.isnan(torch.tensor(share(flat, truth)))
    assert torch.isnan(torch.tensor(share(torch.full_like(truth, torch.nan), truth)))
    truth[0] = torch.nan
    assert share(people(4) * MIRROR, truth) == 100


def test_batching_does_not_matter():
    truth = people()
    predicted = torch.cat([truth[:5] * MIRROR, truth[5:]])
    metric = MirroredShare(0)
    for part in (slice(0, 3), slice(3, 20)):
        metric.update(predicted[part], truth[part])
    assert metric.compute().item() == pytest.approx(share(predicted, truth))
