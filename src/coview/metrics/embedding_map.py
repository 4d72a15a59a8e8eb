"""A 2D map of a pose embedding by principal components, coloured by clusters of similar poses."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError
from coview.metrics.k_means import k_means

# of poses; more colours are not told apart
GROUPS = 6
# drawn at most
_POINTS = 800


@dataclass(frozen=True)
class EmbeddingMap:
    """Points of a scatter plot, one per view."""

    # coordinates along the first two principal components
    place: Float[Tensor, "points 2"]
    # cluster of the pose
    group: Int[Tensor, "points"]
    # camera of the view
    view: Int[Tensor, "points"]
    # explained variance of the two components, percent
    kept_percent: float


def embedding_map(
    embedding: Float[Tensor, "instants views features"], poses: Float[Tensor, "instants joints 3"]
) -> EmbeddingMap:
    """Projection of an embedding onto its two principal components, for about 800 views; groups are pose clusters.

    In a good embedding the views of an instant coincide and the groups separate.

    Args:
        embedding: of every instant and view; NaN: none.
        poses: 3D joints of the instants, which are clustered by k-means.

    Raises:
        ValueError: no instant has a complete pose and an embedding in every view."""
    whole = poses.isfinite().flatten(1).all(dim=-1) & embedding.isfinite().flatten(1).all(dim=-1)
    chosen = whole.nonzero().flatten()
    if not len(chosen):
        raise InputError(
            "embedding_map: no instant has both a whole pose and an embedding in every view, so nothing can be drawn."
        )
    chosen = chosen[:: max(1, -(-len(chosen) * embedding.shape[1] // _POINTS))]
    embedding, poses = embedding[chosen].double(), poses[chosen].double()
    instants, views = embedding.shape[:2]
    flat = embedding.flatten(0, 1)
    centred = flat - flat.mean(dim=0)
    _, sizes, directions = torch.linalg.svd(centred, full_matrices=False)
    share = sizes[:2].square().sum() / sizes.square().sum().clamp_min(1e-12)
    centres = k_means(poses.flatten(1), min(GROUPS, instants), seed=0)
    group = torch.cdist(poses.flatten(1), centres).argmin(dim=-1)
    return EmbeddingMap(
        place=(centred @ directions[:2].mT).float(),
        group=group.repeat_interleave(views),
        view=torch.arange(views).repeat(instants),
        kept_percent=100.0 * float(share),
    )
