"""Bones that keep their length: how long each is, how much it varies, and paths solved together with them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coview.capture.reconstruction.smoothing_spline import BAND, Blocks, Factor, Paths, precision

# metres: what detectors find wanders on the body by more (held-out cameras of a real take say so)
_LEAST = 0.005
# of conjugate gradients at most
_ITERATIONS = 12
# of the first residual: then the sweeps end
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Bones:
    """The bones at one place of the paths, linearised: along · (end - begin) = length ± spread."""

    # joints
    ends: tuple[np.ndarray, np.ndarray]
    # unit vectors
    along: Float[np.ndarray, "bones frames 3"]
    length: Float[np.ndarray, "bones 1"]
    # 1 / spread², 0 where an end is not known
    weight: Float[np.ndarray, "bones frames"]

    def diagonal_terms(self, joints: int) -> tuple[Blocks, Paths]:
        """What the bones add to each joint's information and right side, the other end aside."""
        blocks = _outer(self.along) * self.weight[..., None]
        gradient = self.along * (self.weight * self.length)[..., None]
        information = np.zeros((joints, *blocks.shape[1:]))
        right = np.zeros((joints, *gradient.shape[1:]))
        for end, sign in zip(self.ends, (-1.0, 1.0), strict=True):
            np.add.at(information, end, blocks)
            np.add.at(right, end, sign * gradient)
        return information, right

    def coupling(self, paths: Paths) -> Paths:
        """The part of the normal equations that couples the two ends."""
        out = np.zeros_like(paths)
        for here, there in (self.ends, self.ends[::-1]):
            share = (self.along * paths[there]).sum(axis=-1) * self.weight
            np.add.at(out, here, -self.along * share[..., None])
        return out

    def marginal_information(self, covariance: Float[np.ndarray, "joints frames 3 3"]) -> Blocks:
        """Information about each joint from the other end of its bones, unsure as that is."""
        information = np.zeros((*covariance.shape[:2], 6))
        outer = _outer(self.along)
        for here, there in (self.ends, self.ends[::-1]):
            end_variance = np.einsum("bta,btac,btc->bt", self.along, covariance[there], self.along)
            weight = self.weight / (1.0 + self.weight * end_variance)
            np.add.at(information, here, outer * weight[..., None])
        return information


@dataclass(frozen=True)
class BonePrior:
    """The bones of one person over a whole take."""

    ends: tuple[np.ndarray, np.ndarray]
    # metres
    length: Float[np.ndarray, "bones 1"]

    @staticmethod
    def of(
        points: Float[np.ndarray, "frames joints 3"],
        covariance: Float[np.ndarray, "frames joints 3 3"],
        bones: Sequence[tuple[int, int]],
    ) -> "BonePrior":
        """From triangulated joints: the median squared length, less what noise adds to it. Bones never seen
        whole are left out."""
        start, end = (np.array(side, dtype=int) for side in zip(*bones, strict=True)) if bones else _none()
        squared = ((points[:, end] - points[:, start]) ** 2).sum(axis=-1)
        noise = np.trace(covariance[:, end] + covariance[:, start], axis1=-2, axis2=-1)
        seen = np.isfinite(squared).any(axis=0)
        start, end = start[seen], end[seen]
        length = np.sqrt(np.maximum(np.nanmedian((squared - noise)[:, seen], axis=0), _LEAST**2))
        return BonePrior((start, end), length[:, None])

    def at(
        self, paths: Paths, covariance: Float[np.ndarray, "joints frames 3 3"], most_sigma: float
    ) -> Bones:
        """Linearised at `paths`. A bone's spread is what its length varies beyond the paths' own uncertainty."""
        start, end = self.ends
        apart = paths[end] - paths[start]
        found = np.maximum(np.linalg.norm(apart, axis=-1), 1e-6)
        along = apart / found[..., None]
        variance = np.trace(covariance, axis1=-2, axis2=-1)
        valid = (variance[start] < most_sigma**2) & (variance[end] < most_sigma**2)
        noise = np.einsum("bta,btac,btc->bt", along, covariance[start] + covariance[end], along)
        excess = np.full(self.length.shape, np.inf)
        for bone, here in enumerate(valid):
            if here.any():
                off = found[bone, here] - self.length[bone]
                varies = (1.4826 * np.median(np.abs(off))) ** 2 - np.median(noise[bone, here])
                excess[bone] = max(varies, _LEAST**2)
        return Bones(self.ends, along, self.length, valid / excess)


def solve_with_bones(
    information: Blocks,
    right: Paths,
    variance: Float[np.ndarray, "joints steps"],
    bones: Bones,
    initial: Paths,
) -> Paths:
    """The paths where smoothness, views and bones are in balance: conjugate gradients [GL13 §11.5] from `begin`,
    preconditioned with the paths alone, each joint with its own share of its bones."""
    from scipy.linalg.blas import dsbmv

    blocks, gradient = bones.diagonal_terms(len(initial))
    band = precision(information + blocks, variance)
    factor = Factor.of(band, len(initial))
    upright = np.asfortranarray(band)

    def applied(paths: Paths) -> Paths:
        return dsbmv(BAND, 1.0, upright, paths.reshape(-1), lower=1).reshape(paths.shape) + bones.coupling(
            paths
        )

    paths = initial
    rest = right + gradient - applied(paths)
    step = factor.solve(rest)
    direction, goal = step, (rest * step).sum()
    first = goal
    for _ in range(_ITERATIONS):
        if goal <= _TOLERANCE**2 * first:
            break
        image = applied(direction)
        size = goal / (direction * image).sum()
        paths = paths + size * direction
        rest = rest - size * image
        step = factor.solve(rest)
        goal, before = (rest * step).sum(), goal
        direction = step + goal / before * direction
    return paths


def _outer(along: np.ndarray) -> Blocks:
    x, y, z = np.moveaxis(along, -1, 0)
    return np.stack([x * x, x * y, x * z, y * y, y * z, z * z], axis=-1)


def _none() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(0, dtype=int), np.zeros(0, dtype=int)
