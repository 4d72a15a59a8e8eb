"""Residual networks that lift one 2D pose to a 3D pose and a camera rotation [Wandt21], or to depths."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Residual(nn.Module):
    """Two linear layers with leaky ReLU and a shortcut; no normalisation, no dropout.

    Args:
        width: features in and out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Features of the same size.

        Args:
            features: of the previous block."""
        inner = leaky(self.second(leaky(self.first(features))))
        return leaky(inner + features)


class Lifter(nn.Module):
    """A shared trunk with a pose branch and a rotation branch. [Wandt21], fig. 2

    With 16 joints, width 1024 and 3 rotation numbers it has the 10,598,451 parameters of the paper.

    Args:
        joints: number of joints.
        width: of the hidden layers.
        rotation_numbers: outputs of the rotation branch; 0: no such branch."""

    def __init__(self, joints: int, width: int, rotation_numbers: int) -> None:
        super().__init__()
        self.entry = nn.Linear(3 * joints, width)
        self.shared = Residual(width)
        self.pose_branch = nn.Sequential(Residual(width), Residual(width))
        self.pose = nn.Linear(width, 3 * joints)
        self.rotation_numbers = rotation_numbers
        if rotation_numbers:
            self.rotation_branch = nn.Sequential(Residual(width), Residual(width))
            self.rotation = nn.Linear(width, rotation_numbers)

    def forward(
        self, joints2d: Float[Tensor, "*batch joints 2"], confidence: Float[Tensor, "*batch joints"]
    ) -> tuple[Float[Tensor, "*batch joints 3"], Float[Tensor, "*batch numbers"]]:
        """A pose of arbitrary scale, and rotation parameters.

        Args:
            joints2d: root-centred, of unit norm.
            confidence: of the joints, in [0, 1]."""
        # planar: all x, then all y (then all z), as in the paper; never x y x y
        features = self.shared(self.entry(torch.cat([joints2d.mT.flatten(-2), confidence], dim=-1)))
        planar = self.pose(self.pose_branch(features)).unflatten(-1, (3, -1))
        if not self.rotation_numbers:
            return planar.mT, features[..., :0]
        return planar.mT, self.rotation(self.rotation_branch(features))

    @torch.no_grad()
    def mirror(self, rotation_signs: Float[Tensor, "numbers"]) -> None:
        """Reflects all predictions in depth: negates z of every pose and the given rotation numbers in the last
        layers.

        Args:
            rotation_signs: ±1 per rotation number."""
        depth = slice(2 * self.pose.out_features // 3, None)
        self.pose.weight[depth] *= -1
        self.pose.bias[depth] *= -1
        if self.rotation_numbers:
            self.rotation.weight.mul_(rotation_signs[:, None])
            self.rotation.bias.mul_(rotation_signs)


class DepthLifter(nn.Module):
    """The trunk and the pose branch of `Lifter` with one output per joint: its depth.

    Args:
        joints: number of joints.
        width: of the hidden layers."""

    def __init__(self, joints: int, width: int) -> None:
        super().__init__()
        self.entry = nn.Linear(3 * joints + 1, width)
        self.trunk = nn.Sequential(Residual(width), Residual(width), Residual(width))
        self.depth = nn.Linear(width, joints)

    def forward(
        self,
        joints2d: Float[Tensor, "*batch joints 2"],
        confidence: Float[Tensor, "*batch joints"],
        size: Float[Tensor, "*batch"],
    ) -> Float[Tensor, "*batch joints"]:
        """A depth per joint, in any range.

        Args:
            joints2d: root-centred and of normalised size.
            confidence: of the joints, in [0, 1].
            size: normalised size of the pose in the image, about 0."""
        planar = torch.cat([joints2d.mT.flatten(-2), confidence, size[..., None]], dim=-1)
        return self.depth(self.trunk(self.entry(planar)))


def leaky(features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Leaky ReLU with slope 0.01.

    Args:
        features: any shape."""
    return nn.functional.leaky_relu(features, 0.01)
