"""How much less a recording says than its detections are many: a detector repeats its errors."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_NONE = 0.05  # correlation below which the next ones are taken for chance


def variance_factor(
    residuals: Float[Tensor, "times views joints 2"], known: Bool[Tensor, "times views joints"]
) -> float:
    """How many times larger variances are than if every detection erred by itself; 1 where they do.

    1 + 2 Σ ρ_k over the correlations of a joint's residual with itself k times on, as long as they are positive
    [Geyer92 §3.3]. The mean is left in: an error that never changes is the most correlated.
    Meaningless for times that are not evenly apart."""
    values = torch.where(known[..., None], residuals, 0.0)
    there = known.to(values)
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
