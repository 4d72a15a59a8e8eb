"""Poses in 3D from 2D joints alone: what a model learns from where nobody measured any pose."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.data.pseudo_config import PseudoConfig as PseudoConfig  # also found here: it belongs to the topic
from coview.data.pseudo_points import block_of_labels, prior_of_poses
from coview.data.pseudo_rigs import Rig, find_rig
from coview.data.reference_views import seen_by
from coview.sample import MultiView

_BLOCK = 1 << 15  # instants worked on at a time


@dataclass(frozen=True)
class PseudoLabels:
    """Poses, how sure they are, and the cameras that go with them."""

    joints3d: Float[Tensor, "instants joints 3"]  # metres (as far as the scale is known), z up; NaN: unknown
    covariance: Float[Tensor, "instants joints 3 3"]  # m²; NaN where unknown
    cameras: Cameras  # instants × views
    inliers: Bool[Tensor, "instants views joints"]  # the 2D joints that a point was made from
    facts: dict[str, Any]  # plain values: settings, and for each rig how its cameras were found


def pseudo_labels(
    seen: MultiView, config: PseudoConfig, *, folder: Path | None = None, workers: int | None = None
) -> PseudoLabels:
    """The poses that several views of each instant determine together.

    Reads `joints2d`, `confidence`, `cameras` and `rig` (one rig where there is none) of `seen`. Of the cameras
    only the lenses count, unless `config.cameras` is "given"; a rig's extrinsics are constant, its intrinsics may
    change with every instant, as crops do. Raises NotDeterminedError, naming rig and view, where the cameras cannot
    be found from what they saw; ValueError where the settings or the data make no sense."""
    _check_views(seen)
    numbers = seen.rig.tolist() if "rig" in seen.known else [0] * len(seen.joints2d)
    members = _members(numbers)
    rigs = {number: find_rig(seen, where, config, f"rig {number}") for number, where in members.items()}
    prior = prior_of_poses(seen, rigs, members, config)
    count, views, joints, _ = seen.joints2d.shape
    points = torch.full((count, joints, 3), torch.nan)
    covariance = torch.full((count, joints, 3, 3), torch.nan)
    inliers = torch.zeros(count, views, joints, dtype=torch.bool)
    for number, where in members.items():
        for part in where.split(_BLOCK):
            made = block_of_labels(seen[part], rigs[number], config, prior)
            points[part], covariance[part], inliers[part] = made.points, made.covariance, made.inliers
    facts: dict[str, Any] = {"gaussians": 0 if prior is None else len(prior.means)}
    facts |= {"rigs": {str(number): rig.facts for number, rig in rigs.items()}}
    return PseudoLabels(points, covariance, _cameras(seen.cameras, rigs, members), inliers, facts)


def _members(numbers: list[int]) -> dict[int, Tensor]:
    """Indices of the instants of each rig."""
    rig = torch.tensor(numbers)
    return {int(number): (rig == number).nonzero()[:, 0] for number in rig.unique()}


def _cameras(cameras: Cameras, rigs: dict[int, Rig], members: dict[int, Tensor]) -> Cameras:
    """Every instant's own lenses where its rig stands."""
    count, views = cameras.fisheye.shape
    if len(rigs) == 1:
        only = next(iter(rigs.values())).cameras.cam_from_world
        return seen_by(cameras, only.expand(count, views, 3, 4))
    places = torch.empty(count, views, 3, 4)
    for number, where in members.items():
        places[where] = rigs[number].cameras.cam_from_world.float()
    return seen_by(cameras, places)


def _check_views(seen: MultiView) -> None:
    views = seen.joints2d.shape[1]
    if views < 2:
        raise ValueError(
            f"pseudo_labels: {views} view(s) of each instant, and one ray has no depth. Give data with two or more "
            f"synchronised views."
        )
