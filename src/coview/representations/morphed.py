"""Skeleton morphing of 2D joints in pixels by a network that works on normalised poses. [Wandt21]"""

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
    """2D joints in pixels after a network moved them in normalised coordinates.

    Applied before everything else, so that rays, root-centring and the norm of the lifter's input are those of the
    new joints: the result is normalised again, unlike in the paper [Wandt21].

    Args:
        joints2d: Pixels.
        confidence: 0 for joints that were not detected.
        root: Index of the root joint.
        morpher: Maps root-centred poses of norm one, as `unit_norm` gives them.

    Returns:
        Pixels; NaN for joints that were not detected, and for all joints where the root was not.
    """
    pixels, weights = present(joints2d, confidence, root)
    seen = weights > 0
    centred = root_centred(pixels, root)
    size = (root_mean_square(centred, seen) * (2 * pixels.shape[-2]) ** 0.5)[..., None, None]
    moved = morpher(centred / size) * size + pixels[..., root, None, :]
    return torch.where(seen[..., None], moved, torch.nan)
