"""Quality of a motion without ground truth: bones that change their length, joints that tremble."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor


def bone_length_std(points: Float[Tensor, "frames joints 3"], bones: Sequence[tuple[int, int]]) -> float:
    """Standard deviation of a bone's length over the frames in which it is known, median over bones.

    Args:
        points: Joints, metres, NaN where unknown.
        bones: Pairs of joints.

    Returns:
        Metres; NaN where no bone is known in two frames.
    """
    if not bones:
        return float("nan")
    first, end = (list(ends) for ends in zip(*bones, strict=True))
    lengths = (points[:, end] - points[:, first]).norm(dim=-1)
    deviation = (lengths - lengths.nanmean(dim=0)).square().nanmean(dim=0).sqrt()
    return float(deviation[lengths.isfinite().sum(dim=0) > 1].median())


def jitter(points: Float[Tensor, "frames joints 3"]) -> float:
    """Root mean square of the third differences in time: tremor, not speed or acceleration.

    Args:
        points: Joints, metres, NaN where unknown.

    Returns:
        Metres; NaN where no joint is known in four frames in a row.
    """
    third = points[3:] - 3 * points[2:-1] + 3 * points[1:-2] - points[:-3]
    return float(third.square().sum(dim=-1).nanmean().sqrt())
