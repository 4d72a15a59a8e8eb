"""Covariance of cameras that holds where errors repeat: the cluster-robust "sandwich". [Liang86], [Cameron15]

The inverse of the normal equations is the covariance of an adjustment whose errors are independent. A detector repeats
its errors from frame to frame, so that a hundred frames say little more than ten, and they say it about some directions
of the cameras' unknowns more than about others. Here errors may be correlated in any way within a cluster of points
(one joint in one block of time), and are independent between clusters.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.geometry.bundle.residuals import Linearised
from coview.geometry.bundle.schur import ReducedEquations

# largest share of what is known of a direction that one cluster is credited with, where its own error is corrected
# for: beyond it the correction would be made of rounding
_MOST_LEVERAGE = 0.75


@dataclass(frozen=True)
class Clusters:
    """Points whose errors may be correlated: those with equal numbers, which need not follow each other."""

    # one joint of one person, in a block of time that is long against the errors' correlation
    joints: Int[Tensor, "points"]
    # the same in short blocks, and all joints of one person in those: whether joints err together is seen in short
    # blocks, of which there are enough
    joints_briefly: Int[Tensor, "points"]
    people_briefly: Int[Tensor, "points"]

    def of(self, used: Bool[Tensor, "points"]) -> "Clusters":
        """The clusters of some of the points.

        Args:
            used: which points."""
        return Clusters(self.joints[used], self.joints_briefly[used], self.people_briefly[used])


def cluster_scatter(
    rows: Linearised, reduced: ReducedEquations, whitening: Float[Tensor, "free unknowns"], clusters: Clusters
) -> Float[Tensor, "unknowns unknowns"]:
    """Scatter of the scores of the clusters about zero, in units in which independent errors of variance 1 give the
    identity.

    Each cluster's score is first corrected for the part of its own error that the fit explained away (the jackknife,
    "CR3" [Bell02]): with few clusters that part is large. The scatter of few clusters is itself uncertain in most
    directions, so it is shrunk towards a multiple of the identity as far as [Ledoit04] find best. Where the joints of
    one person err together, all of it is raised by what that adds on average.

    Args:
        rows: residuals and derivatives at the minimum.
        reduced: the undamped equations there, points eliminated.
        whitening: B with B Bᵀ the inverse of their matrix within the gauge.
        clusters: of the points.

    Returns:
        M; the cameras' covariance is B M Bᵀ.
    """

    def scores(numbers: Int[Tensor, "points"]) -> Float[Tensor, "clusters unknowns"]:
        members = numbers.argsort(stable=True).split(numbers.unique(return_counts=True)[1].tolist())
        return torch.stack([_score(rows, reduced, whitening, points) for points in members])

    apart, together = (
        scores(each).square().sum() for each in (clusters.joints_briefly, clusters.people_briefly)
    )
    return shrunk_scatter(scores(clusters.joints)) * (together / apart.clamp(min=1e-300)).clamp(min=1)


def _score(
    rows: Linearised,
    reduced: ReducedEquations,
    whitening: Float[Tensor, "free unknowns"],
    points: Int[Tensor, "some"],
) -> Float[Tensor, "unknowns"]:
    """The whitened score of the points of one cluster, corrected for its leverage."""
    flat = rows.camera_rows[..., points].flatten(2)
    views, columns = flat.shape[:2]
    coupling = reduced.coupling[..., points].flatten(1)
    score = (flat @ rows.weighted_residuals[..., points].flatten(1)[..., None]).flatten()
    score = score + coupling @ reduced.whitened[:, points].flatten()
    each = whitening.view(views, columns, -1)
    seen, met = torch.einsum("vcn,vcu->vnu", flat, each).flatten(0, 1), coupling.mT @ whitening
    leverage = seen.mT @ seen - met.mT @ met
    values, vectors = torch.linalg.eigh(leverage)
    return vectors @ ((vectors.mT @ (whitening.mT @ score)) / (1 - values.clamp(0, _MOST_LEVERAGE)))


def shrunk_scatter(scores: Float[Tensor, "clusters unknowns"]) -> Float[Tensor, "unknowns unknowns"]:
    """Σ s sᵀ of independent scores, shrunk towards a multiple of the identity. [Ledoit04]

    Args:
        scores: of mean zero.
    """
    count, unknowns = scores.shape
    scatter = scores.mT @ scores
    target = scatter.diagonal().mean() * torch.eye(unknowns).to(scatter)
    away = (scatter - target).square().sum()
    # variance of the scatter's entries, from the scatter of each cluster's share in it
    uncertain = scores.square().sum(dim=1).square().sum() - scatter.square().sum() / count
    share = (uncertain / away.clamp(min=1e-300)).clamp(0, 1)
    return share * target + (1 - share) * scatter
