"""Inflation of variances for a detector whose errors are correlated from frame to frame."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

# correlation below which the following ones are taken for chance
_NONE = 0.05


def variance_factor(
    residuals: Float[Tensor, "times views joints 2"], valid: Bool[Tensor, "times views joints"]
) -> float:
    """Factor by which variances exceed those of independent errors: 1 + 2 Σ ρ_k. [Geyer92 §3.3]

    ρ_k is the autocorrelation of a joint's residual k times later, summed while it is positive. The mean is not
    subtracted: an error that never changes is the most correlated. Meaningless for times that are not evenly spaced.

    Args:
        residuals: pixels.
        valid: which of them count.

    Returns:
        The factor, 1 for independent errors.
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
