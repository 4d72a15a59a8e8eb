"""Whether poses come mirrored in depth: near and far exchanged, which no picture without perspective shows."""

from jaxtyping import Float
from torch import Tensor

from coview.metrics.joint_error import n_joint_error
from coview.metrics.mean import Mean


class MirroredShare(Mean):
    """Percentage of poses that come nearer to the truth when their depth is mirrored.

    For poses in camera axes (x right, y down, z forward), root-aligned and scaled as for N-MPJPE. A
    model that ended in the mirrored world has a share near 100; the sign of the scale
    (`OppositeShare`) does not show it, because height and width stay as they are. A pose without
    depth, or of which no joint is known, is not counted."""

    higher_is_better = False

    def __init__(self, root: int) -> None:
        super().__init__()
        self.root = root

    def update(
        self, predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
    ) -> None:
        """Predictions and truth in camera axes."""
        flip = predicted.new_tensor([1.0, 1.0, -1.0])
        centred = predicted - predicted[..., self.root, None, :]
        plain = n_joint_error(centred, truth, self.root).nanmean(dim=-1)
        other = n_joint_error(centred * flip, truth, self.root).nanmean(dim=-1)
        self.add(100.0 * (other < plain), (other != plain) & plain.isfinite())
