"""The running mean that metrics over a data set derive from."""

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric


class Mean(Metric):
    """Running mean with sums in float64, so that it does not depend on the batch size."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")

    def add(self, values: Tensor, counted: Tensor) -> None:
        """Adds the counted values to the mean.

        Args:
            values: any shape and unit; may be NaN where not counted.
            counted: whether each value counts; same shape."""
        self.total += torch.where(counted, values, 0.0).sum(dtype=torch.float64)
        self.count += counted.sum(dtype=torch.float64)

    def compute(self) -> Float[Tensor, ""]:
        """The mean; NaN where nothing was counted."""
        return self.total / self.count


class RootedMean(Mean):
    """Running mean over poses that are aligned at their root.

    Args:
        root: index of the root joint."""

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root
