"""The volume-to-volume network (V2V): an hourglass of 3D residual blocks. [Moon18], as [Iskakov19] sizes it"""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from coview.errors import InputError
from coview.networks.normalisation import BatchNorm3d
from coview.networks.recompute import apply
from coview.networks.slabs import Slabs, convolved, pop_each, slabs


class Convolution(nn.Conv3d):
    """3D convolution of odd kernel that keeps the size. A 1³ kernel is a matrix product at inference on a CPU.

    That is 4 times as fast: PyTorch's convolution permutes a channels-last volume.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side, odd."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2)

    def forward(self, input: Tensor) -> Tensor:
        """The convolved volume.

        Args:
            input: n × channels × x × y × z."""
        if self.kernel_size != (1, 1, 1) or torch.is_grad_enabled() or input.device.type != "cpu":
            return super().forward(input)
        return functional.linear(input.movedim(1, -1), self.weight.flatten(1), self.bias).movedim(-1, 1)


class Basic(nn.Module):
    """Convolution of odd kernel, batch normalisation and ReLU.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side, odd."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            Convolution(inputs, outputs, kernel),
            BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
        )

    def forward(self, volume: Float[Tensor, "b inputs x y z"]) -> Float[Tensor, "b outputs x y z"]:
        """A volume of the same size.

        Args:
            volume: features."""
        output: Tensor = self.block(volume)
        return output


class Res(nn.Module):
    """Residual block of two 3³ convolutions; the shortcut is a 1³ convolution where the channels change.

    Args:
        inputs: channels in.
        outputs: channels out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.res_branch = nn.Sequential(
            Convolution(inputs, outputs, 3),
            BatchNorm3d(outputs),
            nn.ReLU(inplace=True),
            Convolution(outputs, outputs, 3),
            BatchNorm3d(outputs),
        )
        change = inputs != outputs
        self.skip_con = nn.Sequential(
            *([Convolution(inputs, outputs, 1), BatchNorm3d(outputs)] if change else [])
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, volume: Float[Tensor, "b inputs x y z"]) -> Float[Tensor, "b outputs x y z"]:
        """A volume of the same size.

        Args:
            volume: features."""
        inner = self.res_branch(volume)
        inner += self.skip_con(volume)
        output: Tensor = self.relu(inner)
        return output

    def streamed(self, volume: Slabs, cells: int) -> Iterator[Float[Tensor, "b outputs _ y z"]]:
        """`forward` over slabs of a volume; only in eval mode and without gradients.

        Args:
            volume: slabs in order.
            cells: length of the whole volume along the first axis."""
        # slabs that the shortcut still needs
        waiting: list[Tensor] = []

        def read() -> Iterator[Tensor]:
            for slab in volume:
                waiting.append(slab)
                del slab
                yield waiting[-1]

        # a part of a Sequential is one, which its annotation does not say
        branch: Any = self.res_branch
        first = convolved(branch[:3], read(), cells)
        for inner in convolved(branch[3:], first, cells):
            shortcut = torch.cat(waiting, dim=2)
            waiting[:] = [shortcut[:, :, inner.shape[2] :].clone()]
            inner += self.skip_con(shortcut[:, :, : inner.shape[2]])
            del shortcut
            yield self.relu(inner)
            del inner


class Up(nn.Module):
    """Upsampling by two: transposed 2³ convolution of stride 2, batch normalisation and ReLU.

    Args:
        inputs: channels in.
        outputs: channels out."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.ConvTranspose3d(inputs, outputs, 2, 2), BatchNorm3d(outputs), nn.ReLU(inplace=True)
        )

    def forward(self, volume: Float[Tensor, "b inputs x y z"]) -> Float[Tensor, "b outputs x2 y2 z2"]:
        """A volume of twice the size.

        Args:
            volume: features."""
        output: Tensor = self.block(volume)
        return output

    def added_to(
        self, skip: Float[Tensor, "b outputs x2 y2 z2"], volume: Float[Tensor, "b inputs x y z"]
    ) -> None:
        """Adds the upsampled volume to `skip` in place, with an eighth of the memory; in eval mode, without gradients.

        The eight output cells of one input cell have separate weights and are computed one after another.

        Args:
            skip: volume of twice the size, changed in place.
            volume: features."""
        (weight, bias), rest = self.block[0].parameters(), self.block[1:]
        channels_last = volume.movedim(1, -1)
        for i, j, k in product(range(2), repeat=3):
            part = functional.linear(channels_last, weight[..., i, j, k].T, bias).movedim(-1, 1)
            skip[:, :, i::2, j::2, k::2] += rest(part)


