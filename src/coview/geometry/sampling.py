"""Frames that stand for a recording: evenly spaced ones."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def evenly_spaced(chosen: Bool[Tensor, "frames"], most: int) -> Int[Tensor, "some"]:
    """Indices of at most `most` of the chosen frames, evenly spaced: neighbouring frames are redundant.

    Args:
        chosen: frames to choose from.
        most: how many at most."""
    frames = chosen.nonzero()[:, 0]
    return frames[evenly(len(frames), most)]


def evenly(count: int, most: int) -> Int[Tensor, "some"]:
    """At most `most` of the numbers from 0 to `count` - 1, evenly spaced.

    Args:
        count: how many numbers there are.
        most: how many are returned at most."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()
