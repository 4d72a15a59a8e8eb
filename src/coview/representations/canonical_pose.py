"""The canonical pose: position and azimuth removed, tilt kept, so that no camera is needed. [Mitra20]

Rotated about the vertical alone until the left hip lies on the +x side of the root: q_lhip = (√(b_x² + b_y²), 0, b_z).
The vertical must be known, so labels in camera axes cannot be used.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.skeletons import Skeleton

# metres: with the left hip nearer than this to the vertical through the root, the azimuth is not defined
NO_HEADING = 0.02


def azimuth(
    joints3d: Float[Tensor, "*batch joints 3"], skeleton: Skeleton, up: Literal["z", "y"] = "z"
) -> Float[Tensor, "*batch"]:
    """Azimuth ψ of the left hip about the vertical through the root, from +x.

    Args:
        joints3d: World poses, metres.
        skeleton: Joints of the poses.
        up: The vertical axis of the world.

    Returns:
        Radians in (−π, π]; NaN where the hip or the root is not known, and for a person lying on one side, whose
        azimuth is not defined.
    """
    hip = joints3d[..., skeleton.index("left_hip"), :] - joints3d[..., skeleton.root_index, :]
    ahead, aside, _ = _axes(hip, up)
    # false for NaN
    valid = torch.hypot(ahead, aside) >= NO_HEADING
    return torch.where(valid, torch.atan2(aside, ahead), torch.nan)


def forward_filled(azimuths: Float[Tensor, "*batch frames"]) -> Float[Tensor, "*batch frames"]:
    """Azimuths of successive frames, missing ones filled with the last known one.

    Args:
        azimuths: Of one take, in order; NaN where not known.

    Returns:
        The same unit; NaN before the first known azimuth.
    """
    frame = torch.arange(azimuths.shape[-1], device=azimuths.device)
    last = torch.where(azimuths.isfinite(), frame, -1).cummax(dim=-1).values
    return torch.where(last >= 0, azimuths.gather(-1, last.clamp_min(0)), torch.nan)


def canonical_pose(
    joints3d: Float[Tensor, "*batch joints 3"],
    skeleton: Skeleton,
    azimuths: Float[Tensor, "*batch"] | None = None,
    up: Literal["z", "y"] = "z",
) -> Float[Tensor, "*batch joints 3"]:
    """World poses with the root at the origin, rotated about the vertical by −ψ.

    Args:
        joints3d: World poses, metres.
        skeleton: Joints of the poses.
        azimuths: ψ in radians; default: those of the poses.
        up: The vertical axis of the world.

    Returns:
        Metres, independent of position and heading of the person; NaN where the azimuth or the joint is not known.
        With `up` "y" z is −y of the other convention: a rotation, never a mirror image.
    """
    heading = azimuth(joints3d, skeleton, up) if azimuths is None else azimuths
    ahead, aside, height = _axes(joints3d - joints3d[..., skeleton.root_index, None, :], up)
    cosine, sine = heading.cos()[..., None], heading.sin()[..., None]
    x, y = cosine * ahead + sine * aside, cosine * aside - sine * ahead
    return torch.stack([x, y, height] if up == "z" else [x, height, -y], dim=-1)


def _axes(points: Tensor, up: Literal["z", "y"]) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates in right-handed axes: two along the floor, and the height."""
    x, y, z = points.unbind(-1)
    return (x, y, z) if up == "z" else (x, -z, y)
