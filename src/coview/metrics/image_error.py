"""Distances between joints in the image, in pixels."""

from jaxtyping import Float
from torch import Tensor

from coview.metrics.mean import Mean


class ImageError(Mean):
    """Mean distance in pixels over the joints known in both; sums in float64. NaN where there are none."""

    higher_is_better = False

    def update(
        self, predicted: Float[Tensor, "*batch joints 2"], truth: Float[Tensor, "*batch joints 2"]
    ) -> None:
        """Pixels; NaN for a joint nobody knows."""
        distance = (predicted - truth).norm(dim=-1)
        self.add(distance, distance.isfinite())
