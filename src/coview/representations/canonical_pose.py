"""The canonical pose: without place and without azimuth, but with its tilt, so that no camera is needed. [Mitra20]

Turned about the vertical alone until the left hip lies on the +x side of the root: q_lhip = (√(b_x² + b_y²), 0, b_z).
Which way is up must be known, so labels in camera axes will not do.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.skeletons import Skeleton

# metres: a hip nearer than this to the vertical through the root tells no azimuth
NO_HEADING = 0.02


def azimuth(
    joints3d: Float[Tensor, "*batch joints 3"], skeleton: Skeleton, up: Literal["z", "y"] = "z"
) -> Float[Tensor, "*batch"]:
    """ψ: how far the left hip is turned about the vertical from +x, radians; world metres in.

    NaN where a hip or the root is not known, and for somebody who lies on one side: there it has no meaning."""
    hip = joints3d[..., skeleton.index("left_hip"), :] - joints3d[..., skeleton.root_index, :]
    ahead, aside, _ = _axes(hip, up)
    valid = torch.hypot(ahead, aside) >= NO_HEADING  # false for NaN
    return torch.where(valid, torch.atan2(aside, ahead), torch.nan)


def forward_filled(azimuths: Float[Tensor, "*batch frames"]) -> Float[Tensor, "*batch frames"]:
    """Of successive frames of one take: where ψ is not known, that of the last frame where it was.

    NaN before the first that is known."""
    frame = torch.arange(azimuths.shape[-1], device=azimuths.device)
    last = torch.where(azimuths.isfinite(), frame, -1).cummax(dim=-1).values
    return torch.where(last >= 0, azimuths.gather(-1, last.clamp_min(0)), torch.nan)


def canonical_pose(
    joints3d: Float[Tensor, "*batch joints 3"],
    skeleton: Skeleton,
    azimuths: Float[Tensor, "*batch"] | None = None,
    up: Literal["z", "y"] = "z",
) -> Float[Tensor, "*batch joints 3"]:
    """World poses with the root at the origin, turned about the vertical by −ψ; metres.

    The same for every place and heading of a person. `azimuths`: default those of the poses; NaN where they are, and
    for joints that are not known. With `up` "y", x is the left hip's side and z what y is otherwise, with its sign
    turned: a rotation, never a mirror."""
    heading = azimuth(joints3d, skeleton, up) if azimuths is None else azimuths
    ahead, aside, height = _axes(joints3d - joints3d[..., skeleton.root_index, None, :], up)
    cosine, sine = heading.cos()[..., None], heading.sin()[..., None]
    x, y = cosine * ahead + sine * aside, cosine * aside - sine * ahead
    return torch.stack([x, y, height] if up == "z" else [x, height, -y], dim=-1)


def _axes(points: Tensor, up: Literal["z", "y"]) -> tuple[Tensor, Tensor, Tensor]:
    """Right-handed: two along the floor and the height."""
    x, y, z = points.unbind(-1)
    return (x, y, z) if up == "z" else (x, -z, y)
