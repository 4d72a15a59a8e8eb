"""The refinement unit: a residual network from a 3D pose to a more accurate one. [Kocabas19]

The architecture is that of Martinez et al. 2017; parameter names are those of the released file.
"""

from jaxtyping import Float
from torch import Tensor, nn


class Stage(nn.Module):
    """Two residual pairs of linear layers, each with batch normalisation, ReLU and dropout.

    Args:
        width: features in and out.
        dropout: probability.
        leaky: leaky ReLU (slope 0.01) instead of ReLU."""

    def __init__(self, width: int, dropout: float, leaky: bool) -> None:
        super().__init__()
        for layer in range(1, 5):
            self.add_module(f"w{layer}", _linear(width, width))
        for layer in range(1, 5):
            self.add_module(f"batch_norm{layer}", nn.BatchNorm1d(width))
        self.dropout, self.leaky = dropout, leaky

    def forward(self, features: Float[Tensor, "rows width"]) -> Float[Tensor, "rows width"]:
        """Features of the same size.

        Args:
            features: of the previous layer."""
        for pair in ((1, 2), (3, 4)):
            inner = features
            for layer in pair:
                inner = getattr(self, f"batch_norm{layer}")(getattr(self, f"w{layer}")(inner))
                inner = _passed(inner, self.dropout, self.leaky, self.training)
            features = features + inner
        return features


class Refiner(nn.Module):
    """Two stages that each output a pose; the second gets the pose of the first as input.

    With 45 numbers and width 1024 it has the paper's 8,603,738 parameters.

    Args:
        numbers: of a pose.
        width: of the hidden layers.
        dropout: probability.
        leaky: leaky ReLU (slope 0.01) instead of ReLU."""

    def __init__(self, numbers: int, width: int = 1024, *, dropout: float = 0.5, leaky: bool = False) -> None:
        super().__init__()
        self.linear_stages = nn.ModuleList(Stage(width, dropout, leaky) for _ in range(2))
        self.w1, self.w2 = _linear(numbers, width), _linear(width, numbers)
        self.w3, self.w4 = _linear(numbers, width), _linear(width, numbers)
        self.batch_norm1, self.batch_norm3 = nn.BatchNorm1d(width), nn.BatchNorm1d(width)
        self.dropout, self.leaky = dropout, leaky

    def forward(
        self, pose: Float[Tensor, "rows numbers"]
    ) -> tuple[Float[Tensor, "rows numbers"], Float[Tensor, "rows numbers"]]:
        """The poses after the first and the second stage; the second is the refined pose.

        Args:
            pose: z-scored coordinates."""
        embedded = self._passed(self.batch_norm1(self.w1(pose)))
        first_features = self.linear_stages[0](embedded)
        first = self.w2(first_features)
        first_embedded = self._passed(self.batch_norm3(self.w3(first)))
        second_features = self.linear_stages[1](first_features + first_embedded + embedded)
        return first, self.w4(embedded + second_features)

    def _passed(self, features: Tensor) -> Tensor:
        return _passed(features, self.dropout, self.leaky, self.training)


def _passed(features: Tensor, dropout: float, leaky: bool, training: bool) -> Tensor:
    """ReLU (leaky: slope 0.01, PyTorch's default; the paper states none), then dropout."""
    slope = 0.01 if leaky else 0.0
    return nn.functional.dropout(nn.functional.leaky_relu(features, slope), dropout, training)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(layer.weight)
    return layer
