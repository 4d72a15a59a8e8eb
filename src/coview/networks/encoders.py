"""Encoders of one view, as a 2D pose or a crop, to a unit vector, and the head that regresses a pose from it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.networks.backbone import Depth, Trunk
from coview.networks.lifter import Residual


class PoseEncoder(nn.Module):
    """The lifter's trunk [Wandt21] without its camera branch: a 2D pose to a unit vector.

    Args:
        joints: number of joints.
        width: of the hidden layers.
        features: size of the embedding."""

    def __init__(self, joints: int, width: int, features: int) -> None:
        super().__init__()
        self.entry = nn.Linear(3 * joints, width)
        self.trunk = nn.Sequential(Residual(width), Residual(width), Residual(width))
        self.exit = nn.Linear(width, features)

    def forward(
        self, joints2d: Float[Tensor, "*batch joints 2"], confidence: Float[Tensor, "*batch joints"]
    ) -> Float[Tensor, "*batch features"]:
        """The embedding, of length one.

        Args:
            joints2d: root-centred and of normalised size.
            confidence: of the joints, in [0, 1]."""
        flat = torch.cat([joints2d.mT.flatten(-2), confidence], dim=-1)
        return unit(self.exit(self.trunk(self.entry(flat))))


class CropEncoder(nn.Module):
    """A ResNet with global average pooling: an image to a unit vector. [Mitra20]

    Args:
        depth: number of layers of the ResNet.
        trunk: channels of its first residual stage.
        features: size of the embedding.
        checkpointing: recompute activations in the backward pass: less memory, a third more time."""

    def __init__(self, depth: Depth, trunk: int, features: int, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.trunk = Trunk(depth, trunk=trunk, checkpointing=checkpointing)
        self.exit = nn.Linear(self.trunk.channels, features)

    def forward(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n features"]:
        """The embedding, of length one.

        Args:
            images: normalised RGB."""
        return unit(self.exit(self.trunk.coarse(images).mean(dim=(-2, -1))))


class PoseHead(nn.Sequential):
    """Three linear layers from an embedding to the numbers of a pose; dropout after the first alone.

    Args:
        features: size of the embedding.
        width: of the hidden layers.
        numbers: outputs.
        dropout: probability."""

    def __init__(self, features: int, width: int, numbers: int, dropout: float) -> None:
        super().__init__(
            nn.Linear(features, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, numbers),
        )


def unit(features: Float[Tensor, "*batch features"]) -> Float[Tensor, "*batch features"]:
    """Vectors normalised to length one.

    Args:
        features: vectors along the last axis."""
    return nn.functional.normalize(features, dim=-1)
