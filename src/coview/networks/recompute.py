"""Activation checkpointing: blocks keep only their input and recompute their activations in the backward pass."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def apply(block: nn.Module, features: Tensor, *, checkpointing: bool) -> Tensor:
    """`block(features)`, optionally with activation checkpointing: same value, same gradients.

    Running statistics of BatchNorm are updated once, in the first pass, as without checkpointing.

    Args:
        block: to be applied.
        features: its input.
        checkpointing: recompute activations in the backward pass."""
    if not (checkpointing and torch.is_grad_enabled()):
        answer: Tensor = block(features)
    elif torch.compiler.is_compiling():
        # a compiled graph writes buffers once by itself, and cannot trace a context
        answer = checkpoint(block, features, use_reentrant=False)
    else:
        answer = checkpoint(block, features, use_reentrant=False, context_fn=lambda: _contexts(block))
    return answer


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), statistics_kept(block)


@contextmanager
def statistics_kept(block: nn.Module) -> Iterator[None]:
    """Context in which BatchNorm layers of the block write running statistics to copies, which are discarded.

    Args:
        block: with the layers."""
    layers = [layer for layer in block.modules() if isinstance(layer, _BatchNorm)]
    own = [dict(layer.named_buffers(recurse=False)) for layer in layers]
    try:
        for layer, buffers in zip(layers, own, strict=True):
            layer._buffers.update({name: buffer.clone() for name, buffer in buffers.items()})
        yield
    finally:
        for layer, buffers in zip(layers, own, strict=True):
            layer._buffers.update(buffers)
