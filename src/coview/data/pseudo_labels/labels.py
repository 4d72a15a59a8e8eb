"""Poses in 3D from 2D joints alone: what a model learns from where nobody measured any pose."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from coview.body.pose_prior import PosePrior
from coview.cameras import Cameras
from coview.data.pseudo_labels.cache import kept_in, prior_from, prior_row, provenance, rig_from, rig_row
from coview.data.pseudo_labels.config import (
    PseudoConfig as PseudoConfig,  # also found here: it belongs to the topic
)
from coview.data.pseudo_labels.points import Points, block_of_labels, prior_of_poses
from coview.data.pseudo_labels.rectified_views import seen_by
from coview.data.pseudo_labels.rigs import Rig, find_rig
from coview.data.shards import gathered
from coview.errors import InputError
from coview.sample import MultiView

_READ = frozenset({"joints2d", "confidence", "cameras", "rig"})
_BLOCK = 1 << 13  # instants worked on at a time, by each worker


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
    be found from what they saw; ValueError where the settings or the data make no sense.

    With a `folder` everything is kept there in pieces as it is made, under a name for settings, data and this
    version: asked again, or after a kill, only what is missing is made. `workers` threads (default: one per
    core) change nothing but the time."""
    _check_views(seen)
    seen = seen.only(_READ)
    about = provenance(seen, config)
    kept, threads = kept_in(folder, about), workers or usable_cores()
    members = _members(seen)
    rigs = _rigs(seen, members, config, kept, threads)
    prior = prior_from(
        gathered(
            lambda _: prior_row(prior_of_poses(seen, rigs, members, config)),
            [1],
            folder=kept,
            stem="prior",
            what="poses' distribution",
        )
    )
    order = torch.cat(list(members.values()))
    parts = order.split(_BLOCK)
    numbers = torch.cat([torch.full_like(where, number) for number, where in members.items()]).split(_BLOCK)

    def labels(part: int) -> dict[str, Tensor]:
        return _labels(seen, parts[part], numbers[part], rigs, config, prior)

    lengths = [len(part) for part in parts]
    made = gathered(labels, lengths, folder=kept, stem="labels", what="pseudo-labels", workers=threads)
    if not bool((order[1:] > order[:-1]).all()):
        back = torch.argsort(order)
        made = {name: made.pop(name)[back] for name in list(made)}
    facts = {**about, "gaussians": 0 if prior is None else len(prior.means)}
    facts["rigs"] = {str(number): rig.facts for number, rig in rigs.items()}
    cameras = _cameras(seen.cameras, rigs, members)
    return PseudoLabels(made["points"], made["covariance"], cameras, made["inliers"], facts)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rigs(
    seen: MultiView, members: dict[int, Tensor], config: PseudoConfig, kept: Path | None, threads: int
) -> dict[int, Rig]:
    numbers = list(members)

    def rig(place: int) -> dict[str, Tensor]:
        number = numbers[place]
        return rig_row(find_rig(seen, members[number], config, f"rig {number}"))

    ones = [1] * len(numbers)
    rows = gathered(rig, ones, folder=kept, stem="rig", what="cameras of the rigs", workers=threads)
    return {number: rig_from(rows, place) for place, number in enumerate(numbers)}


def _labels(
    seen: MultiView,
    part: Int[Tensor, "some"],
    numbers: Int[Tensor, "some"],
    rigs: dict[int, Rig],
    config: PseudoConfig,
    prior: PosePrior | None,
) -> dict[str, Tensor]:
    """The labels of some instants, whose rigs have these numbers in ascending order."""
    unique, counts = numbers.unique_consecutive(return_counts=True)
    made = [
        block_of_labels(seen[where], rigs[int(number)], config, prior)
        for number, where in zip(unique, part.split(counts.tolist()), strict=True)
    ]
    columns = zip(*made, strict=True)
    return dict(zip(Points._fields, (torch.cat(column) for column in columns), strict=True))


def _members(seen: MultiView) -> dict[int, Tensor]:
    """Indices of the instants of each rig; all are of one rig where the data do not say."""
    rig = seen.rig if "rig" in seen.fields else torch.zeros(len(seen.joints2d), dtype=torch.long)
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
    count, views = seen.joints2d.shape[:2]
    if count == 0:
        raise InputError("pseudo_labels: the data hold no instants, so there is nothing to learn from.")
    if views < 2:
        raise InputError(
            f"pseudo_labels: {views} view(s) of each instant, and one ray has no depth. Give data with two or more "
            f"synchronised views."
        )
