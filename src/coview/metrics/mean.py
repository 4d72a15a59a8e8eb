"""The running mean that metrics over a data set are made of."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """Sums in float64, so that the answer does not depend on how a data set is cut into batches."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def add(self, values: Tensor, counted: Tensor) -> None:
        """Add `values` where `counted`."""
        self.total += torch.where(counted, values, 0.0).sum(dtype=torch.float64)
        self.count += counted.sum(dtype=torch.float64)

    def compute(self) -> Float[Tensor, ""]:
        """NaN where nothing was counted."""
        return self.total / self.count
