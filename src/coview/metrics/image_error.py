"""Distances between joints in the image, in pixels."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric


class ImageError(Metric):
    """Mean distance in pixels over the joints known in both; sums in float64. NaN where there are none."""

    full_state_update = False
    higher_is_better = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def update(
        self, predicted: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"]
    ) -> None:
        """Pixels; NaN for a joint nobody knows."""
        distance = (predicted - truth).norm(dim=-1)
        known = distance.isfinite()
        self.total += torch.where(known, distance, 0.0).sum(dtype=torch.float64)
        self.count += known.sum(dtype=torch.float64)

    def compute(self) -> Float[Tensor, ""]:
        return self.total / self.count
