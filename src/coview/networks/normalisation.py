"""Batch normalisation that can also be trained when a channel has a single value."""

from torch import Tensor, nn


class BatchNorm2d(nn.BatchNorm2d):
    """PyTorch's, except that a single value per channel is normalised by the running statistics.

    One value has no variance and PyTorch raises; it occurs for one small image in a batch of one."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised features.

        Args:
            input: n × channels × height × width."""
        return super().forward(input) if _many(input) or not self.training else _by_running(self, input)


class BatchNorm3d(nn.BatchNorm3d):
    """As `BatchNorm2d`; the single value is the innermost 1³ of a V2V at batch size one."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised features.

        Args:
            input: n × channels × x × y × z."""
        return super().forward(input) if _many(input) or not self.training else _by_running(self, input)


def _many(features: Tensor) -> bool:
    return features.numel() > features.shape[1]


def _by_running(layer: nn.BatchNorm2d | nn.BatchNorm3d, features: Tensor) -> Tensor:
    return nn.functional.batch_norm(
        features,
        layer.running_mean,
        layer.running_var,
        layer.weight,
        layer.bias,
        training=False,
        eps=layer.eps,
    )
