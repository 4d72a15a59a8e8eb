"""Triangulation of a rig's instants once its cameras are known."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.body.pose_prior import PosePrior, learn_prior
from coview.data.pseudo_labels.chained_pairs import points_from_pairs
from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.pseudo_labels.rigs import CalibratedRig, observed
from coview.geometry.sampling import evenly
from coview.geometry.triangulation.undistorted import triangulate_robust_undistorted
from coview.sample import MultiView

# instants from which the pose prior is learnt, at most
SAMPLE = 20_000


class Points(NamedTuple):
    """Triangulated joints in float32; see `PseudoLabels`."""

    points: Float[Tensor, "instants joints 3"]
    covariance: Float[Tensor, "instants joints 3 3"]
    inliers: Bool[Tensor, "instants views joints"]


def block_of_labels(
    seen: MultiView, rig: CalibratedRig, config: PseudoConfig, prior: PosePrior | None = None
) -> Points:
    """Robust triangulation with covariances from the rig's measured noise, then the posterior under a pose prior.

    With the method "pairs": as [Kocabas19], with unknown covariance and without rejection of views.

    Args:
        seen: instants of the rig.
        rig: calibrated.
        config: the settings.
        prior: of poses; None: none."""
    pixels, weights = observed(seen, rig.cameras, config.min_confidence)
    if config.method == "pairs":
        return _by_pairs(rig, pixels, weights)
    common = float(rig.sigma.square().mean().sqrt())
    found = triangulate_robust_undistorted(
        pixels.float(),
        rig.cameras.pixels_from_world.float(),
        weights.float(),
        sigma=common,
        threshold=rig.threshold,
        seed=config.seed,
    )
    share = (rig.sigma / common).square().float()[:, None, None]
    points, covariance = found.points, share * found.covariance
    if prior is not None:
        points, covariance = prior.posterior(points, covariance, rig.up)
    return Points(points, covariance, found.inliers)


def _by_pairs(rig: CalibratedRig, pixels: Tensor, weights: Tensor) -> Points:
    found = points_from_pairs(rig.cameras, pixels, weights)
    valid = found.isfinite().all(dim=-1)
    unknown = torch.full((*found.shape, 3), torch.nan)
    return Points(found.float(), unknown, (weights > 0) & valid[:, None])


def prior_of_poses(
    seen: MultiView, rigs: Mapping[int, CalibratedRig], members: Mapping[int, Tensor], config: PseudoConfig
) -> PosePrior | None:
    """Pose prior learnt from at most 20 000 instants, of which each rig contributes its share.

    Args:
        seen: all instants.
        rigs: by number.
        members: indices of each rig's instants.
        config: the settings.

    Returns:
        The prior; None where it is switched off, or the data say too little."""
    if not config.prior or config.method == "pairs":
        return None
    every = sum(len(where) for where in members.values())
    parts = []
    for number, where in members.items():
        wanted = max(1, SAMPLE * len(where) // every)
        some = where[evenly(len(where), wanted)]
        made = block_of_labels(seen[some], rigs[number], config)
        parts.append((made.points, made.covariance, rigs[number].up.float().expand(len(some), 3)))
    points, covariance, up = (torch.cat(column) for column in zip(*parts, strict=True))
    return learn_prior(points, covariance, up, seen.skeleton, config.prior, config.seed)
