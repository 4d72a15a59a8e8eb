"""Which detections' errors may be correlated: those of one joint of one person in one block of time."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.geometry.bundle.cluster_covariance import Clusters

# correlation below which the following ones are taken for chance
_NONE = 0.05
# times the correlation length: errors further apart count as independent
_BLOCK = 4.0
# blocks of time, at most: more would say no more and take longer
_MOST_BLOCKS = 30
# short blocks, in which it is seen whether the joints of one person err together
_SHORT_BLOCKS = 10


def error_clusters(
    residuals: Float[Tensor, "times views joints 2"], valid: Bool[Tensor, "times views joints"], people: int
) -> Clusters:
    """Clusters of detections, for a covariance that allows any correlation of errors within a cluster.

    The blocks are as long as several times the correlation length of the residuals, up to the whole recording: a
    detector that is wrong about a joint from one side is so for as long as it sees that side.

    Args:
        residuals: pixels; the joints of several people follow each other.
        valid: which of them count.
        people: how many there are.

    Returns:
        Of every joint at each time, the joints of one time together.
    """
    times, _, joints, _ = residuals.shape
    length = math.ceil(_BLOCK * variance_factor(residuals, valid))
    joint, time = torch.arange(joints), torch.arange(times)[:, None]
    person = joint * people // joints

    def numbered(blocks: int, each: Tensor) -> Tensor:
        return ((time * blocks // times) * joints + each).flatten()

    long, short = min(max(1, times // length), _MOST_BLOCKS), min(times, _SHORT_BLOCKS)
    return Clusters(numbered(long, joint), numbered(short, joint), numbered(short, person))


def variance_factor(
    residuals: Float[Tensor, "times views joints 2"], valid: Bool[Tensor, "times views joints"]
) -> float:
    """Factor by which the variance of a mean exceeds that of independent errors: 1 + 2 Σ ρ_k. [Geyer92 §3.3]

    ρ_k is the autocorrelation of a joint's residual k times later, summed while it is positive. The mean is not
    subtracted: an error that never changes is the most correlated. Meaningless for times that are not evenly spaced.

    Args:
        residuals: pixels.
        valid: which of them count.

    Returns:
        The factor, 1 for independent errors: the correlation length in times.
    """
    values = torch.where(valid[..., None], residuals, 0.0)
    there = valid.to(values)
    variance = values.square().sum() / (2 * there.sum()).clamp(min=1)
    total = 1.0
    for step in range(1, max(1, len(values) // 3)):
        count = 2 * (there[step:] * there[:-step]).sum()
        alike = float(
            (values[step:] * values[:-step]).sum() / count.clamp(min=1) / variance.clamp(min=1e-300)
        )
        if alike < _NONE or float(count) < 1:
            break
        total += 2 * alike
    return total
