"""Gaps interpolated and noise filtered: short gaps are filled, long ones stay."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError

# share of the motion that a filter may take away: more of it than noise
_FLATTENED = 0.5
# metres: less motion than that is noise
_MOVES = 0.03


def fill_gaps(
    points: Float[Tensor, "frames joints 3"],
    covariance: Float[Tensor, "frames joints 3 3"] | None,
    max_gap: int,
) -> tuple[Float[Tensor, "frames joints 3"], Float[Tensor, "frames joints 3 3"] | None]:
    """Interpolate linearly across gaps that have a point on both sides.

    Args:
        points: Joints, any unit, NaN where unknown.
        covariance: Their covariance, squared unit, or None.
        max_gap: Frames; longer gaps stay, as do those at either end.

    Returns:
        Points and covariance with the gaps filled. An interpolated point gets the larger covariance of its two
        neighbours, grown by the squared distance between them over 12 (as if it were anywhere between them).
    """
    valid = points.isfinite().all(dim=-1)
    before, after = _last_valid(valid), _next_valid(valid)
    inside = ~valid & (before >= 0) & (after < len(points))
    filled = inside & (after - before - 1 <= max_gap)
    frame, joint = filled.nonzero(as_tuple=True)
    if not frame.numel():
        return points, covariance
    left, right = before[frame, joint], after[frame, joint]
    start, end = points[left, joint], points[right, joint]
    share = ((frame - left) / (right - left)).to(points)[:, None]
    points = points.index_put((frame, joint), start + share * (end - start))
    if covariance is None:
        return points, None
    first, second = covariance[left, joint], covariance[right, joint]
    traces = [each.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None] for each in (first, second)]
    wider = torch.where(traces[0] > traces[1], first, second)
    step = (end - start)[:, :, None]
    grown = wider + step @ step.mT / 12
    return points, covariance.index_put((frame, joint), grown)


def low_pass(
    points: Float[Tensor, "frames joints 3"], fps: float, cutoff: float
) -> Float[Tensor, "frames joints 3"]:
    """Zero-phase fourth-order Butterworth filter (−6 dB at the cut-off, as it runs both ways).

    Every run of valid frames is filtered by itself; runs too short for the filter are left as they are.

    Args:
        points: Joints, any unit, NaN where unknown.
        fps: Frames per second.
        cutoff: Cut-off frequency, Hz.

    Returns:
        The filtered joints.

    Raises:
        InputError: Where the cut-off is not above 0 and below half the frame rate.
    """
    if not 0 < cutoff < fps / 2:
        raise InputError(
            f"smoothing at {cutoff:g} Hz is impossible at {fps:g} frames per second: the cut-off must lie between "
            f"0 and {fps / 2:g} Hz. Human movement is mostly below 6 Hz, fast sport below 12 Hz."
        )
    from scipy.signal import butter, sosfiltfilt

    sections = butter(4, cutoff, fs=fps, output="sos")
    smoothed = points.clone()
    for joint in range(points.shape[1]):
        for first, last in _runs(points[:, joint].isfinite().all(dim=-1)):
            # frames that the filter pads with
            if last - first > 15:
                run = sosfiltfilt(sections, points[first:last, joint].double().numpy(), axis=0)
                smoothed[first:last, joint] = torch.from_numpy(run.copy()).to(points)
    return smoothed


def _last_valid(valid: Tensor) -> Tensor:
    """Index of the latest valid frame up to each frame; -1 where there is none."""
    frames = torch.arange(len(valid))[:, None].expand_as(valid)
    return torch.where(valid, frames, -1).cummax(dim=0).values


def _next_valid(valid: Tensor) -> Tensor:
    """Index of the earliest valid frame from each frame on; the number of frames where there is none."""
    return len(valid) - 1 - _last_valid(valid.flip(0)).flip(0)


def _runs(valid: Tensor) -> list[tuple[int, int]]:
    """First and one-past-last frame of every run of valid frames."""
    edges = torch.nn.functional.pad(valid.int(), (1, 1)).diff()
    return list(
        zip((edges == 1).nonzero()[:, 0].tolist(), (edges == -1).nonzero()[:, 0].tolist(), strict=True)
    )


def check_motion(before: Tensor, after: Tensor, smooth: float) -> None:
    """Refuse a filter that took most of the motion away, by the median joint's standard deviation over time.

    Args:
        before: Joints, metres; NaN where unknown, (frames, joints, 3).
        after: The same, filtered.
        smooth: Cut-off in Hz, for the message.

    Raises:
        InputError: It took more than half.
    """
    moved, left = (
        (each - each.nanmean(dim=0)).square().nanmean(dim=0).sum(dim=-1).sqrt().nanmedian()
        for each in (before, after)
    )
    if float(left) < (1 - _FLATTENED) * float(moved) and float(moved) > _MOVES:
        raise InputError(
            f"smooth {smooth:g} Hz takes {1 - float(left / moved):.0%} of the motion away: only what is slower stays. "
            f"People move at 0.3 to 10 Hz, and 4 to 10 Hz is usual; or leave it out and use --refine."
        )
