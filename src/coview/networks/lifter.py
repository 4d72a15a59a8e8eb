"""The residual networks that lift one 2D pose: to a 3D pose and a rotation [Wandt21], or to depths."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Residual(nn.Module):
    """Two linear layers around a shortcut; leaky everywhere, no normalisation, no dropout."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        inner = leaky(self.second(leaky(self.first(features))))
        return leaky(inner + features)


class Lifter(nn.Module):
    """One trunk, two branches: a pose and the numbers of a rotation. [Wandt21], fig. 2

    With 16 joints, width 1024 and 3 rotation numbers it has the 10,598,451 parameters of the paper. Without any, it
    has the pose's branch alone."""

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
        """Root-centred 2D of norm one and confidences in; a pose of any scale and rotation numbers out."""
        # planar: all x, then all y (then all z), as in the paper; never x y x y
        features = self.shared(self.entry(torch.cat([joints2d.mT.flatten(-2), confidence], dim=-1)))
        planar = self.pose(self.pose_branch(features)).unflatten(-1, (3, -1))
        if not self.rotation_numbers:
            return planar.mT, features[..., :0]
        return planar.mT, self.rotation(self.rotation_branch(features))

    @torch.no_grad()
    def mirror(self, rotation_signs: Float[Tensor, "numbers"]) -> None:
        """Negate z of every pose and multiply the rotation numbers by signs, in the last layers' weights."""
        depth = slice(2 * self.pose.out_features // 3, None)
        self.pose.weight[depth] *= -1
        self.pose.bias[depth] *= -1
        if self.rotation_numbers:
            self.rotation.weight.mul_(rotation_signs[:, None])
            self.rotation.bias.mul_(rotation_signs)


class DepthLifter(nn.Module):
    """The trunk and the pose branch of `Lifter`, with one number per joint at the end."""

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
        """2D poses of one place and size, confidences, how large they were in the image (about 0); any range out."""
        planar = torch.cat([joints2d.mT.flatten(-2), confidence, size[..., None]], dim=-1)
        return self.depth(self.trunk(self.entry(planar)))


def leaky(features: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
    """Leaky rectifier, slope 0.01."""
    return nn.functional.leaky_relu(features, 0.01)
