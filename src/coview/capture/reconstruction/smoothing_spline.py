"""Discrete cubic smoothing spline: Gaussian inference of paths with banded matrices.

A path is smooth if its second differences are small: white acceleration [Wahba90 ch. 1]. With information H_t about the
position in every frame, its precision H + DᵀΛD couples a frame with the next two only; all joints stand in one banded
matrix, which LAPACK factors in linear time. Metres throughout.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

DIFFERENCES = np.array([1.0, -2.0, 1.0])
ORDER = len(DIFFERENCES) - 1
BAND = 3 * ORDER
# 1/m²: a joint that nobody ever saw is within 10 m of the origin; keeps the matrix regular
_RIDGE = 1e-2

# upper triangles xx xy xz yy yz zz
Blocks = Float[np.ndarray, "joints frames 6"]
Paths = Float[np.ndarray, "joints frames 3"]


def precision(
    information: Blocks, variance: Float[np.ndarray, "joints steps"]
) -> Float[np.ndarray, "band n"]:
    """Assemble the lower band of the precision matrix H + DᵀΛD of all joints.

    Args:
        information: Information H about every position, 1/m², upper triangles.
        variance: Variance of the second differences per axis, m², one per three frames.

    Returns:
        LAPACK's lower band storage, 1/m².
    """
    joints, frames, _ = information.shape
    band = np.zeros((BAND + 1, joints, frames, 3))
    band[0] = information[..., [0, 3, 5]] + _RIDGE
    band[1, ..., :2] = information[..., [1, 4]]
    band[2, ..., 0] = information[..., 2]
    weight, steps = 1.0 / variance, frames - ORDER
    for later in range(ORDER + 1):
        for sooner in range(later + 1):
            part = weight * (DIFFERENCES[later] * DIFFERENCES[sooner])
            band[3 * (later - sooner), :, sooner : sooner + steps] += part[..., None]
    return band.reshape(BAND + 1, -1)


@dataclass(frozen=True)
class Factor:
    """Banded Cholesky factor of a precision matrix."""

    # factor in LAPACK's lower band storage
    lower: Float[np.ndarray, "band n"]
    # number of joints
    joints: int

    @staticmethod
    def of(band: Float[np.ndarray, "band n"], joints: int) -> "Factor":
        """Factor a precision matrix, in time linear in frames.

        Args:
            band: Lower band of the matrix, as `precision` makes it.
            joints: Number of joints.

        Returns:
            The factor.
        """
        from scipy.linalg import cholesky_banded

        return Factor(cholesky_banded(band, lower=True, check_finite=False), joints)

    def solve(self, right: Paths) -> Paths:
        """Solve the linear system.

        Args:
            right: Right side, 1/m.

        Returns:
            Positions, metres.
        """
        from scipy.linalg import cho_solve_banded

        solved: Any = cho_solve_banded((self.lower, True), right.reshape(-1), check_finite=False)
        return solved.reshape(right.shape)

    def log_determinant(self) -> Float[np.ndarray, "joints"]:
        """Logarithm of the determinant of the precision matrix, per joint."""
        return 2 * np.log(self.lower[0]).reshape(self.joints, -1).sum(axis=1)

    def covariances(self) -> tuple[Float[np.ndarray, "joints frames 3 3"], Float[np.ndarray, "joints steps"]]:
        """Compute the covariance of every position and the variance of every second difference.

        The entries of the inverse inside the band, from the last frame back [Takahashi73].

        Returns:
            Covariances, m², and variances of second differences summed over the axes, m².
        """
        joints, frames = self.joints, self.lower.shape[1] // (3 * self.joints)
        below, inverse = _columns(self.lower.reshape(BAND + 1, joints, frames, 3))
        pick = np.kron(DIFFERENCES[:, None], np.eye(3))
        # of a frame and the two after it
        around = np.zeros((joints, BAND + 3, BAND + 3))
        found = np.zeros((joints, frames, 3, 3))
        differences = np.zeros((joints, frames))
        for frame in range(frames - 1, -1, -1):
            later = around[:, :BAND, :BAND].copy()
            gain = below[:, frame]
            cross = later @ gain
            here = inverse[:, frame] + gain.transpose(0, 2, 1) @ cross
            # rounding that is not symmetric would grow without bound
            here = (here + here.transpose(0, 2, 1)) / 2
            found[:, frame] = here
            around[:, 3:, 3:] = later
            around[:, :3, :3] = here
            around[:, 3:, :3] = -cross
            around[:, :3, 3:] = -cross.transpose(0, 2, 1)
            differences[:, frame] = np.einsum("ax,jab,bx->j", pick, around, pick, optimize=False)
        return found, np.maximum(differences[:, : frames - ORDER], 0.0)


def second_differences(paths: Paths) -> Float[np.ndarray, "joints steps 3"]:
    """Second differences of paths in time.

    Args:
        paths: Positions, metres.

    Returns:
        Metres; one per three frames.
    """
    return np.diff(paths, n=ORDER, axis=1)


def _columns(
    lower: Float[np.ndarray, "band joints frames 3"],
) -> tuple[Float[np.ndarray, "joints frames later 3"], Float[np.ndarray, "joints frames 3 3"]]:
    """Per frame: the part of the factor below its diagonal block times the block's inverse; and (L Lᵀ)⁻¹."""
    _, joints, frames, _ = lower.shape
    block = np.zeros((joints, frames, 3, 3))
    beneath = np.zeros((joints, frames, BAND, 3))
    for column in range(3):
        for diagonal in range(BAND + 1):
            row = column + diagonal
            if row < 3:
                block[..., row, column] = lower[diagonal, ..., column]
            elif row < BAND + 3:
                beneath[..., row - 3, column] = lower[diagonal, ..., column]
    # rows beyond the last frame belong to the next joint: they are zero
    for after in range(1, ORDER + 1):
        beneath[:, frames - after :, 3 * (after - 1) :] = 0.0
    inverse = np.linalg.inv(block)
    return beneath @ inverse, inverse.transpose(0, 1, 3, 2) @ inverse
