"""Which unknowns a recording needs: the simplest explanation that it does not contradict."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.self_calibration.iterative_refinement import Settled, again

# Of focal lengths: "given" as they are; "auto": as they are unless contradicted, then one factor for all, then each its
# own; "unknown": one factor for all unless contradicted, the given ones being a guess
FocalChoice = Literal["given", "auto", "unknown", "shared", "each"]
ClockChoice = Literal["given", "auto", "offset", "drift"]
# Of k1: "given"; "auto": as given unless contradicted, then one change for all; "shared", "each"
DistortionChoice = Literal["given", "auto", "shared", "each"]

_UNLIKELY = 1e-4  # chance under which what was believed is believed no longer
_NOTICEABLE = 0.015  # relative: a focal length that is so near to the given one is not worth the doubt
_BENT = 1.0  # pixels at the image's corner: less distortion is not worth the doubt
_LATE = 0.5  # frames: less is not worth a doubt
_DRIFT_SECONDS = 20.0  # shorter recordings do not show that clocks run apart


@dataclass(frozen=True)
class Explanation:
    """What is unknown, and which tests said so."""

    unknowns: Unknowns
    words: tuple[str, ...]


def choose(
    found: Settled,
    lenses: Cameras,
    fps: float,
    unknowns: Unknowns,
    focal: FocalChoice,
    clock: ClockChoice,
    distortion: DistortionChoice,
    threshold: float,
) -> Explanation:
    """From a solution with `unknowns` free, and a few more adjustments of the same observations.

    Wald's test with the joint covariance of the adjustment: a hypothesis goes when its chance is below 1e-4. The same
    observations throughout, because what counts as an outlier depends on the explanation."""
    words: list[str] = []
    adjusted = found.adjusted
    if distortion == "auto":
        bent = again(found, fps, replace(unknowns, distortion="shared"), threshold=threshold)
        change = bent.cameras.distortion[:1, 0] - lenses.distortion[:1, 0]
        chance = _chance(change, bent.covariance_of("k1")[:1, :1])
        words.append(f"distortion as given: p = {chance:.2g}")
        if chance < _UNLIKELY and float((change.abs() * at_corner(bent.cameras)).max()) > _BENT:
            unknowns, adjusted = replace(unknowns, distortion="shared"), bent
    if focal in ("auto", "unknown") and unknowns.focal == "shared":
        each = again(found, fps, replace(unknowns, focal="each"), threshold=threshold)
        apart = (each.cameras.focal[:, 0] / lenses.focal[:, 0]).log()
        differences = (
            torch.eye(len(apart), dtype=apart.dtype)[1:] - torch.eye(len(apart), dtype=apart.dtype)[:1]
        )
        chance = _chance(differences @ apart, differences @ each.covariance_of("focal") @ differences.mT)
        words.append(f"one factor for all focal lengths: p = {chance:.2g}")
        if chance < _UNLIKELY and float((apart - apart.mean()).abs().max()) > _NOTICEABLE:
            unknowns, adjusted = replace(unknowns, focal="each"), each
    if focal == "auto":
        change = (adjusted.cameras.focal[:, 0] / lenses.focal[:, 0]).log()
        covariance = adjusted.covariance_of("focal")
        if unknowns.focal == "shared":
            change, covariance = change[:1], covariance[:1, :1]
        chance = _chance(change, covariance)
        words.append(f"focal lengths as given: p = {chance:.2g}")
        if chance >= _UNLIKELY or float(change.abs().max()) < _NOTICEABLE:
            unknowns = replace(unknowns, focal="given")
    if clock == "auto":
        chance = _chance(found.timing.offset[1:], adjusted.covariance_of("offset")[1:, 1:])
        words.append(f"cameras on time: p = {chance:.2g}")
        late = chance < _UNLIKELY
        unknowns = replace(unknowns, clock="offset" if late else "given")
        if float(found.times[-1] - found.times[0]) > _DRIFT_SECONDS:
            drifting = again(found, fps, replace(unknowns, clock="drift"), threshold=threshold)
            chance = _chance(drifting.clock[1:, 1], drifting.covariance_of("drift")[1:, 1:])
            words.append(f"no drift: p = {chance:.2g}")
            unknowns = replace(unknowns, clock="drift") if chance < _UNLIKELY else unknowns
    unknowns = replace(unknowns, clock="drift") if clock == "drift" else unknowns
    return Explanation(unknowns, tuple(words))


def seems_late(
    found: Settled, fps: float, unknowns: Unknowns, threshold: float
) -> Float[Tensor, "views"] | None:
    """Frames by which cameras that were said to be on time seem late, where chance does not explain it."""
    late = again(found, fps, replace(unknowns, clock="offset"), threshold=threshold)
    frames = late.clock[:, 0] * fps
    chance = _chance(late.clock[1:, 0], late.covariance_of("offset")[1:, 1:])
    return frames if chance < _UNLIKELY and float(frames.abs().max()) > _LATE else None


def at_corner(cameras: Cameras) -> Float[Tensor, "views"]:
    """Pixels by which one unit of k1 moves what is seen in the corner of an image."""
    focal = cameras.focal.mean(dim=-1)
    return focal * (cameras.size.norm(dim=-1) / 2 / focal) ** 3


def _chance(values: Float[Tensor, "n"], covariance: Float[Tensor, "n n"]) -> float:
    """That values this large are noise about zero: Wald's test, by the chi-square distribution."""
    chi2 = values @ torch.linalg.solve(covariance, values)
    half = torch.tensor(len(values) / 2, dtype=torch.float64)
    return float(torch.special.gammaincc(half, chi2.double().clamp(min=0) / 2))
