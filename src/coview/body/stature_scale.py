"""The metric scale of a reconstruction: from a person's stature and bone lengths, or from one known distance.

Self-calibrated cameras are known up to scale. Bones are a stated share of stature [Drillis66, in Winter09 fig. 4.1],
so bone lengths in arbitrary units against the stature in metres give the scale.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.anthropometry import FOREARM, SHANK, THIGH, UPPER_ARM
from coview.errors import InputError
from coview.skeletons import Skeleton

# Length as a share of stature, and its relative standard deviation between people.
# Hips and shoulders are left out: detectors and anatomists disagree most on where their joints are.
BONE_SHARES: dict[tuple[str, str], tuple[float, float]] = {
    ("hip", "knee"): (THIGH, 0.05),
    ("knee", "ankle"): (SHANK, 0.05),
    ("shoulder", "elbow"): (UPPER_ARM, 0.06),
    ("elbow", "wrist"): (FOREARM, 0.06),
}
# relative standard deviation common to all bones: a detector's joints are not the anatomical centres
COMMON_SIGMA = 0.025
# metres, relative: an adult of unknown sex [Winter09]
ASSUMED_STATURE, ASSUMED_SIGMA = 1.70, 0.06


@dataclass(frozen=True)
class Scale:
    """Metres per unit of the reconstruction, its relative standard deviation, and where it comes from."""

    # scale
    metres_per_unit: float
    # standard deviation as a share of the scale
    relative_sigma: float
    # in words
    source: str

    @property
    def words(self) -> str:
        """The source of the scale and its relative standard deviation, for reports."""
        return f"{self.source}, ± {self.relative_sigma:.1%}"


class NoScaleError(InputError):
    """The given facts do not determine the metric scale."""


def bone_lengths(
    points: Float[Tensor, "frames joints 3"], skeleton: Skeleton, bones: list[tuple[str, str]]
) -> Float[Tensor, "bones"]:
    """Median length of each bone over the frames in which both ends are known.

    Args:
        points: joints, any unit; NaN: unknown.
        skeleton: of the joints.
        bones: pairs of joint names.

    Returns:
        Lengths in the unit of `points`; NaN where no frame has both ends."""
    lengths = [
        (points[:, skeleton.index(a)] - points[:, skeleton.index(b)]).norm(dim=-1).nanmedian()
        for a, b in bones
    ]
    return torch.stack(lengths)


def scale_from_stature(points: Float[Tensor, "frames joints 3"], skeleton: Skeleton, stature: float) -> Scale:
    """The scale from a person's stature and the lengths of thighs, shanks, upper arms and forearms.

    The limbs' estimates are averaged with inverse variances of human proportions. The stated uncertainty adds the
    scatter between limbs and a part common to all limbs, which more limbs do not reduce.

    Args:
        points: joints of the person, any unit; NaN: unknown.
        skeleton: of the joints.
        stature: standing height in metres.

    Raises:
        NoScaleError: stature not within 0.5 to 2.5 m, or no limb was ever reconstructed."""
    if not 0.5 <= stature <= 2.5:
        raise NoScaleError(
            f"stature {stature} m is not a person's height (0.5 to 2.5 m). Give it in metres, e.g. --stature 1.75."
        )
    named, shares, sigmas = [], [], []
    for (a, b), (share, sigma) in BONE_SHARES.items():
        for side in ("left_", "right_"):
            if {side + a, side + b} <= set(skeleton.joints):
                named.append((side + a, side + b))
                shares.append(share)
                sigmas.append(sigma)
    if not named:
        raise NoScaleError(
            f"skeleton '{skeleton.name}' has none of the limbs whose share of stature is known "
            f"(thigh, shank, upper arm, forearm). Give a known distance instead: --distance JOINT JOINT METRES."
        )
    # metres per unit, by limb
    scales = stature * torch.tensor(shares) / bone_lengths(points, skeleton, named).cpu()
    weights = torch.tensor(sigmas) ** -2.0 * scales.isfinite()
    if not bool(weights.any()):
        raise NoScaleError(
            "no limb was reconstructed with both ends in any frame, so stature cannot set the scale."
        )
    scales = torch.nan_to_num(scales)
    mean = float((weights * scales).sum() / weights.sum())
    scatter = float(((weights * (scales / mean - 1) ** 2).sum() / weights.sum()).sqrt())
    count = int((weights > 0).sum())
    sigma = (COMMON_SIGMA**2 + (scatter / max(count - 1, 1) ** 0.5) ** 2) ** 0.5
    return Scale(mean, sigma, f"stated stature {stature:g} m against {count} limbs")


def assumed_scale(points: Float[Tensor, "frames joints 3"], skeleton: Skeleton) -> Scale:
    """The scale for a person of unknown stature: an adult's mean, with the variation between adults as uncertainty.

    Args:
        points: joints of the person, any unit; NaN: unknown.
        skeleton: of the joints.

    Raises:
        NoScaleError: no limb was ever reconstructed."""
    assumed = scale_from_stature(points, skeleton, ASSUMED_STATURE)
    sigma = (assumed.relative_sigma**2 + ASSUMED_SIGMA**2) ** 0.5
    return Scale(assumed.metres_per_unit, sigma, f"ASSUMED stature {ASSUMED_STATURE:g} m")


def scale_from_distance(length: float, metres: float, sigma: float, what: str) -> Scale:
    """The scale from one length whose true value is known.

    Args:
        length: in units of the reconstruction.
        metres: its true length.
        sigma: standard deviation of `metres`.
        what: name of the length, for messages.

    Raises:
        NoScaleError: a length that is not positive or not finite."""
    if not metres > 0 or not length > 0:
        raise NoScaleError(
            f"{what}: a known distance must be positive, got {metres} m for {length:.3g} units. "
            f"If the length is nan, that joint or camera was never reconstructed."
        )
    return Scale(metres / length, sigma / metres, f"known distance {what} = {metres:g} m")
