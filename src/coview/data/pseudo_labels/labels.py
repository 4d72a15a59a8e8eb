"""Pseudo-labels: 3D poses from 2D joints of several views, to train models where no pose was measured."""

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
from coview.data.pseudo_labels.config import PseudoConfig as PseudoConfig
from coview.data.pseudo_labels.points import Points, block_of_labels, prior_of_poses
from coview.data.pseudo_labels.rectified_views import with_extrinsics
from coview.data.pseudo_labels.rigs import CalibratedRig, find_rig
from coview.data.shards import gathered
from coview.errors import InputError
from coview.sample import MultiView
from coview.threads import one_thread

_READ = frozenset({"joints2d", "confidence", "cameras", "rig"})
# instants per piece of the cache
_BLOCK = 1 << 13


@dataclass(frozen=True)
class PseudoLabels:
    """Triangulated poses, their covariance, and their cameras."""

    # metres (as far as the scale is known), z up; NaN: unknown
    joints3d: Float[Tensor, "instants joints 3"]
    # m²; NaN where unknown
    covariance: Float[Tensor, "instants joints 3 3"]
    # instants × views
    cameras: Cameras
    # 2D joints that the point was triangulated from
    inliers: Bool[Tensor, "instants views joints"]
    # plain values: settings, and for each rig how its cameras were found
    facts: dict[str, Any]


@one_thread()
def pseudo_labels(
    seen: MultiView, config: PseudoConfig, *, folder: Path | None = None, workers: int | None = None
) -> PseudoLabels:
    """Triangulates the poses of several views and finds the cameras if necessary.

    Of the cameras only intrinsics are read, unless `config.cameras` is "given". The extrinsics of a rig are constant;
    its intrinsics may change with every instant, as those of crops do.

    Args:
        seen: instants with `joints2d`, `confidence`, `cameras` and, for several rigs, `rig`.
        config: the settings.
        folder: of a cache in which every piece is kept under a hash of settings, input and version, so that a repeated
            or interrupted call computes only what is missing; None: no cache.
        workers: threads; None: one per core. The result does not depend on it, nor on OMP_NUM_THREADS: each computes
            on one core.

    Raises:
        NotDeterminedError: the cameras cannot be found from the observations; names rig and view.
        ValueError: fewer than two views, no instants, or cameras that are not those of a static rig."""
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
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _rigs(
    seen: MultiView, members: dict[int, Tensor], config: PseudoConfig, kept: Path | None, threads: int
) -> dict[int, CalibratedRig]:
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
    rigs: dict[int, CalibratedRig],
    config: PseudoConfig,
    prior: PosePrior | None,
) -> dict[str, Tensor]:
    """The labels of some instants, sorted by rig."""
    unique, counts = numbers.unique_consecutive(return_counts=True)
    made = [
        block_of_labels(seen[where], rigs[int(number)], config, prior)
        for number, where in zip(unique, part.split(counts.tolist()), strict=True)
    ]
    columns = zip(*made, strict=True)
    return dict(zip(Points._fields, (torch.cat(column) for column in columns), strict=True))


def _members(seen: MultiView) -> dict[int, Tensor]:
    """Indices of the instants of each rig; one rig where the data do not say."""
    rig = seen.rig if "rig" in seen.fields else torch.zeros(len(seen.joints2d), dtype=torch.long)
    return {int(number): (rig == number).nonzero()[:, 0] for number in rig.unique()}


def _cameras(cameras: Cameras, rigs: dict[int, CalibratedRig], members: dict[int, Tensor]) -> Cameras:
    """Every instant's own intrinsics with the extrinsics of its rig."""
    count, views = cameras.fisheye.shape
    if len(rigs) == 1:
        only = next(iter(rigs.values())).cameras.cam_from_world
        return with_extrinsics(cameras, only.expand(count, views, 3, 4))
    places = torch.empty(count, views, 3, 4)
    for number, where in members.items():
        places[where] = rigs[number].cameras.cam_from_world.float()
    return with_extrinsics(cameras, places)


def _check_views(seen: MultiView) -> None:
    count, views = seen.joints2d.shape[:2]
    if count == 0:
        raise InputError("pseudo_labels: the data hold no instants, so there is nothing to learn from.")
    if views < 2:
        raise InputError(
            f"pseudo_labels: {views} view(s) of each instant, and one ray has no depth. Give data with two or more "
            f"synchronised views."
        )
