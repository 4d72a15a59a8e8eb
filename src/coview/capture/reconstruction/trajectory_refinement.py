"""Whole takes refined: robust reprojection error, with smooth motion and constant bones as priors.

Gauss-Newton on the sum of three terms, each weighed by what the take itself says of it: reprojection (Geman-McClure
[GM87], scale per joint), second differences in time (variance per joint by the evidence [Mackay92], then by
expectation-maximisation in a moving window, so that fast motion is not smoothed away), bone lengths (how much each
varies beyond its noise). Filled is only what these determine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.capture.reconstruction.bone_length_prior import BonePrior, solve_with_bones
from coview.capture.reconstruction.smoothing_spline import ORDER, Factor, precision, second_differences
from coview.errors import InputError
from coview.geometry.triangulation.undistorted import Triangulated

FEWEST = 12  # frames: fewer say nothing of how smooth a motion is
MOST_SIGMA = 0.04  # metres: a joint less sure than this in any direction is not known
WINDOW = 2000  # frames refined together: bounds memory
OVERLAP = 50  # frames of the neighbouring windows seen along
_ROUNDS = 5
_CUT = 4.0  # standard deviations at which a detection's weight is down to a quarter
_REACH = 0.12  # seconds to either side that tell how fast a motion is
_STEPS = np.logspace(
    -10, -1, 10
)  # m²: variances of second differences to begin with, whatever the frame rate
_LOOSER = (
    2.0  # times the variance a window shows: it mixes slow with fast, and the covariance shall be honest
)
_STRAY = (
    6.0  # times a joint's usual distance from its median in time: then two views may have agreed by chance
)


@dataclass(frozen=True)
class Refined:
    """NaN where neither views nor priors determine a joint."""

    points: Float[Tensor, "frames joints 3"]  # metres
    covariance: Float[Tensor, "frames joints 3 3"]  # m²
    noise: Float[Tensor, "joints"]  # pixels per coordinate of a detection with weight 1, as the take shows it


class _Seen:
    """Undistorted pixels of all views, joint by joint in time."""

    def __init__(self, pixels: Tensor, projections: Tensor, weights: Tensor) -> None:
        seen = pixels.isfinite().all(dim=-1) & (weights > 0)
        known, trust = torch.where(seen[..., None], pixels, 0.0), torch.where(seen, weights, 0.0)
        self.pixels = known.double().permute(3, 1, 2, 0).contiguous().numpy()  # 2 views joints frames
        self.weights = trust.double().permute(1, 2, 0).contiguous().numpy()
        self.projections = projections.double().numpy()

    def look(self, paths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Residuals (2, views, joints, frames), squared and weighed; and 1 / depth, 0 behind the camera."""
        image = (
            np.einsum("vab,jtb->avjt", self.projections[..., :3], paths)
            + np.moveaxis(self.projections[..., 3], 1, 0)[..., None, None]
        )
        front = image[2] > 1e-3
        near = np.where(front, 1.0 / np.where(front, image[2], 1.0), 0.0)
        miss = image[:2] * near - self.pixels
        squared = (miss**2).sum(axis=0) * self.weights**2
        return miss, np.where(front, squared, np.inf), near

    def normal(
        self, paths: np.ndarray, miss: np.ndarray, near: np.ndarray, trust: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Information (upper triangles) about every position, and information × position as the views see it."""
        joints, frames, _ = paths.shape
        information, slope = np.zeros((6, joints, frames)), np.zeros((3, joints, frames))
        for view, matrix in enumerate(self.projections):
            pull = trust[view] * near[view] ** 2
            for axis in (0, 1):
                where = miss[axis, view] + self.pixels[axis, view]
                row = [matrix[axis, c] - where * matrix[2, c] for c in range(3)]  # × 1 / depth: the Jacobian
                heavy = [pull * each for each in row]
                for k, (a, b) in enumerate(((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))):
                    information[k] += heavy[a] * row[b]
                far = trust[view] * near[view] * miss[axis, view]
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
    """Refine the robust triangulation `start` of undistorted pixels; a detection's noise is some sigma / weight.

    World metres. `sigma` (pixels) is what the covariances of `start` were made with; the take says what it is.
    A bone is a pair of joints; those whose length changes over the take hardly count. The covariance is that
    of the posterior with a bone's other end as a measurement that errs on its own; it knows the noise of
    detections, not a calibration's error. Two views alone cannot tell an outlier along their epipolar line: there
    it is too small. ValueError for fewer than 12 frames."""
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
        seen = _Seen(pixels[wide], projections, weights[wide])
        inliers = start.inliers[wide].numpy().transpose(1, 2, 0)
        begin = np.ascontiguousarray(start.points[wide].double().numpy().transpose(1, 0, 2))
        paths, covariance, noise = _refined(seen, begin, inliers, prior, noise, fps)
        own = slice(first - wide.start, last - wide.start)
        parts.append((paths[:, own], covariance[:, own]))
        noises.append(noise)
        if last == frames:
            break
    points, spread = (torch.from_numpy(np.concatenate(each, axis=1)) for each in zip(*parts, strict=True))
    known = torch.linalg.eigvalsh(spread)[..., -1] <= MOST_SIGMA**2  # along the least certain direction
    known = known & _between(start.points.isfinite().all(dim=-1)).T
    return Refined(
        torch.where(known[..., None], points, torch.nan).transpose(0, 1),
        torch.where(known[..., None, None], spread, torch.nan).transpose(0, 1),
        torch.from_numpy(np.median(noises, axis=0)),
    )


def _refined(
    seen: _Seen, begin: np.ndarray, inliers: np.ndarray, prior: BonePrior, noise: np.ndarray, fps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    sure = _trusted(begin, inliers.sum(axis=0))
    paths = _bridged(begin, sure)
    miss, squared, near = seen.look(paths)
    scale = noise[:, None] ** 2
    # what two views said by chance is judged by where it would have been, and gently
    trust = np.where(sure, inliers, _geman_mcclure(squared, scale, 3 * _CUT)) * seen.weights**2 / scale
    information, right = seen.normal(paths, miss, near, trust)
    variance = _most_evident(information, right)
    covariance, reach = None, max(1, round(_REACH * fps))
    for turn in range(_ROUNDS):
        if turn:
            miss, squared, near = seen.look(paths)
            trust = _geman_mcclure(squared, scale, _CUT) * seen.weights**2 / scale
            information, right = seen.normal(paths, miss, near, trust)
        if covariance is None:
            factor = Factor.of(precision(information, variance), len(paths))
            paths = factor.solve(right)
        else:
            bones = prior.at(paths, covariance, MOST_SIGMA)
            paths = solve_with_bones(information, right, variance, bones, paths)
            information = information + bones.seen_from_afar(covariance)
            factor = Factor.of(precision(information, variance), len(paths))
        covariance, uncertain = factor.covariances()
        if turn < _ROUNDS - 1:
            leverage = np.einsum("jtab,jtab->j", covariance, full(information)) / np.maximum(
                2 * (trust > 0).sum(axis=(0, 2)), 1
            )
            noise = _noise(seen.look(paths)[1], trust > 0, np.minimum(leverage, 0.75))
            scale = noise[:, None] ** 2
            variance = _moving((second_differences(paths) ** 2).sum(axis=-1) + uncertain, reach) * _LOOSER / 3
    assert covariance is not None
    return paths, covariance, noise


def _between(there: Bool[Tensor, "frames joints"]) -> Bool[Tensor, "frames joints"]:
    """From a joint's first point to its last: beyond, a path is a guess whose covariance is too small."""
    since, until = there.int().cummax(dim=0).values, there.int().flip(0).cummax(dim=0).values.flip(0)
    return (since * until).bool()


# --- parts -----------------------------------------------------------------------------------------


def _trusted(points: np.ndarray, agreed: np.ndarray) -> np.ndarray:
    """Where there is a point that is no chance agreement of two views: the joint was nearby before and after."""
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
    """The sure points, and lines between them; a joint that has none is put where the others are."""
    paths = np.empty_like(points)
    frames = np.arange(points.shape[1])
    middle = points[sure].mean(axis=0) if sure.any() else np.zeros(3)
    for joint, here in enumerate(sure):
        for axis in range(3):
            known = points[joint, here, axis]
            paths[joint, :, axis] = np.interp(frames, frames[here], known) if here.any() else middle[axis]
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
    """Mean over a window that is cut off at the ends; never nothing."""
    total = np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
    steps = np.arange(values.shape[1])
    low, high = np.maximum(steps - reach, 0), np.minimum(steps + reach + 1, values.shape[1])
    return np.maximum((total[:, high] - total[:, low]) / (high - low), 1e-12)


def times(blocks: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Symmetric 3×3 blocks (upper triangles) times vectors."""
    xx, xy, xz, yy, yz, zz = np.moveaxis(blocks, -1, 0)
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.stack([xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z], axis=-1)


def full(blocks: np.ndarray) -> np.ndarray:
    """Upper triangles as matrices."""
    return blocks[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(*blocks.shape[:-1], 3, 3)
