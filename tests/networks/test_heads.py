import pytest
import torch

from coview.networks.heads import ConfidenceHead


def test_the_number_of_parameters_of_the_released_heads():
    # methods/learnable_triangulation.md §3: 10.89 M each; here 2048 inputs, 32 outputs
    with torch.device("meta"):
        head = ConfidenceHead(2048, 32)
    assert sum(p.numel() for p in head.parameters()) == 10_890_272


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 2), (12, 12)])
def test_any_size_in_training_and_in_use(size):
    torch.manual_seed(0)
    head = ConfidenceHead(16, 5)
    for training in (True, False):
        confidence = head.train(training)(torch.randn(1, 16, *size))
        assert confidence.shape == (1, 5)
        assert ((confidence > 0) & (confidence < 1)).all()


def test_pooling_up_equals_pooling_down_at_the_released_size():
    torch.manual_seed(0)
    head, features = ConfidenceHead(16, 5).eval(), torch.randn(2, 16, 12, 12)
    with torch.no_grad():
        wanted = head(features)
        head.features[2].ceil_mode = head.features[6].ceil_mode = False
        assert torch.equal(head(features), wanted)


def test_gradient_reaches_every_weight():
    head = ConfidenceHead(8, 3)
    head(torch.randn(4, 8, 3, 3)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
