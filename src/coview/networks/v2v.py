"""The volume-to-volume network: an hourglass of 3D residual blocks. [Moon18], as [Iskakov19] sizes it."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.networks.normalisation import BatchNorm3d
from coview.networks.recompute import apply


class Basic(nn.Module):
    """One convolution of odd kernel, normalised and rectified."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(inputs, outputs, kernel, padding=kernel // 2),
            BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, volume: Float[Tensor, "b inputs x y z"]) -> Float[Tensor, "b outputs x y z"]:
        output: Tensor = self.block(volume)
        return output


class Res(nn.Module):
    """Two 3³ convolutions around a shortcut, which is a 1³ convolution where the channels change."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.res_branch = nn.Sequential(
            nn.Conv3d(inputs, outputs, 3, padding=1),
            BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv3d(outputs, outputs, 3, padding=1),
            BatchNorm3d(outputs),
        )
        change = inputs != outputs
        self.skip_con = nn.Sequential(
            *([nn.Conv3d(inputs, outputs, 1), BatchNorm3d(outputs)] if change else [])
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, volume: Float[Tensor, "b inputs x y z"]) -> Float[Tensor, "b outputs x y z"]:
        inner = self.res_branch(volume)
        inner += self.skip_con(volume)
        output: Tensor = self.relu(inner)
        return output


class Up(nn.Module):
    """Twice the size: transposed 2³ convolution of stride 2, normalised and rectified."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ConvTranspose3d(inputs, outputs, 2, 2), BatchNorm3d(outputs), nn.ReLU(inplace=True)
        )

    def forward(self, volume: Float[Tensor, "b inputs x y z"]) -> Float[Tensor, "b outputs x2 y2 z2"]:
        output: Tensor = self.block(volume)
        return output


class V2V(nn.Module):
    """A volume of features in, one volume of scores per joint out, of the same size.

    State-dict names and shapes are those of the released weights after `volume_net.`; with 17 outputs these are
    11.94 M parameters. Weights begin Xavier-normal, biases at zero."""

    def __init__(
        self,
        inputs: int = 32,
        outputs: int = 17,
        *,
        width: int = 32,  # channels at full size; twice and then four times as many further in
        levels: int = 5,  # how often the size is halved
        front_kernel: int = 7,  # odd
        checkpointing: bool = False,  # recompute activations for the gradient: less memory, a third more time
    ) -> None:
        super().__init__()
        if min(inputs, outputs) < 1 or levels < 0 or width < 2 or front_kernel % 2 == 0:
            raise ValueError(
                "V2V needs inputs and outputs ≥ 1, levels ≥ 0, a width ≥ 2 and an odd front_kernel, got inputs="
                f"{inputs}, outputs={outputs}, levels={levels}, width={width}, front_kernel={front_kernel}."
            )
        self.levels, self.checkpointing = levels, checkpointing
        self.front_layers = nn.Sequential(
            Basic(inputs, width // 2, front_kernel),
            Res(width // 2, width),
            Res(width, width),
            Res(width, width),
        )
        self.encoder_decoder = nn.ModuleDict(_hourglass(width, levels))
        self.back_layers = nn.Sequential(Res(width, width), Basic(width, width, 1), Basic(width, width, 1))
        self.output_layer = nn.Conv3d(width, outputs, 1)
        self.pool = nn.MaxPool3d(2)
        self.apply(_initialise)

    def forward(self, volume: Float[Tensor, "b inputs n n n"]) -> Float[Tensor, "b outputs n n n"]:
        """Scores before the softmax. ValueError where n is not divisible by 2 to the number of levels."""
        if volume.shape[-1] % 2**self.levels:
            raise ValueError(
                f"V2V: a grid of {volume.shape[-1]} cells a side cannot be halved {self.levels} times; take a multiple "
                f"of {2**self.levels} cells, or fewer levels."
            )
        for layer in self.front_layers:
            volume = self._run(layer, volume)
        skips = []
        for level in range(1, self.levels + 1):
            skips.append(self._run(self.encoder_decoder[f"skip_res{level}"], volume))
            volume = self._run(self.encoder_decoder[f"encoder_res{level}"], self.pool(volume))
        volume = self._run(self.encoder_decoder["mid_res"], volume)
        for level in range(self.levels, 0, -1):
            volume = self._run(self.encoder_decoder[f"decoder_res{level}"], volume)
            volume = self._run(self.encoder_decoder[f"decoder_upsample{level}"], volume)
            # in place only where no gradient needs the rectifier's answer unchanged
            volume = volume + skips.pop() if torch.is_grad_enabled() else volume.add_(skips.pop())
        for layer in self.back_layers:
            volume = self._run(layer, volume)
        scores: Tensor = self.output_layer(volume)
        return scores

    def _run(self, block: nn.Module, volume: Tensor) -> Tensor:
        return apply(block, volume, checkpointing=self.checkpointing and self.training)


def _hourglass(width: int, levels: int) -> dict[str, nn.Module]:
    channels = [min(width * 2**level, 4 * width) for level in range(levels + 1)]
    parts: dict[str, nn.Module] = {"mid_res": Res(channels[-1], channels[-1])}
    for level, (outer, inner) in enumerate(pairwise(channels), start=1):
        parts[f"skip_res{level}"] = Res(outer, outer)
        parts[f"encoder_res{level}"] = Res(outer, inner)
        parts[f"decoder_res{level}"] = Res(inner, inner)
        parts[f"decoder_upsample{level}"] = Up(inner, outer)
    return parts


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.xavier_normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
