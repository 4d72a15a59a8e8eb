"""One view to a point on a sphere: encoders of 2D poses and of crops, and the head that reads a pose from it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.networks.backbone import Depth, Trunk
from coview.networks.lifter import Residual


class PoseEncoder(nn.Module):
    """The trunk of the lifter [Wandt21] without its camera branch, to a unit vector."""

    def __init__(self, joints: int, width: int, features: int) -> None:
        super().__init__()
        self.entry = nn.Linear(3 * joints, width)
        self.trunk = nn.Sequential(Residual(width), Residual(width), Residual(width))
        self.exit = nn.Linear(width, features)

    def forward(
        self, joints2d: Float[Tensor, "*batch joints 2"], confidence: Float[Tensor, "*batch joints"]
    ) -> Float[Tensor, "*batch features"]:
        """2D poses of one size and confidences in."""
        flat = torch.cat([joints2d.mT.flatten(-2), confidence], dim=-1)
        return unit(self.exit(self.trunk(self.entry(flat))))


class CropEncoder(nn.Module):
    """A residual network, its features averaged over the picture, to a unit vector. [Mitra20]"""

    def __init__(self, depth: Depth, trunk: int, features: int, *, checkpointing: bool = False) -> None:
        super().__init__()
        self.trunk = Trunk(depth, trunk=trunk, checkpointing=checkpointing)
        self.exit = nn.Linear(self.trunk.channels, features)

    def forward(self, images: Float[Tensor, "n 3 height width"]) -> Float[Tensor, "n features"]:
        """Normalised images in."""
        return unit(self.exit(self.trunk.coarse(images).mean(dim=(-2, -1))))


class PoseHead(nn.Sequential):
    """Three layers from an embedding to numbers; dropout after the first alone: an embedding has length one."""

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
    """Each vector at length one."""
    return nn.functional.normalize(features, dim=-1)
