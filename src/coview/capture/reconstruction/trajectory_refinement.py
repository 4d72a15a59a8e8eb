"""Refinement of whole takes: robust reprojection error, with smooth motion and constant bone lengths as priors.

Gauss-Newton on the sum of three terms, each weighted by what the take itself shows: reprojection (Geman-McClure
[GM87], scale per joint), second differences in time (variance per joint by the evidence [Mackay92], then by
expectation-maximisation in a moving window, so that fast motion is not smoothed away), bone lengths (variance beyond
that of the noise). Only gaps that these determine are filled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.capture.reconstruction.bone_length_prior import BonePrior, solve_with_bones
from coview.capture.reconstruction.repeated_errors import autocorrelation, inflation
from coview.capture.reconstruction.smoothing_spline import ORDER, Factor, precision, second_differences
from coview.errors import InputError
from coview.geometry.triangulation.undistorted import Triangulated

# frames below which the smoothness of a motion cannot be estimated
FEWEST = 12
# metres: a joint with a larger standard deviation in any direction is not determined
MOST_SIGMA = 0.04
# frames refined together: bounds memory
WINDOW = 2000
# frames of the neighbouring windows that a window includes
OVERLAP = 50
# iterations of Gauss-Newton
_ROUNDS = 5
# standard deviations at which a detection's weight is down to a quarter
_CUT = 4.0
# seconds to either side of the window in which the variance is estimated
_REACH = 0.12
# m²: candidates for the first variance of second differences, whatever the frame rate
_STEPS = np.logspace(-10, -1, 10)
# factor on the variance of a window, which mixes slow with fast motion: else the covariance is too small
_LOOSER = 1.3
# times a joint's typical distance from its median in time, beyond which two views may have agreed by chance
_STRAY = 6.0


@dataclass(frozen=True)
class Refined:
    """Refined joints of a take; NaN where neither views nor priors determine a joint."""

    # metres
    points: Float[Tensor, "frames joints 3"]
    # m²
    covariance: Float[Tensor, "frames joints 3 3"]
    # pixels per coordinate of a detection with weight 1, as the take shows it
    noise: Float[Tensor, "joints"]


class _Observations:
    """Undistorted pixels of all views, by joint and frame."""

    def __init__(self, pixels: Tensor, projections: Tensor, weights: Tensor) -> None:
        seen = pixels.isfinite().all(dim=-1) & (weights > 0)
        used_pixels, used_weights = torch.where(seen[..., None], pixels, 0.0), torch.where(seen, weights, 0.0)
        # (2, views, joints, frames), pixels
        self.pixels = used_pixels.double().permute(3, 1, 2, 0).contiguous().numpy()
        self.weights = used_weights.double().permute(1, 2, 0).contiguous().numpy()
        self.projections = projections.double().numpy()

    def residuals(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residuals (2, views, joints, frames), their weighted squares, and 1 / depth, 0 behind the camera."""
        image = (
            np.einsum("vab,jtb->avjt", self.projections[..., :3], paths)
            + np.moveaxis(self.projections[..., 3], 1, 0)[..., None, None]
        )
        in_front = image[2] > 1e-3
        near = np.where(in_front, 1.0 / np.where(in_front, image[2], 1.0), 0.0)
        error = image[:2] * near - self.pixels
        squared = (error**2).sum(axis=0) * self.weights**2
        return error, np.where(in_front, squared, np.inf), near

    def normal(
        self, paths: np.ndarray, error: np.ndarray, near: np.ndarray, robust_weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Information (upper triangles) about every position, and information × position as the views see it."""
        joints, frames, _ = paths.shape
        information, slope = np.zeros((6, joints, frames)), np.zeros((3, joints, frames))
        for view, matrix in enumerate(self.projections):
            scale = robust_weights[view] * near[view] ** 2
            for axis in (0, 1):
                where = error[axis, view] + self.pixels[axis, view]
                # × 1 / depth: the Jacobian
                row = [matrix[axis, c] - where * matrix[2, c] for c in range(3)]
                heavy = [scale * each for each in row]
                for k, (a, b) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
                    information[k] += heavy[a] * row[b]
                far = robust_weights[view] * near[view] * error[axis, view]
                for c in range(3):
                    slope[c] += far * row[c]
        information, slope = np.moveaxis(information, 0, -1), np.moveaxis(slope, 0, -1)
        return information, times(information, paths) - slope


def refine(
    pixels: Float[Tensor, "frames views joints 2"],
    projections: Float[Tensor, "views 3 4"],
    weights: Float[Tensor, "frames views joints"],
    start: Triangulated,
    bones: Sequence[tuple[int, int]],
    fps: float,
    *,
    sigma: float,
) -> Refined:
    """Refine a robust triangulation over a whole take by maximum a posteriori estimation.

    The standard deviation of a detection is proportional to 1 / weight. Bones whose length changes over the take hardly
    count. The covariance is that of the posterior with a bone's other end as an independent measurement; it covers the
    noise of detections, not errors of the calibration. Where two views alone see a joint, an outlier along their
    epipolar line cannot be told, and the covariance is too small.

    Args:
        pixels: Undistorted detections, NaN where not seen.
        projections: World (metres) to undistorted pixels.
        weights: Weight of every detection; 0: not used.
        start: The robust triangulation to start from, metres.
        bones: Pairs of joints whose distance is constant.
        fps: Frames per second.
        sigma: Pixels; the standard deviation that the covariances of `start` were computed with. The actual one is
            estimated from the take.

    Returns:
        Joints with covariances, and the estimated noise of the detections.

    Raises:
        InputError: For fewer than `FEWEST` frames.
    """
    frames = len(pixels)
    if frames < FEWEST:
        raise InputError(
            f"a take of {frames} frames is too short to tell how smooth its motion is: refining needs {FEWEST} or "
            f"more. Reconstruct it without."
        )
    noise = _first_noise(start, weights)
    covariance = start.covariance.double().numpy() * (noise / sigma)[:, None, None] ** 2
    prior = BonePrior.of(start.points.double().numpy(), covariance, bones)
    parts, noises = [], []
    for first in range(0, max(1, frames - OVERLAP), WINDOW):
        last = frames if frames - first - WINDOW <= OVERLAP else first + WINDOW
        wide = slice(max(0, first - OVERLAP), min(frames, last + OVERLAP))
        seen = _Observations(pixels[wide], projections, weights[wide])
        inliers = start.inliers[wide].numpy().transpose(1, 2, 0)
        initial = np.ascontiguousarray(start.points[wide].double().numpy().transpose(1, 0, 2))
        paths, covariance, noise = _refined(seen, initial, inliers, prior, noise, fps)
        own = slice(first - wide.start, last - wide.start)
        parts.append((paths[:, own], covariance[:, own]))
        noises.append(noise)
        if last == frames:
            break
    points, covariances = (
        torch.from_numpy(np.concatenate(each, axis=1)) for each in zip(*parts, strict=True)
    )
    # along the least certain direction
    valid = torch.linalg.eigvalsh(covariances)[..., -1] <= MOST_SIGMA**2
    valid = valid & _between(start.points.isfinite().all(dim=-1)).T
    return Refined(
        torch.where(valid[..., None], points, torch.nan).transpose(0, 1),
        torch.where(valid[..., None, None], covariances, torch.nan).transpose(0, 1),
        torch.from_numpy(np.median(noises, axis=0)),
    )


def _refined(
    seen: _Observations,
    initial: np.ndarray,
    inliers: np.ndarray,
    prior: BonePrior,
    noise: np.ndarray,
    fps: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sure = _plausible(initial, inliers.sum(axis=0))
    paths = _bridged(initial, sure)
    error, squared, near = seen.residuals(paths)
    repeats = autocorrelation(error, inliers & sure)
    scale = noise[:, None] ** 2
    # points that two views may give by chance are weighted by their residuals, with a wide kernel
    robust_weights = (
        np.where(sure, inliers, _geman_mcclure(squared, scale, 3 * _CUT)) * seen.weights**2 / scale
    )
    information, right = seen.normal(paths, error, near, robust_weights)
    variance = _most_evident(information, right)
    covariance, reach = None, max(1, round(_REACH * fps))
    for iteration in range(_ROUNDS):
        if iteration:
            error, squared, near = seen.residuals(paths)
            robust_weights = _geman_mcclure(squared, scale, _CUT) * seen.weights**2 / scale
            information, right = seen.normal(paths, error, near, robust_weights)
        if covariance is None:
            factor = Factor.of(precision(information, variance), len(paths))
            paths = factor.solve(right)
        else:
            bones = prior.at(paths, covariance, MOST_SIGMA)
            paths = solve_with_bones(information, right, variance, bones, paths)
            information = information + bones.marginal_information(covariance)
            factor = Factor.of(precision(information, variance), len(paths))
        covariance, uncertain = factor.covariances()
        if iteration < _ROUNDS - 1:
            leverage = np.einsum("jtab,jtab->j", covariance, full(information)) / np.maximum(
                2 * (robust_weights > 0).sum(axis=(0, 2)), 1
            )
            noise = _noise(seen.residuals(paths)[1], robust_weights > 0, np.minimum(leverage, 0.75))
            scale = noise[:, None] ** 2
            variance = _moving((second_differences(paths) ** 2).sum(axis=-1) + uncertain, reach) * _LOOSER / 3
    assert covariance is not None
    return paths, _repeated(covariance, seen.normal(paths, error, near, robust_weights)[0], repeats), noise


def _repeated(covariance: np.ndarray, information: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """The covariance with errors that correlate over time, where `information` is that of single frames."""
    if not len(repeats):
        return covariance
    alone = np.linalg.pinv(full(information), hermitian=True).trace(axis1=-2, axis2=-1)
    usual = np.median(alone, axis=1, keepdims=True)
    smoothed = covariance.trace(axis1=-2, axis2=-1) / np.maximum(usual, 1e-300)
    return covariance * inflation(smoothed.clip(0, 1), repeats)[..., None, None]


def _between(there: Bool[Tensor, "frames joints"]) -> Bool[Tensor, "frames joints"]:
    """From a joint's first point to its last: beyond, a path is an extrapolation whose covariance is too small."""
    since, until = there.int().cummax(dim=0).values, there.int().flip(0).cummax(dim=0).values.flip(0)
    return (since * until).bool()


# --- parts -----------------------------------------------------------------------------------------


def _plausible(points: np.ndarray, agreed: np.ndarray) -> np.ndarray:
    """Points that are no chance agreement of two views: seen by three, or near the joint's median over 7 frames."""
    there = np.isfinite(points).all(axis=-1)
    padded = np.pad(
        np.where(there[..., None], points, np.nan), ((0, 0), (3, 3), (0, 0)), constant_values=np.nan
    )
    around = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=1)
    with np.errstate(all="ignore"):
        middle = torch.from_numpy(np.ascontiguousarray(around)).nanmedian(dim=-1).values.numpy()
        away = np.linalg.norm(points - middle, axis=-1)
    usual = torch.from_numpy(away).nanmedian(dim=1, keepdim=True).values.numpy()
    near = away <= _STRAY * np.nan_to_num(usual) + 0.03
    return there & ((agreed >= 3) | near)


