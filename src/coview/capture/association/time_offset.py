"""Time offsets of cameras where several people are in view who are not matched yet."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.capture.association.tracking import track_people
from coview.geometry.self_calibration.time_offset import Track2D, rough_time_offsets

# longest tracks of each camera that are tried: cost is quadratic in them
_TRACKS = 4
# of the error at other time offsets: pairs of different people fit some offset half as badly as the others
_BELIEVED = 0.4
# frames from the middle that are looked at: memory
_LONGEST = 16384


def people_time_offsets(
    joints: Float[Tensor, "views frames people joints 2"],
    confidence: Float[Tensor, "views frames people joints"],
    fps: float,
    *,
    min_confidence: float = 0.3,
    reach: float = 10.0,
) -> Float[Tensor, "views"]:
    """Estimate the time offset of every camera where several people are in view and not matched yet, to a frame or so.

    Every long track of one camera is tried with every long track of another (`geometry.self_calibration.time_offset`).
    Meaningless where nobody is seen by two cameras for a few seconds on end.

    Args:
        joints: 2D detections, pixels, NaN where not seen; the order of people within a frame means nothing.
        confidence: Confidence of every detected joint.
        fps: Frames per second.
        min_confidence: Joints below this confidence are taken as not seen.
        reach: Seconds; the largest offset that is tried.

    Returns:
        Seconds that each camera started later than the first; 0 for one that nothing ties to another.
    """
    first = max(0, (joints.shape[1] - _LONGEST) // 2)
    middle = slice(first, first + _LONGEST)
    confident = (confidence >= min_confidence)[:, middle, ..., None]
    seen = torch.where(confident, joints[:, middle].double(), torch.nan)
    return rough_time_offsets([_longest(view) for view in seen], fps, reach, believed=_BELIEVED)


def _longest(view: Float[Tensor, "frames people joints 2"]) -> list[Track2D]:
    """The longest tracks of one camera."""
    tracks = track_people(view)
    counts = torch.bincount(tracks[tracks >= 0])
    found = []
    for track in counts.argsort(descending=True)[:_TRACKS]:
        mine = (tracks == track)[..., None, None]
        # at most one of a frame's people is not NaN
        pixels = torch.where(mine, view, torch.nan).nanmean(dim=1)
        found.append(Track2D(pixels, pixels.isfinite().all(dim=-1).double()))
    return found
