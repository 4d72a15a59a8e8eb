import pytest
import torch
from torch import nn

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


@pytest.mark.parametrize("pixels", [128, 192, 256, 320, 352, 384])
def test_released_numerics_leave_an_odd_row_out(pixels):
    """The released code pools with PyTorch's default, which rounds down."""
    torch.manual_seed(0)
    head, features = ConfidenceHead(16, 5).eval(), torch.randn(2, 16, pixels // 32, pixels // 32)
    released = ConfidenceHead(16, 5, released_numerics=True).eval()
    released.load_state_dict(head.state_dict())
    down = head.features[:2], nn.MaxPool2d(2), head.features[3:6], nn.MaxPool2d(2), head.features[7:]
    with torch.no_grad():
        wanted = head.head(nn.Sequential(*down)(features).mean(dim=(-2, -1)))
        assert torch.equal(released(features), wanted)
        assert torch.equal(head(features), wanted) == (pixels in (128, 256, 384))
        assert released(features[..., :1, :1]).shape == (2, 5)  # what they could not do at all


def test_gradient_reaches_every_weight():
    head = ConfidenceHead(8, 3)
    head(torch.randn(4, 8, 3, 3)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
