"""ResNet trunks for images, and the deconvolution head that turns their features into heatmaps.

[He16] with the stride of a bottleneck on its 3 × 3 convolution, with the parameter names of torchvision and timm; the
head is that of [Xiao18] as [Iskakov19] uses it.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from coview.errors import InputError
from coview.networks.heads import ConfidenceHead
from coview.networks.normalisation import BatchNorm2d
from coview.networks.recompute import apply

Depth = Literal[18, 34, 50, 101, 152]

# of a convolution in a residual block: what stands before it, stage, block, which convolution
_BLOCK_NAME = re.compile(r"(.*)layer([1-4])\.(\d+)\.conv([1-3])\.weight")
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# pixels of images in the first layers at a time, at inference on a CPU
_PIXELS_AT_ONCE = 384 * 384


class Maps(NamedTuple):
    """Outputs of the network for n images, at a quarter of their size."""

    # raw, before the softmax
    heatmaps: Float[Tensor, "n joints h4 w4"]
    # input of the last layer
    features: Float[Tensor, "n features h4 w4"]
    # confidence per joint, in (0, 1), if configured
    algebraic: Float[Tensor, "n joints"] | None
    # confidence per feature channel, in (0, 1), if configured
    volumetric: Float[Tensor, "n channels"] | None
    # features of the last residual stage
    coarse: Float[Tensor, "n channels32 h32 w32"] | None = None


class TrunkShape(NamedTuple):
    """What the weights of a residual network tell about it."""

    # number of layers; None for a number of blocks that no ResNet of [He16] has
    depth: int | None
    # number of residual blocks of each stage
    blocks: tuple[int, ...]
    # channels of the first stage
    channels: int

    def __str__(self) -> str:
        blocks = "-".join(map(str, self.blocks))
        name = f"ResNet-{self.depth}" if self.depth else f"residual network of {blocks} blocks"
        return f"{name} of {self.channels} channels"


def trunk_shapes(tensors: Mapping[str, Tensor]) -> dict[str, TrunkShape]:
    """The residual networks whose weights are among some, by the names of these.

    Args:
        tensors: weights by name, as in a state dict.

    Returns:
        What stands before "layer1" in the names of a network -> depth and width of that network."""
    found: dict[str, list[tuple[int, int, int, str]]] = {}
    for name in tensors:
        if match := _BLOCK_NAME.fullmatch(name):
            before, stage, block, convolution = match.groups()
            found.setdefault(before, []).append((int(stage), int(block), int(convolution), name))
    shapes = {}
    for before, layers in found.items():
        blocks = tuple(len({block for at, block, *_ in layers if at == stage}) for stage in range(1, 5))
        bottleneck = any(convolution == 3 for *_, convolution, _ in layers)
        depths = [depth for depth in _BLOCKS if _BLOCKS[depth] == blocks and (depth >= 50) == bottleneck]
        first = tensors[min(layers)[-1]]
        channels = len(first) if first.ndim else 0
        shapes[before] = TrunkShape(depths[0] if depths else None, blocks, channels)
    return shapes


class BasicBlock(nn.Module):
    """Residual block of two 3 × 3 convolutions. [He16], fig. 5 left

    Args:
        inputs: channels in.
        width: channels out.
        stride: of the first convolution."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, features: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        """Features at the block's stride.

        Args:
            features: of the previous block."""
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.bn2(self.conv2(inner))
        inner += self.downsample(features)
        output: Tensor = self.relu(inner)
        return output


class Bottleneck(nn.Module):
    """Residual block of 1 × 1, 3 × 3 (strided) and 1 × 1 convolutions; four times the width out. [He16], fig. 5 right

    Args:
        inputs: channels in.
        width: channels of the 3 × 3 convolution; four times as many go out.
        stride: of the 3 × 3 convolution."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, 4 * width, stride)

    def forward(self, features: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        """Features at the block's stride.

        Args:
            features: of the previous block."""
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        inner = self.bn3(self.conv3(inner))
        inner += self.downsample(features)
        output: Tensor = self.relu(inner)
        return output


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A 1 × 1 convolution where the shape changes; elsewhere the identity, without an entry in the state dict."""
    if stride == 1 and inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), BatchNorm2d(outputs))


class Trunk(nn.Module):
    """A ResNet without global pooling and classifier: images to features at stride 32.

    Args:
        depth: number of layers.
        trunk: channels of the first residual stage; each later one has twice as many.
        checkpointing: recompute activations in the backward pass: less memory, a third more time.

    Raises:
        ValueError: there is no ResNet of this depth."""

    def __init__(self, depth: Depth, *, trunk: int = 64, checkpointing: bool = False) -> None:
        super().__init__()
        if depth not in _BLOCKS:
            raise InputError(
                f"{type(self).__name__}: there is no residual network of depth {depth}; give one of {[*_BLOCKS]}."
            )
        block = BasicBlock if depth < 50 else Bottleneck
        # of the coarse features
        self.channels = 8 * trunk * block.expansion
        self.checkpointing = checkpointing
        self.conv1 = nn.Conv2d(3, trunk, 7, 2, padding=3, bias=False)
        self.bn1 = BatchNorm2d(trunk)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = trunk
        for stage, count in enumerate(_BLOCKS[depth], start=1):
            channels = trunk * 2 ** (stage - 1)
            self.add_module(f"layer{stage}", _stage(block, inputs, channels, count, 1 if stage == 1 else 2))
            inputs = channels * block.expansion

    def coarse(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n channels h32 w32"]:
        """Features of the last residual stage, at stride 32.

        Args:
            images: normalised RGB."""
        if torch.is_grad_enabled():
            fine = self._fine(images)
        else:
            # the memory of the first layers is bounded; the last ones, with many weights, like many images.
            # Channels last is twice as fast on a processor; with gradients it is not
            bounded = images.device.type == "cpu" and not self.training
            at_once = _PIXELS_AT_ONCE // (images.shape[-2] * images.shape[-1]) if bounded else len(images)
            parts = images.split(max(1, at_once))
            fine = torch.cat(
                [self._fine(part.contiguous(memory_format=torch.channels_last)) for part in parts]
            )
        return self._stages((3, 4), fine)

    def _fine(self, images: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n channels h8 w8"]:
        stem = nn.Sequential(self.conv1, self.bn1, self.relu, self.maxpool)
        return self._stages((1, 2), self._run(stem, images))

    def _stages(self, stages: tuple[int, int], features: Tensor) -> Tensor:
        for stage in stages:
            for block in self.get_submodule(f"layer{stage}").children():
                features = self._run(block, features)
        return features

    def _run(self, block: nn.Module, features: Tensor) -> Tensor:
        return apply(block, features, checkpointing=self.checkpointing and self.training)


class PoseResNet(Trunk):
    """ResNet with three deconvolutions and one heatmap per joint, and confidences from its coarsest features.

    State-dict names and shapes are those of the released weights after `backbone.`; at depth 152, 17 joints and
    `algebraic` these are 970 entries and 79.52 M parameters.

    Args:
        depth: number of layers of the ResNet.
        joints: number of heatmaps.
        algebraic: one confidence per joint.
        volumetric: number of confidences per feature channel of the volume; 0: none.
        deconv: channels of each deconvolution.
        trunk: channels of the first residual stage; each later one has twice as many.
        checkpointing: recompute activations in the backward pass: less memory, a third more time.
        released_numerics: confidences as the released code computes them, see `ConfidenceHead`.

    Raises:
        ValueError: a size that is not positive, or an unknown depth."""

    def __init__(
        self,
        depth: Depth,
        joints: int,
        *,
        algebraic: bool = False,
        volumetric: int = 0,
        deconv: int = 256,
        trunk: int = 64,
        checkpointing: bool = False,
        released_numerics: bool = False,
    ) -> None:
        if min(joints, deconv, trunk) < 1 or volumetric < 0:
            raise InputError(
                "PoseResNet needs joints, deconv and trunk ≥ 1 and volumetric ≥ 0, got "
                f"joints={joints}, deconv={deconv}, trunk={trunk}, volumetric={volumetric}."
            )
        super().__init__(depth, trunk=trunk, checkpointing=checkpointing)
        coarse = self.channels
        heads = (joints if algebraic else 0, volumetric)
        self.alg_confidences, self.vol_confidences = (
            ConfidenceHead(coarse, count, released_numerics=released_numerics) if count else None
            for count in heads
        )
        self.deconv_layers = nn.Sequential(*_deconvolutions(coarse, deconv))
        self.final_layer = nn.Conv2d(deconv, joints, 1)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> Maps:
        """Raw heatmaps (before softmax) and features at stride 4; a size not divisible by 32 is rounded up.

        Args:
            images: normalised RGB."""
        coarse = self.coarse(images)
        algebraic = None if self.alg_confidences is None else self.alg_confidences(coarse)
        volumetric = None if self.vol_confidences is None else self.vol_confidences(coarse)
        features = coarse
        # for their memory
        del images
        for start in range(0, len(self.deconv_layers), 3):
            features = self._run(self.deconv_layers[start : start + 3], features)
        return Maps(self.final_layer(features), features, algebraic, volumetric, coarse)


def _stage(
    block: type[BasicBlock] | type[Bottleneck], inputs: int, width: int, count: int, stride: int
) -> nn.Sequential:
    first = block(inputs, width, stride)
    return nn.Sequential(first, *(block(width * block.expansion, width, 1) for _ in range(count - 1)))


def _deconvolutions(inputs: int, width: int) -> list[nn.Module]:
    """Three upsamplings by two: transposed convolution, batch normalisation, ReLU."""
    layers: list[nn.Module] = []
    for channels in (inputs, width, width):
        layers.append(nn.ConvTranspose2d(channels, width, 4, 2, padding=1, bias=False))
        layers += [BatchNorm2d(width), nn.ReLU(inplace=True)]
    return layers
