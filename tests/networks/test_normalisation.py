import pytest
import torch
from torch import nn

from coview.networks.normalisation import BatchNorm2d, BatchNorm3d


@pytest.mark.parametrize(
    ("ours", "theirs", "size"),
    [(BatchNorm2d, nn.BatchNorm2d, (4, 5)), (BatchNorm3d, nn.BatchNorm3d, (2, 3, 4))],
)
def test_is_pytorch_s_where_there_are_two_values(ours, theirs, size):
    ours, theirs, features = ours(3), theirs(3), torch.randn(1, 3, *size)
    assert torch.equal(ours(features), theirs(features))
    assert torch.equal(ours.running_var, theirs.running_var)
    assert torch.equal(ours.eval()(features), theirs.eval()(features))


@pytest.mark.parametrize(("layer", "size"), [(BatchNorm2d(3), (1, 1)), (BatchNorm3d(3), (1, 1, 1))])
def test_one_value_a_channel_takes_the_running_statistics_and_leaves_them(layer, size):
    layer.running_mean.fill_(2.0)
    layer.running_var.fill_(4.0)
    features = torch.full((1, 3, *size), 6.0, requires_grad=True)
    torch.testing.assert_close(layer(features), torch.full((1, 3, *size), 2.0), rtol=1e-5, atol=0)
    layer(features).sum().backward()
    assert features.grad.isfinite().all()
    assert (layer.running_mean == 2).all()
    assert layer.num_batches_tracked == 0
