"""The scale of a world that several people share: whose stature was stated, and what everybody's then is."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from coview.body.stature_scale import (
    ASSUMED_SIGMA,
    ASSUMED_STATURE,
    NoScaleError,
    Scale,
    scale_from_stature,
)
from coview.skeletons import Skeleton

# standard deviations of two people's sizes, from their limbs, beyond which they are people of different stature
_DIFFERENT = 3.0
# standard deviations, the variation between adults included, by which a smaller person is no adult
_SMALLER = 2.0


class Stature(NamedTuple):
    """A stated stature, and whose it is."""

    # standing height
    metres: float
    # from 1, in the order of the people in view; None: not said
    person: int | None = None


def scale_of_people(
    everybody: Sequence[Float[Tensor, "frames joints 3"]], skeleton: Skeleton, stature: Stature | None
) -> Scale:
    """The scale by which one person has the stated stature, or without one, the grown-up people an adult's.

    Limbs tell the sizes of people relative to each other. Where they differ by more than body proportions do, a stature
    that is not said to be somebody's would scale the world by the wrong person, and is refused. Nobody being much
    larger than an adult, it is the tallest, and who is not much smaller, whose stature is assumed.

    Args:
        everybody: joints of each person, any unit; NaN: unknown.
        skeleton: of the joints.
        stature: as stated; None: nothing was.

    Raises:
        NoScaleError: a person whom the recording has not, a stature that could be of several people of different size,
            or no limb was ever reconstructed."""
    sizes = _sizes(everybody, skeleton)
    if stature is None:
        return _assumed(sizes, everybody, skeleton)
    if stature.person is not None and not 1 <= stature.person <= len(everybody):
        raise NoScaleError(
            f"--stature {stature.person}:{stature.metres:g} names person {stature.person}, and the recording has "
            f"{len(everybody)}. `coview report` shows who is who."
        )
    if stature.person is None and _differ(sizes):
        least = min(sizes)
        told = ", ".join(
            f"person {person} {stature.metres * size.size / sizes[least].size:.2f} m"
            for person, size in sizes.items()
        )
        raise NoScaleError(
            f"--stature {stature.metres:g} does not say whose it is, and the people differ: if it is person {least}'s, "
            f"they are {told}. Say whose: --stature {least}:{stature.metres:g}, or another number before the colon."
        )
    person = stature.person or 1
    found = scale_from_stature(everybody[person - 1], skeleton, stature.metres)
    return found if len(everybody) == 1 else replace(found, source=f"{found.source} of person {person}")


def implied_statures(
    everybody: Sequence[Float[Tensor, "frames joints 3"]], skeleton: Skeleton, scale: Scale
) -> str:
    """The stature of every person under a scale, in words.

    Args:
        everybody: joints of each person, any unit; NaN: unknown.
        skeleton: of the joints.
        scale: metres per that unit."""
    sizes = _sizes(everybody, skeleton)
    told = [f"person {person} {size.size * scale.metres_per_unit:.2f} m" for person, size in sizes.items()]
    return ", ".join(told) if told else "unknown: no limb was reconstructed"


class _Size(NamedTuple):
    """A person's stature in units of the reconstruction, and its relative standard deviation."""

    size: float
    sigma: float


def _sizes(everybody: Sequence[Float[Tensor, "frames joints 3"]], skeleton: Skeleton) -> dict[int, _Size]:
    """By number of the person; without those of whom no limb was reconstructed."""
    found = {}
    for person, points in enumerate(everybody, 1):
        try:
            scale = scale_from_stature(points, skeleton, 1.0)
        except NoScaleError:
            continue
        found[person] = _Size(1 / scale.metres_per_unit, scale.relative_sigma)
    return found


def _differ(sizes: dict[int, _Size]) -> bool:
    return any(
        abs(math.log(one.size / other.size)) > _DIFFERENT * math.hypot(one.sigma, other.sigma)
        for one in sizes.values()
        for other in sizes.values()
    )


def _assumed(
    sizes: dict[int, _Size], everybody: Sequence[Float[Tensor, "frames joints 3"]], skeleton: Skeleton
) -> Scale:
    if not sizes:
        return scale_from_stature(everybody[0], skeleton, ASSUMED_STATURE)  # which says why it cannot
    tallest = max(sizes.values())
    between = math.hypot(ASSUMED_SIGMA, ASSUMED_SIGMA)
    adults = [
        each
        for each in sizes.values()
        if math.log(tallest.size / each.size) <= _SMALLER * math.hypot(tallest.sigma, each.sigma, between)
    ]
    mean = math.exp(sum(math.log(each.size) for each in adults) / len(adults))
    sigma = math.hypot(max(each.sigma for each in adults), ASSUMED_SIGMA / math.sqrt(len(adults)))
    whose = ""
    if len(everybody) > 1:
        whose = f" of {len(adults)} of {len(everybody)} people"
    return Scale(ASSUMED_STATURE / mean, sigma, f"ASSUMED stature {ASSUMED_STATURE:g} m{whose}")