class V2V(nn.Module):
    """A volume of features to one volume of scores per joint, of the same size.

    State-dict names and shapes are those of the released weights after `volume_net.`; with 17 outputs these are 11.94 M
    parameters. Weights are initialised Xavier-normal, biases to zero.

    Args:
        inputs: channels in.
        outputs: channels out, one per joint.
        width: channels at full size; twice and then four times as many further in.
        levels: how often the size is halved.
        front_kernel: side of the first convolution, odd.
        checkpointing: recompute activations in the backward pass: less memory, a third more time.

    Raises:
        ValueError: a size that is not possible."""

    def __init__(
        self,
        inputs: int = 32,
        outputs: int = 17,
        *,
        width: int = 32,
        levels: int = 5,
        front_kernel: int = 7,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if min(inputs, outputs) < 1 or levels < 0 or width < 2 or front_kernel % 2 == 0:
            raise InputError(
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
        self.output_layer = Convolution(width, outputs, 1)
        self.pool = nn.MaxPool3d(2)
        self.apply(_initialise)

    def forward(self, volume: Float[Tensor, "b inputs n n n"]) -> Float[Tensor, "b outputs n n n"]:
        """Scores before the softmax.

        Args:
            volume: features; n must be divisible by 2 to the power of `levels`.

        Raises:
            ValueError: n is not divisible."""
        if volume.shape[-1] % 2**self.levels:
            raise InputError(
                f"V2V: a grid of {volume.shape[-1]} cells a side cannot be halved {self.levels} times; take a multiple "
                f"of {2**self.levels} cells, or fewer levels."
            )
        return self.consume([volume])

    def consume(self, volumes: list[Float[Tensor, "b inputs n n n"]]) -> Float[Tensor, "b outputs n n n"]:
        """`forward` for the only volume of a list, which is removed from it, so that its memory can be freed.

        Args:
            volumes: list of one volume."""
        volume = self._run(self.front_layers[0], volumes.pop())
        if volume.device.type == "cpu" and not (self.training or torch.is_grad_enabled()):
            parts = slabs(volume)
            del volume
            return self._streamed(parts)
        for layer in [*self.front_layers][1:]:
            volume = self._run(layer, volume)
        skips = []
        for level in range(1, self.levels + 1):
            skips.append(self._run(self.encoder_decoder[f"skip_res{level}"], volume))
            volume = self._run(self.encoder_decoder[f"encoder_res{level}"], self.pool(volume))
        volume = self._run(self.encoder_decoder["mid_res"], volume)
        for level in range(self.levels, 0, -1):
            volume = self._run(self.encoder_decoder[f"decoder_res{level}"], volume)
            volume = self._run(self.encoder_decoder[f"decoder_upsample{level}"], volume)
            volume = volume + skips.pop()
        for layer in self.back_layers:
            volume = self._run(layer, volume)
        scores: Tensor = self.output_layer(volume)
        return scores

    def _streamed(self, parts: list[Tensor]) -> Tensor:
        """All layers after the first, slab by slab."""
        cells = parts[0].shape[-1]
        layers: list[Any] = [*self.front_layers]
        for layer in layers[1:]:
            parts = [*layer.streamed(pop_each(parts), cells)]
        parts = self._hourglass(parts, 1, cells)
        back: list[Any] = [*self.back_layers]
        first, *others = back
        rest = nn.Sequential(*others, self.output_layer)
        # .contiguous(): joint by joint, as a softmax over cells wants it
        return torch.cat([rest(part).contiguous() for part in first.streamed(pop_each(parts), cells)], dim=2)

    def _hourglass(self, parts: list[Tensor], level: int, cells: int) -> list[Tensor]:
        """From this level inwards and back; empties the list. Every slab has an even number of cells."""
        # a ModuleDict does not say what it holds
        layers: Any = self.encoder_decoder
        if level > self.levels:
            return [*layers["mid_res"].streamed(pop_each(parts), cells)]
        halved = [self.pool(part) for part in parts]
        skips = [*layers[f"skip_res{level}"].streamed(pop_each(parts), cells)]
        inner = slabs(torch.cat(halved, dim=2))
        halved.clear()
        inner = [*layers[f"encoder_res{level}"].streamed(pop_each(inner), cells // 2)]
        inner = self._hourglass(inner, level + 1, cells // 2)
        volume = torch.cat([*layers[f"decoder_res{level}"].streamed(pop_each(inner), cells // 2)], dim=2)
        start = 0
        for skip in skips:
            end = start + skip.shape[2] // 2
            layers[f"decoder_upsample{level}"].added_to(skip, volume[:, :, start:end])
            start = end
        return skips

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
