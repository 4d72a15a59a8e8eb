"""Networks as they are after training."""

import pytest
from torch import nn


def trained(network: nn.Module) -> nn.Module:
    """Running statistics and scales as after training: any, but positive."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm3d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.8, 1.2)
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    return network


@pytest.fixture(scope="session")
def with_statistics():
    return trained
