"""Model selection: the simplest set of unknowns that the recording does not reject."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.bundle.bundle_adjustment import Adjusted
from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.self_calibration.iterative_refinement import RefinedRig, Tracks, readjust

# Focal lengths. "given": fixed. "auto": fixed unless rejected, then one factor for all, then one each. "unknown": one
# factor for all unless rejected, the given ones being a guess
FocalChoice = Literal["given", "auto", "unknown", "shared", "each"]
ClockChoice = Literal["given", "auto", "offset", "drift"]
# k1. "given": fixed. "auto": fixed unless rejected, then one change for all
DistortionChoice = Literal["given", "auto", "shared", "each"]

# significance level at which a hypothesis is rejected
_UNLIKELY = 1e-4
# relative: a focal length nearer to the given one is not changed, whatever the significance
_NOTICEABLE = 0.015
# pixels at the image's corner: less distortion is not estimated
_NOTICEABLE_DISTORTION = 1.0
# frames: smaller time offsets are not reported
_NOTICEABLE_OFFSET = 0.5
# seconds: shorter recordings do not show clock drift
_DRIFT_SECONDS = 20.0


@dataclass(frozen=True)
class Explanation:
    """The chosen unknowns, and the tests that chose them."""

    unknowns: Unknowns
    # one sentence per test, with its p value
    words: tuple[str, ...]


def choose(
    found: RefinedRig,
    intrinsics: Cameras,
    tracks: Tracks,
    unknowns: Unknowns,
    focal: FocalChoice,
    clock: ClockChoice,
    distortion: DistortionChoice,
    threshold: float,
) -> Explanation:
    """Choose unknowns by Wald tests on a solution, and on a few more adjustments of the same observations.

    Each test uses the joint covariance of an adjustment; a hypothesis is rejected at p < 1e-4. The inliers are the same
    throughout, because they depend on the model.

    Args:
        found: a solution with `unknowns` estimated.
        intrinsics: as given; the hypothesis of `focal` and `distortion`.
        tracks: that it was found from.
        unknowns: those of `found`.
        focal: which choices of focal lengths are allowed.
        clock: which choices of clocks are allowed.
        distortion: which choices of k1 are allowed.
        threshold: outlier threshold in pixels.
    """
    words: list[str] = []
    adjusted = found.adjusted
    if distortion == "auto":
        bent = _readjusted(found, tracks, replace(unknowns, distortion="shared"), threshold)
        change = bent.cameras.distortion[:1, 0] - intrinsics.distortion[:1, 0]
        chance = _chance(change, bent.covariance_of("k1")[:1, :1])
        words.append(f"distortion as given: p = {chance:.2g}")
        if (
            chance < _UNLIKELY
            and float((change.abs() * at_corner(bent.cameras)).max()) > _NOTICEABLE_DISTORTION
        ):
            unknowns, adjusted = replace(unknowns, distortion="shared"), bent
    if focal in ("auto", "unknown") and unknowns.focal == "shared":
        each = _readjusted(found, tracks, replace(unknowns, focal="each"), threshold)
        apart = (each.cameras.focal[:, 0] / intrinsics.focal[:, 0]).log()
        differences = (
            torch.eye(len(apart), dtype=apart.dtype)[1:] - torch.eye(len(apart), dtype=apart.dtype)[:1]
        )
        chance = _chance(differences @ apart, differences @ each.covariance_of("focal") @ differences.mT)
        words.append(f"one factor for all focal lengths: p = {chance:.2g}")
        if chance < _UNLIKELY and float((apart - apart.mean()).abs().max()) > _NOTICEABLE:
            unknowns, adjusted = replace(unknowns, focal="each"), each
    if focal == "auto":
        change = (adjusted.cameras.focal[:, 0] / intrinsics.focal[:, 0]).log()
        covariance = adjusted.covariance_of("focal")
        if unknowns.focal == "shared":
            change, covariance = change[:1], covariance[:1, :1]
        chance = _chance(change, covariance)
        words.append(f"focal lengths as given: p = {chance:.2g}")
        if chance >= _UNLIKELY or float(change.abs().max()) < _NOTICEABLE:
            unknowns = replace(unknowns, focal="given")
    if clock == "auto":
        chance = _chance(found.timing.time_offset[1:], adjusted.covariance_of("offset")[1:, 1:])
        words.append(f"cameras on time: p = {chance:.2g}")
        unknowns = replace(unknowns, clock="offset" if chance < _UNLIKELY else "given")
        if float(found.times[-1] - found.times[0]) > _DRIFT_SECONDS:
            drifting = _readjusted(found, tracks, replace(unknowns, clock="drift"), threshold)
            chance = _chance(drifting.clock[1:, 1], drifting.covariance_of("drift")[1:, 1:])
            words.append(f"no drift: p = {chance:.2g}")
            unknowns = replace(unknowns, clock="drift") if chance < _UNLIKELY else unknowns
    unknowns = replace(unknowns, clock="drift") if clock == "drift" else unknowns
    return Explanation(unknowns, tuple(words))


def apparent_offsets(
    found: RefinedRig, tracks: Tracks, unknowns: Unknowns, threshold: float
) -> Float[Tensor, "views"] | None:
    """Time offsets (frames) of cameras that were given as synchronised, where a Wald test rejects zero; else None.

    Args:
        found: a solution with the clocks given.
        tracks: that it was found from.
        unknowns: those of `found`.
        threshold: outlier threshold in pixels.
    """
    adjusted = _readjusted(found, tracks, replace(unknowns, clock="offset"), threshold)
    frames = adjusted.clock[:, 0] * tracks.fps
    chance = _chance(adjusted.clock[1:, 0], adjusted.covariance_of("offset")[1:, 1:])
    return frames if chance < _UNLIKELY and float(frames.abs().max()) > _NOTICEABLE_OFFSET else None


def _readjusted(found: RefinedRig, tracks: Tracks, unknowns: Unknowns, threshold: float) -> Adjusted:
    return readjust(found, tracks.fps, unknowns, threshold=threshold, people=tracks.people)


def at_corner(cameras: Cameras) -> Float[Tensor, "views"]:
    """Pixels by which one unit of k1 moves the corner of an image.

    Args:
        cameras: with image sizes.
    """
    focal = cameras.focal.mean(dim=-1)
    return focal * (cameras.size.norm(dim=-1) / 2 / focal) ** 3


def _chance(values: Float[Tensor, "n"], covariance: Float[Tensor, "n n"]) -> float:
    """p value of a Wald test that all values are zero (chi-square distribution)."""
    chi2 = values @ torch.linalg.solve(covariance, values)
    half = torch.tensor(len(values) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(half, chi2.double().clamp(min=0) / 2))
