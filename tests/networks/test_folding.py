import copy

import pytest
import torch
from torch import nn

from coview.networks.backbone import PoseResNet
from coview.networks.folding import folded
from coview.networks.v2v import V2V


def networks():
    torch.manual_seed(0)
    images, volume = torch.randn(2, 3, 64, 96), torch.randn(2, 4, 8, 8, 8)
    return [
        pytest.param(PoseResNet(18, 5, algebraic=True, volumetric=3, deconv=8), images, id="ResNet-18"),
        pytest.param(PoseResNet(50, 5, deconv=8), images, id="ResNet-50"),
        pytest.param(V2V(4, 3, width=8, levels=2), volume, id="V2V"),
    ]


def parts(answer):
    return [answer] if isinstance(answer, torch.Tensor) else [part for part in answer if part is not None]


@pytest.mark.parametrize(("network", "features"), networks())
def test_same_answers_without_normalisations(with_statistics, network, features):
    network = with_statistics(network).eval()
    ready = folded(network)
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d) for layer in ready.modules())
    with torch.no_grad():
        for found, wanted in zip(parts(ready(features)), parts(network(features)), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())


@pytest.mark.parametrize(("network", "features"), networks())
def test_the_original_is_left_alone_unless_in_place(with_statistics, network, features):
    network = with_statistics(network).eval()
    before = copy.deepcopy(network.state_dict())
    folded(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    own = copy.deepcopy(network)
    assert folded(own, in_place=True) is own
    assert len(own.state_dict()) < len(before)


def test_layers_without_bias_scale_or_shift():
    torch.manual_seed(0)
    convolution, transposed = nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 2, bias=False)
    network = nn.Sequential(
        convolution, nn.BatchNorm2d(4, affine=False), transposed, nn.BatchNorm2d(2)
    ).eval()
    network[1].running_mean.uniform_()
    network[3].running_var.uniform_(0.5, 1.5)
    features = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(folded(network)(features), network(features).detach(), rtol=1e-5, atol=1e-6)


def test_folding_what_is_folded_changes_nothing(with_statistics):
    once = folded(with_statistics(PoseResNet(18, 2, deconv=4)).eval())
    assert folded(once).state_dict().keys() == once.state_dict().keys()


def test_a_normalisation_elsewhere_stays():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.BatchNorm2d(2)).eval()
    assert isinstance(folded(network)[2], nn.BatchNorm2d)


def test_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"training mode.*Call \.eval\(\) first"):
        folded(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))


def test_statistics_of_each_batch_cannot_be_folded():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
    with pytest.raises(ValueError, match="no running statistics"):
        folded(network.eval())
