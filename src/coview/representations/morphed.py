"""Pixels through a network that works on normalised poses, and back to pixels."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from coview.representations.normalised import present, root_centred, root_mean_square


def morphed(
    joints2d: Float[Tensor, "*batch joints 2"],
    confidence: Float[Tensor, "*batch joints"],
    root: int,
    morpher: Callable[[Float[Tensor, "*batch joints 2"]], Float[Tensor, "*batch joints 2"]],
) -> Float[Tensor, "*batch joints 2"]:
    """Pixels in, pixels out; `morpher` sees every pose root-centred and of norm one, as `unit_norm` gives.

    Done before anything else is made of the detections, what follows (rays, root-centring, the norm of
    the lifter's input) is that of the new joints: the result is normalised anew, as the paper's is not
    [Wandt21]. A joint that was not seen stays unknown (NaN), and so do all where the root was not."""
    pixels, weights = present(joints2d, confidence, root)
    seen = weights > 0
    centred = root_centred(pixels, root)
    size = (root_mean_square(centred, seen) * (2 * pixels.shape[-2]) ** 0.5)[..., None, None]
    moved = morpher(centred / size) * size + pixels[..., root, None, :]
    return torch.where(seen[..., None], moved, torch.nan)