def _bridged(points: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """The plausible points with linear interpolation between; a joint without any is put at the mean of all points."""
    paths = np.empty_like(points)
    frames = np.arange(points.shape[1])
    middle = points[sure].mean(axis=0) if sure.any() else np.zeros(3)
    for joint, here in enumerate(sure):
        for axis in range(3):
            valid = points[joint, here, axis]
            paths[joint, :, axis] = np.interp(frames, frames[here], valid) if here.any() else middle[axis]
    return paths


def _first_noise(start: Triangulated, weights: Tensor) -> Float[np.ndarray, "joints"]:
    """Noise per joint from the residuals of the triangulation, which fits three numbers to each point's views."""
    squared = (start.residuals.double() * weights.double()).square().permute(1, 2, 0).numpy()
    views = start.inliers.sum(dim=1).double()
    mean = float(views[views > 0].mean()) if bool((views > 0).any()) else 2.0
    return _noise(squared, start.inliers.permute(1, 2, 0).numpy(), 3 / (2 * max(mean, 2.0)))


def _noise(squared: np.ndarray, used: np.ndarray, leverage: float | np.ndarray) -> np.ndarray:
    """Standard deviation per coordinate and joint, from the median of the residuals' lengths; at least a
    hundredth of a pixel. What the fit explains away, `leverage` as a share, is added again."""
    values = (
        torch.from_numpy(np.where(used & np.isfinite(squared), squared, np.nan)).transpose(0, 1).flatten(1)
    )
    median = values.nanmedian(dim=1).values.numpy()
    everyone = np.nanmedian(median) if np.isfinite(median).any() else 1.0
    median = np.where(np.isfinite(median), median, everyone)
    return np.sqrt(np.maximum(median / (2 * np.log(2)), 1e-4) / (1 - leverage))


def _geman_mcclure(squared: np.ndarray, scale: np.ndarray, cut: float) -> np.ndarray:
    return 1.0 / (1.0 + squared / (cut**2 * scale)) ** 2


def _most_evident(information: np.ndarray, right: np.ndarray) -> Float[np.ndarray, "joints steps"]:
    """The variance of the second differences under which the take is most likely, joint by joint."""
    joints, frames, _ = information.shape
    evidence = []
    for step in _STEPS:
        factor = Factor.of(precision(information, np.full((joints, frames - ORDER), step)), joints)
        fits = (right * factor.solve(right)).sum(axis=(1, 2))
        evidence.append(fits - factor.log_determinant() - 3 * (frames - ORDER) * np.log(step))
    best = _STEPS[np.argmax(evidence, axis=0)]
    return np.repeat(best[:, None], frames - ORDER, axis=1)


def _moving(values: Float[np.ndarray, "joints steps"], reach: int) -> Float[np.ndarray, "joints steps"]:
    """Mean over a moving window that is cut off at the ends; at least 1e-12."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    steps = np.arange(values.shape[1])
    low, high = np.maximum(steps - reach, 0), np.minimum(steps + reach + 1, values.shape[1])
    return np.maximum((total[:, high] - total[:, low]) / (high - low), 1e-12)


def times(blocks: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Multiply symmetric 3×3 matrices with vectors.

    Args:
        blocks: (..., 6) upper triangles xx xy xz yy yz zz.
        vectors: (..., 3).

    Returns:
        (..., 3).
    """
    xx, xy, xz, yy, yz, zz = np.moveaxis(blocks, -1, 0)
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z], axis=-1)


def full(blocks: np.ndarray) -> np.ndarray:
    """Symmetric 3×3 matrices from their upper triangles.

    Args:
        blocks: (..., 6) upper triangles xx xy xz yy yz zz.

    Returns:
        (..., 3, 3).
    """
    return blocks[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(*blocks.shape[:-1], 3, 3)
