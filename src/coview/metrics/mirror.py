"""Whether poses are reflected in depth, an ambiguity that orthographic projection cannot resolve."""

from jaxtyping import Float
from torch import Tensor

from coview.metrics.joint_error import n_joint_error
from coview.metrics.mean import RootedMean


class MirroredShare(RootedMean):
    """Percentage of poses that are closer to the truth when their depth is negated.

    Poses are root-aligned and scaled as for N-MPJPE. A model that converged to the reflected solution has a share near
    100; the sign of the scale (`OppositeShare`) does not show it, because x and y are unchanged. Poses without depth,
    or without any known joint, are not counted.

    Args:
        root: index of the root joint."""

    higher_is_better = False

    def update(
        self, predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
    ) -> None:
        """Adds a batch.

        Args:
            predicted: camera axes (x right, y down, z forward), any unit.
            truth: camera axes, metres."""
        flip = predicted.new_tensor([1.0, 1.0, -1.0])
        centred = predicted - predicted[..., self.root, None, :]
        plain = n_joint_error(centred, truth, self.root).nanmean(dim=-1)
        other = n_joint_error(centred * flip, truth, self.root).nanmean(dim=-1)
        self.add(100.0 * (other < plain), (other != plain) & plain.isfinite())
