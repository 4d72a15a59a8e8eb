"""Pose Structure Score (PSS): share of poses whose nearest typical pose is that of the truth. [Kocabas19]

Poses are root-centred and of unit norm: the score is invariant to size, not to orientation. The typical poses are
cluster centres of true poses. The paper publishes neither its clusters nor how they were found, so scores compare
only where the centres are the same: they are a file with a hash, and shipped for mocap4.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_safetensors
from torch import Tensor

from coview.errors import InputError, MissingFileError, UnknownNameError
from coview.formats.io.atomic import write_bytes
from coview.metrics.k_means import k_means
from coview.skeletons import Skeleton

# of the file, and of how poses are compared
VERSION = 1
# centres that come with coview, for the joints of H36M_17
SHIPPED = (50, 100)
_KIND, _POINTS = "coview pose centres", "centres"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PoseCentres:
    """Typical poses, and everything that a score depends on."""

    # float64; x y z joint by joint, poses root-centred and of norm one
    points: Float[Tensor, "k numbers"]
    joints: tuple[str, ...]
    root: str
    # the poses that they were fitted to, in words
    reference: str
    # number of these poses
    poses: int
    # frame of the poses
    frame: str = "camera axes"
    # of k-means
    seed: int = 0
    # runs of k-means, of which the best was kept
    starts: int = 10

    @property
    def digest(self) -> str:
        """SHA-256 of the coordinates as little-endian float64."""
        return hashlib.sha256(self.points.cpu().numpy().astype("<f8").tobytes()).hexdigest()

    @property
    def words(self) -> str:
        """The provenance that has to be printed beside every score."""
        return (
            f"{len(self.points)} k-means centres of {self.reference} ({self.poses} poses, {self.frame}, root-centred, "
            f"unit norm, {len(self.joints)} joints, seed {self.seed}, best of {self.starts}), sha256 {self.digest[:12]}"
        )

    def fits(self, skeleton: Skeleton) -> bool:
        """Whether poses of a skeleton can be compared: same joints in the same order, same root.

        Args:
            skeleton: of the poses."""
        return skeleton.joints == self.joints and skeleton.root == self.root

    def nearest(self, poses: Float[Tensor, "*batch joints 3"]) -> Int[Tensor, "*batch"]:
        """Index of the nearest centre; the first of equal ones.

        In float64 from differences rather than products, so that equal poses have equal answers in any batch.

        Args:
            poses: any unit, in the frame of the centres.

        Returns:
            Indices; -1 where a joint is not known."""
        flat = unit_poses(poses, self.joints.index(self.root)).flatten(-2)
        valid = flat.isfinite().all(dim=-1)
        rows = torch.where(valid[..., None], flat, 0.0).reshape(-1, flat.shape[-1])
        apart = torch.cdist(rows, self.points.to(rows), compute_mode="donot_use_mm_for_euclid_dist")
        return torch.where(valid, apart.argmin(dim=-1).reshape(valid.shape), -1)

    def save(self, path: Path) -> None:
        """Writes the centres as safetensors, with their provenance in the header.

        Args:
            path: file to write."""
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
        """Reads a file of `save`.

        Args:
            path: file to read.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is damaged, was changed, or is of another version."""
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
    """Poses with the root at the origin and of norm one, in float64.

    Args:
        poses: any unit.
        root: index of the root joint.

    Returns:
        NaN where a joint is not known, or all joints coincide."""
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
    """Cluster centres of true poses by k-means. The centres are not normalised again.

    Args:
        poses: in camera axes, any unit; poses with an unknown joint are left out.
        skeleton: of the joints.
        k: number of centres.
        reference: the poses in words, kept beside the centres.
        seed: of k-means.
        starts: runs of k-means, of which the best is kept.

    Raises:
        ValueError: there are fewer different poses than centres."""
    flat = unit_poses(poses, skeleton.root_index).flatten(-2)
    flat = flat[flat.isfinite().all(dim=-1)]
    points = k_means(flat, k, seed=seed, starts=starts)
    return PoseCentres(points, skeleton.joints, skeleton.root, reference, len(flat), seed=seed, starts=starts)


@cache
def shipped_centres(k: int) -> PoseCentres:
    """The centres of the training poses of mocap4, 17 joints of H36M_17.

    Args:
        k: number of centres, one of `SHIPPED`.

    Raises:
        LookupError: for another `k`."""
    if k not in SHIPPED:
        raise UnknownNameError(
            f"no {k} pose centres come with coview, only {' and '.join(map(str, SHIPPED))}. "
            f"Fit your own with fit_centres; scores compare only where the centres are the same."
        )
    return PoseCentres.load(_FOLDER / f"pose_centres_mocap4_{k}.safetensors")


def same_centre(
    predicted: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"], centres: PoseCentres
) -> tuple[Bool[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
    """Whether the nearest centre of each pose is that of its truth; the share of these is the PSS. [Kocabas19]

    Args:
        predicted: any unit; NaN: not predicted, which is wrong.
        truth: any unit; NaN: unknown.
        centres: typical poses, in whose frame both are.

    Returns:
        Whether it is; and whether the truth is wholly known, so that the pose counts."""
    mine, other = centres.nearest(predicted), centres.nearest(truth)
    return mine == other, other >= 0


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
