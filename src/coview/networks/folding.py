"""Networks prepared for inference: batch normalisation folded into convolutions, channels-last weights."""

import copy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from coview.errors import InputError

Module = TypeVar("Module", bound=nn.Module)
_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def folded(module: Module, *, in_place: bool = False) -> Module:
    """A module with the same outputs in eval mode, with every BatchNorm folded into the convolution before it.

    Weights are channels-last, which convolutions on a CPU read fastest. The result is frozen, in eval mode, and has
    another state dict: save the original. A BatchNorm belongs to the convolution registered right before it in the same
    module.

    Args:
        module: in eval mode.
        in_place: change the module itself instead of a copy, which would need a second set of weights.

    Raises:
        ValueError: the module is in training mode, where normalisation depends on the batch, or a BatchNorm has no
            running statistics."""
    if module.training:
        raise InputError(
            "folded: the module is in training mode, where its normalisations follow each batch and cannot be "
            "multiplied into weights. Call .eval() first."
        )
    ready = module if in_place else copy.deepcopy(module)
    for parent in list(ready.modules()):
        _fold_children(parent)
    return ready.requires_grad_(False)


def _fold_children(parent: nn.Module) -> None:
    before: nn.Module | None = None
    for name, layer in list(parent.named_children()):
        if isinstance(layer, _BatchNorm) and isinstance(before, _ConvNd):
            _fold(before, layer)
            setattr(parent, name, nn.Identity())
        before = layer


@torch.no_grad()
def _fold(convolution: _ConvNd, normalisation: _BatchNorm) -> None:
    """Folds y = (conv(x) − mean) · scale + shift, computed in float64."""
    mean, variance = normalisation.running_mean, normalisation.running_var
    if mean is None or variance is None:
        raise InputError(
            "folded: a BatchNorm has no running statistics, so its answer follows each batch even in eval mode."
        )
    scale = (variance.double() + normalisation.eps).rsqrt()
    shift = -mean.double() * scale
    if normalisation.affine:
        scale, shift = scale * normalisation.weight, shift * normalisation.weight + normalisation.bias
    if convolution.bias is not None:
        shift = shift + scale * convolution.bias
    weight = convolution.weight
    # the axis of output channels; transposed convolutions have it second
    axes = (1, -1) if isinstance(convolution, _ConvTransposeNd) else (-1, 1)
    scaled = weight * scale.to(weight.dtype).view(*axes, *[1] * (weight.dim() - 2))
    layout = _LAYOUTS.get(weight.dim(), torch.contiguous_format)
    convolution.weight = nn.Parameter(scaled.contiguous(memory_format=layout))
    convolution.bias = nn.Parameter(shift.to(weight.dtype))
