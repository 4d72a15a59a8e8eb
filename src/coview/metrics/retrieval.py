"""Pose retrieval with an embedding: distance between a query's pose and the poses of its nearest views. [Mitra20]

A query is one view of an instant; the gallery holds the views of all other cameras. "Mean-PA-MPJPE@K" is the mean
over the K nearest views, then over queries, of the P-MPJPE between the true poses, in millimetres.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.metrics.joint_error import p_joint_error

# K
NEAREST = (1, 5, 10, 20)
# seconds within which a view of the same take shows the same instant; times are float32
WITHIN = 0.1 + 1e-3
# instants at most: all pairs of their poses are aligned
_QUERIES, _GALLERY = 96, 480
# alignments
_AT_ONCE = 2**14


@dataclass(frozen=True)
class EmbeddedViews:
    """Embedded views with their true poses."""

    # unit vectors; NaN: no embedding
    embedding: Float[Tensor, "instants views features"]
    # metres
    joints3d: Float[Tensor, "instants joints 3"]
    subject: Int[Tensor, "instants"]
    sequence: Int[Tensor, "instants"]
    # seconds within the sequence
    time: Float[Tensor, "instants"]

    def __getitem__(self, index: Int[Tensor, "picked"]) -> "EmbeddedViews":
        """Some of the instants."""
        return EmbeddedViews(**{name: value[index] for name, value in vars(self).items()})


def retrieval(views: EmbeddedViews) -> dict[str, float]:
    """Mean-PA-MPJPE@K across cameras, with its least and chance values and the hit rate of the same instant.

    At most 96 instants, evenly chosen, are queries and at most 480 are in the gallery.

    Args:
        views: embeddings and true poses.

    Returns:
        Values by name. Those that begin with `others_` use a gallery without the query's subject, in which no view
        shows the same instant. A value is absent where there are fewer than K answers; all are, with one camera or
        no pose."""
    whole = views.joints3d.isfinite().flatten(1).all(dim=-1) & views.embedding.isfinite().flatten(1).all(
        dim=-1
    )
    views = views[whole.nonzero().flatten()]
    if len(views.time) < 2 or views.embedding.shape[1] < 2:
        return {}
    gallery = views[_evenly(len(views.time), _GALLERY)]
    queries = gallery[_evenly(len(gallery.time), _QUERIES)]
    error = pose_distances(queries.joints3d, gallery.joints3d)
    same_instant = (queries.sequence[:, None] == gallery.sequence) & (
        (queries.time[:, None] - gallery.time).abs() <= WITHIN
    )
    found = _rows(queries, gallery, error, torch.ones_like(same_instant), same_instant, "retrieval")
    strangers = queries.subject[:, None] != gallery.subject
    return found | _rows(queries, gallery, error, strangers, None, "others")


def pose_distances(
    first: Float[Tensor, "many joints 3"], second: Float[Tensor, "more joints 3"]
) -> Float[Tensor, "many more"]:
    """P-MPJPE of every pair of poses (similarity alignment without reflection).

    Args:
        first: metres.
        second: metres.

    Returns:
        Millimetres."""
    each = max(1, _AT_ONCE // len(second))
    rows = []
    for part in first.split(each):
        pairs = (len(part), *second.shape)
        one, other = second.expand(pairs), part[:, None].expand(pairs)
        rows.append(p_joint_error(one, other).mean(dim=-1))
    return torch.cat(rows)


def mean_of_nearest(
    nearness: Float[Tensor, "queries answers"],
    error: Float[Tensor, "queries answers"],
    allowed: Bool[Tensor, "queries answers"],
    count: int,
) -> float:
    """Mean over queries of the mean error of the nearest allowed answers.

    Args:
        nearness: similarity of query and answer; higher is nearer.
        error: of each answer.
        allowed: whether the answer may be used.
        count: number of nearest answers (K).

    Returns:
        The mean, in the unit of `error`; NaN where no query has K allowed answers."""
    enough = allowed.sum(dim=-1) >= count
    nearest = nearness.masked_fill(~allowed, -torch.inf).topk(min(count, nearness.shape[1]), dim=-1).indices
    return float(error.gather(-1, nearest).mean(dim=-1)[enough].mean()) if bool(enough.any()) else math.nan


def _rows(
    queries: EmbeddedViews,
    gallery: EmbeddedViews,
    error: Tensor,
    allowed: Tensor,
    same_instant: Tensor | None,
    name: str,
) -> dict[str, float]:
    """All numbers of one gallery. Answers are instants × cameras; those of the query's own camera are not allowed."""
    cameras = queries.embedding.shape[1]
    nearness = torch.einsum("qvf,gwf->qvgw", queries.embedding, gallery.embedding).flatten(2).flatten(0, 1)
    other = (~torch.eye(cameras, dtype=torch.bool, device=error.device))[None, :, None, :]
    allowed = (allowed[:, None, :, None] & other).flatten(2).flatten(0, 1)
    wide = error[:, None, :, None].expand(-1, cameras, -1, cameras).flatten(2).flatten(0, 1)
    found = {f"{name}_pa_mpjpe_mm_at_{k}": mean_of_nearest(nearness, wide, allowed, k) for k in NEAREST}
    found |= {f"{name}_least_mm_at_{k}": mean_of_nearest(-wide, wide, allowed, k) for k in NEAREST}
    if bool(allowed.any()):
        found[f"{name}_chance_mm"] = float(wide[allowed].mean())
    if same_instant is not None:
        same = (
            same_instant[:, None, :, None].expand(-1, cameras, -1, cameras).flatten(2).flatten(0, 1) & allowed
        )
        for k in NEAREST:
            nearest = (
                nearness.masked_fill(~allowed, -torch.inf).topk(min(k, nearness.shape[1]), dim=-1).indices
            )
            hit = same.gather(-1, nearest).any(dim=-1)
            found[f"hit_percent_at_{k}"] = 100.0 * float(hit.float().mean())
        found["hit_chance_percent_at_1"] = 100.0 * float((same.sum(-1) / allowed.sum(-1)).mean())
    return {key: value for key, value in found.items() if not math.isnan(value)}


def _evenly(count: int, most: int) -> Int[Tensor, "picked"]:
    """Every instant, or so many at an even stride."""
    return torch.arange(count)[:: max(1, -(-count // most))]
