"""The points of some instants of a rig, once its cameras are known."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor

from coview.data.pseudo_config import PseudoConfig
from coview.data.pseudo_rigs import Rig, observed
from coview.geometry.triangulation import triangulate_robust
from coview.sample import MultiView


class Points(NamedTuple):
    """float32; see `PseudoLabels`."""

    points: Float[Tensor, "instants joints 3"]
    covariance: Float[Tensor, "instants joints 3 3"]
    inliers: Bool[Tensor, "instants views joints"]


def block_of_labels(seen: MultiView, rig: Rig, config: PseudoConfig) -> Points:
    """Robust triangulation with the least reprojection error; covariance from the rig's measured noise."""
    pixels, weights = observed(seen, rig.cameras, config.trust)
    common = float(rig.sigma.square().mean().sqrt())
    found = triangulate_robust(
        pixels.float(),
        rig.cameras.pixels_from_world.float(),
        weights.float(),
        sigma=common,
        threshold=rig.threshold,
        seed=config.seed,
    )
    share = (rig.sigma / common).square().float()[:, None, None]
    return Points(found.points, share * found.covariance, found.inliers)
