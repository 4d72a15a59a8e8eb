"""Metric scale of a calibrated world from a stated stature or distance."""

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from coview.body.people_sizes import Stature, scale_of_people
from coview.body.stature_scale import Scale, scale_from_distance
from coview.cameras import Cameras
from coview.errors import InputError
from coview.skeletons import Skeleton


def stated_scale(
    cameras: Cameras,
    everybody: Float[Tensor, "times people joints 3"],
    skeleton: Skeleton,
    names: tuple[str, ...],
    stature: float | tuple[int, float] | None,
    distance: tuple[str, str, float] | None,
) -> Scale:
    """Determine the scale of a calibrated world, from a stated stature or distance, or else from an adult's usual
    stature.

    Args:
        cameras: The cameras, in the unscaled world.
        everybody: Joints of every person, in that world, NaN where unknown.
        skeleton: What the joints are.
        names: Names of the cameras.
        stature: Metres, or the number of a person (from 1) and metres, or None.
        distance: Two cameras or two joints, and the metres between them, or None.

    Returns:
        Metres per unit, with its uncertainty and where it comes from.

    Raises:
        InputError: For two statements, a name that is neither a camera nor a joint, or a stature that does not say
            whose it is where people differ in size.
    """
    if stature is not None and distance is not None:
        raise InputError(
            "both a stature and a known distance were given; the scale can follow only one of them."
        )
    if distance is not None:
        return _scale_from_distance(cameras, everybody[:, 0], skeleton, names, distance)
    stated = None
    if stature is not None:
        stated = Stature(stature[1], stature[0]) if isinstance(stature, tuple) else Stature(stature)
    scale = scale_of_people(everybody.unbind(1), skeleton, stated)
    if stated is None:
        return replace(scale, source=f"{scale.source} (none was stated: use --stature or --distance)")
    return scale


def _scale_from_distance(
    cameras: Cameras,
    points: Float[Tensor, "times joints 3"],
    skeleton: Skeleton,
    names: tuple[str, ...],
    distance: tuple[str, str, float],
) -> Scale:
    a, b, metres = distance
    if a in names and b in names:
        centres = cameras.centres
        length = float((centres[names.index(a)] - centres[names.index(b)]).norm())
        return scale_from_distance(length, metres, max(0.01 * metres, 0.01), f"{a} to {b}")
    candidates = (*names, *skeleton.joints)
    unknown = [name for name in (a, b) if name not in skeleton.joints]
    if unknown:
        raise InputError(
            f"a known distance is between two cameras or two joints; {', '.join(unknown)} is neither. "
            f"Known: {', '.join(candidates)}."
        )
    ends = points[:, skeleton.index(a)], points[:, skeleton.index(b)]
    length = float((ends[0] - ends[1]).norm(dim=-1).nanmedian())
    return scale_from_distance(length, metres, max(0.02 * metres, 0.005), f"{a} to {b}")
