"""Prior of constant bone lengths: estimation of the lengths, linearisation, and the joint solution with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from coview.capture.reconstruction.smoothing_spline import BAND, Blocks, Factor, Paths, precision

# metres: least standard deviation of a bone length; detections move on the body by more than this
_LEAST = 0.005
# of conjugate gradients, at most
_ITERATIONS = 12
# relative to the first residual, at which the iterations end
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Bones:
    """The bone length prior linearised at given paths: along · (end - start) = length with the variance 1 / weight."""

    # joints at the two ends of every bone
    ends: tuple[np.ndarray, np.ndarray]
    # unit vectors from one end to the other
    along: Float[np.ndarray, "bones frames 3"]
    # metres
    length: Float[np.ndarray, "bones 1"]
    # 1 / variance of the length, 1/m²; 0 where an end is too uncertain
    weight: Float[np.ndarray, "bones frames"]

    def diagonal_terms(self, joints: int) -> tuple[Blocks, Paths]:
        """Compute what the bones add to each joint's own block of the normal equations, the coupling of the two ends
        left out.

        Args:
            joints: Number of joints.

        Returns:
            Information (1/m², upper triangles) and right side (1/m) of every joint and frame.
        """
        blocks = _outer(self.along) * self.weight[..., None]
        gradient = self.along * (self.weight * self.length)[..., None]
        information = np.zeros((joints, *blocks.shape[1:]))
        right = np.zeros((joints, *gradient.shape[1:]))
        for end, sign in zip(self.ends, (-1.0, 1.0), strict=True):
            np.add.at(information, end, blocks)
            np.add.at(right, end, sign * gradient)
        return information, right

    def coupling(self, paths: Paths) -> Paths:
        """Multiply the off-diagonal blocks of the normal equations, which couple the two ends of each bone, with paths.

        Args:
            paths: Positions, metres.

        Returns:
            The product, 1/m.
        """
        out = np.zeros_like(paths)
        for here, there in (self.ends, self.ends[::-1]):
            share = (self.along * paths[there]).sum(axis=-1) * self.weight
            np.add.at(out, here, -self.along * share[..., None])
        return out

    def marginal_information(self, covariance: Float[np.ndarray, "joints frames 3 3"]) -> Blocks:
        """Compute the information about each joint from the other end of its bones, whose own uncertainty is
        marginalised out.

        Args:
            covariance: Covariance of every position, m².

        Returns:
            1/m², upper triangles.
        """
        information = np.zeros((*covariance.shape[:2], 6))
        outer = _outer(self.along)
        for here, there in (self.ends, self.ends[::-1]):
            end_variance = np.einsum("bta,btac,btc->bt", self.along, covariance[there], self.along)
            weight = self.weight / (1.0 + self.weight * end_variance)
            np.add.at(information, here, outer * weight[..., None])
        return information


@dataclass(frozen=True)
class BonePrior:
    """Lengths of one person's bones, constant over a whole take."""

    # joints at the two ends of every bone
    ends: tuple[np.ndarray, np.ndarray]
    # metres
    length: Float[np.ndarray, "bones 1"]

    @staticmethod
    def of(
        points: Float[np.ndarray, "frames joints 3"],
        covariance: Float[np.ndarray, "frames joints 3 3"],
        bones: Sequence[tuple[int, int]],
    ) -> "BonePrior":
        """Estimate bone lengths from triangulated joints: the median squared length, less what noise adds to it.

        Args:
            points: Triangulated joints, metres, NaN where unknown.
            covariance: Their covariance, m².
            bones: Pairs of joints.

        Returns:
            The prior; bones whose two ends are never known in one frame are left out.
        """
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
        """Linearise the prior at given paths.

        The variance of a bone's length is what it varies beyond the uncertainty of the paths, at least `_LEAST`
        squared.

        Args:
            paths: Positions, metres.
            covariance: Their covariance, m².
            most_sigma: Metres; frames in which an end is less certain than this do not count.

        Returns:
            The bones at these paths; weight 0 where an end is too uncertain.
        """
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
    """Solve for the paths at which smoothness, views and bones are in balance by conjugate gradients [GL13 §11.5].

    The preconditioner is the Cholesky factor of the paths alone, each joint with its own share of its bones.

    Args:
        information: Information of the views about every position, 1/m², upper triangles.
        right: Information × position as the views see it, 1/m.
        variance: Variance of second differences, m².
        bones: The linearised bones.
        initial: Paths to start from, metres.

    Returns:
        Paths, metres.
    """
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
