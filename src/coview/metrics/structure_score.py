"""Pose Structure Score: does a pose come nearest to the same typical pose as its truth? [Kocabas19]

Poses are root-centred and of unit norm, so the score does not know sizes; it does know orientations. The typical
poses are cluster centres of true poses. The paper names neither its clusters nor how they were found, so scores
compare only where the centres are the same: they are a file with a hash, and shipped for mocap4.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_safetensors
from torch import Tensor

from coview.errors import InputError, MissingFileError, UnknownNameError
from coview.formats.io.atomic import write_bytes
from coview.metrics.k_means import k_means
from coview.metrics.mean import Mean
from coview.skeletons import Skeleton

# of the file, and of how poses are compared
VERSION = 1
# centres that come with coview, for the joints of H36M_17
SHIPPED = (50, 100)
_KIND, _POINTS = "coview pose centres", "centres"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PoseCentres:
    """Typical poses, and all that a score depends on."""

    # float64; x y z joint by joint, poses root-centred and of norm one
    points: Float[Tensor, "k numbers"]
    joints: tuple[str, ...]
    root: str
    # the poses that they were fitted to, in words
    reference: str
    # how many
    poses: int
    frame: str = "camera axes"
    seed: int = 0
    # of k-means, of which the best was kept
    starts: int = 10

    @property
    def digest(self) -> str:
        """SHA-256 of the coordinates as little-endian float64."""
        return hashlib.sha256(self.points.cpu().numpy().astype("<f8").tobytes()).hexdigest()

    @property
    def words(self) -> str:
        """What has to stand beside every score."""
        return (
            f"{len(self.points)} k-means centres of {self.reference} ({self.poses} poses, {self.frame}, root-centred, "
            f"unit norm, {len(self.joints)} joints, seed {self.seed}, best of {self.starts}), sha256 {self.digest[:12]}"
        )

    def fits(self, skeleton: Skeleton) -> bool:
        """Whether poses of a skeleton can be compared: same joints in the same order, same root."""
        return skeleton.joints == self.joints and skeleton.root == self.root

    def nearest(self, poses: Float[Tensor, "*batch joints 3"]) -> Int[Tensor, "*batch"]:
        """The centre that a pose comes nearest to, the first of equals; -1 where a joint is not known.

        In float64 by differences, not products: equal poses have equal answers, whatever the batch."""
        flat = unit_poses(poses, self.joints.index(self.root)).flatten(-2)
        valid = flat.isfinite().all(dim=-1)
        rows = torch.where(valid[..., None], flat, 0.0).reshape(-1, flat.shape[-1])
        apart = torch.cdist(rows, self.points.to(rows), compute_mode="donot_use_mm_for_euclid_dist")
        return torch.where(valid, apart.argmin(dim=-1).reshape(valid.shape), -1)

    def save(self, path: Path) -> None:
        """As safetensors, with all that is known in its header."""
        about = {name: getattr(self, name) for name in _KEPT} | {
            "kind": _KIND,
            "version": VERSION,
            "k": len(self.points),
            "sha256": self.digest,
        }
        tensors = {_POINTS: self.points.double().cpu().contiguous()}
        write_bytes(path, as_safetensors(tensors, {"coview": json.dumps(about, sort_keys=True)}))

    @staticmethod
    def load(path: Path) -> "PoseCentres":
        """What `save` wrote. ValueError where it is damaged, was changed, or is of another version."""
        if not path.is_file():
            raise MissingFileError(
                f"no file {path} with pose centres. Make one with fit_centres(...).save(path)."
            )
        about, points = _read(path)
        if about.get("kind") != _KIND or about.get("version") != VERSION:
            raise InputError(
                f"{path} holds {about.get('kind')!r} of version {about.get('version')}, and pose centres of version "
                f"{VERSION} are needed: scores of other versions do not compare. Fit the centres again."
            )
        found = PoseCentres(points, tuple(about["joints"]), *(about[name] for name in _KEPT[1:]))
        if found.digest != about["sha256"]:
            raise InputError(
                f"{path}: the centres have the hash {found.digest[:12]} and should have {about['sha256'][:12]}: they "
                f"were changed, and scores would not compare. Copy the file again from where it came."
            )
        return found


_KEPT = ("joints", "root", "reference", "poses", "frame", "seed", "starts")


def unit_poses(poses: Float[Tensor, "*batch joints 3"], root: int) -> Float[Tensor, "*batch joints 3"]:
    """Float64, root at the origin, norm one; NaN where a joint is not known, or all are in one place."""
    centred = poses.double() - poses[..., root, None, :].double()
    norm = centred.square().sum(dim=(-2, -1), keepdim=True).sqrt()
    return torch.where(norm > 0, centred / norm, torch.nan)


def fit_centres(
    poses: Float[Tensor, "n joints 3"],
    skeleton: Skeleton,
    k: int,
    *,
    reference: str,
    seed: int = 0,
    starts: int = 10,
) -> PoseCentres:
    """Centres of true poses in camera axes, of any unit; poses with an unknown joint are left out.

    The centres are not brought to norm one again. ValueError where there are fewer different poses than centres."""
    flat = unit_poses(poses, skeleton.root_index).flatten(-2)
    flat = flat[flat.isfinite().all(dim=-1)]
    points = k_means(flat, k, seed=seed, starts=starts)
    return PoseCentres(points, skeleton.joints, skeleton.root, reference, len(flat), seed=seed, starts=starts)


@cache
def shipped_centres(k: int) -> PoseCentres:
    """The centres of the training poses of mocap4, 17 joints of H36M_17; LookupError for a `k` not in `SHIPPED`."""
    if k not in SHIPPED:
        raise UnknownNameError(
            f"no {k} pose centres come with coview, only {' and '.join(map(str, SHIPPED))}. "
            f"Fit your own with fit_centres; scores compare only where the centres are the same."
        )
    return PoseCentres.load(_FOLDER / f"pose_centres_mocap4_{k}.safetensors")


class PSS(Mean):
    """Percentage of poses that come nearest to the centre that their truth comes nearest to.

    For predictions and truth in the frame of the centres. A pose of which a joint was not predicted is wrong;
    one of which a joint of the truth is unknown is not counted."""

    higher_is_better = True

    def __init__(self, centres: PoseCentres) -> None:
        super().__init__()
        self.centres = centres

    def update(
        self, predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
    ) -> None:
        mine, other = self.centres.nearest(predicted), self.centres.nearest(truth)
        self.add(100.0 * (mine == other), other >= 0)


def _read(path: Path) -> tuple[dict[str, Any], Tensor]:
    """The header and the centres."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["coview"])
            points = file.get_tensor(_POINTS)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is no file of pose centres, or is damaged: {error}. Copy it again from where it came, or fit "
            f"the centres again."
        ) from error
    return about, points
