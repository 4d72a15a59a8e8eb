"""An embedding on paper: its two main directions, and groups of alike poses to colour it by."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.errors import InputError
from coview.metrics.k_means import k_means

GROUPS = 6  # of poses; more colours are not told apart
_POINTS = 800  # drawn at most


@dataclass(frozen=True)
class EmbeddingMap:
    """Points of a scatter plot, one per view."""

    place: Float[Tensor, "points 2"]  # along the directions of most variance; no unit
    group: Int[Tensor, "points"]  # which poses it is of
    view: Int[Tensor, "points"]  # which camera saw it
    kept_percent: float  # of the variance: how much of the embedding the plane shows


def embedding_map(
    embedding: Float[Tensor, "instants views features"], poses: Float[Tensor, "instants joints 3"]
) -> EmbeddingMap:
    """The plane that principal components span, for some 800 views; groups are clusters of the poses.

    Colours of groups that lie apart, and views that lie together, are what an embedding of poses looks like.
    ValueError where no instant has a whole pose and an embedding in every view."""
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
