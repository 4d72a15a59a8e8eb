"""Clocks of the cameras relative to the first: time offset and drift."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Timing:
    """Clock model of every camera: at the first camera's time τ its clock shows τ − time_offset − drift (τ − middle).

    A camera with a positive offset began to record after the first one."""

    # seconds, at `middle`
    time_offset: Float[Tensor, "views"]
    # seconds per second
    drift: Float[Tensor, "views"]
    # seconds: the middle of the recording, where offset and drift are least correlated
    middle: float = 0.0

    @staticmethod
    def synchronised(views: int) -> "Timing":
        """Clocks without offset and drift.

        Args:
            views: how many cameras.
        """
        zero = torch.zeros(views, dtype=torch.float64)
        return Timing(zero, zero.clone())

    def own(self, times: Float[Tensor, "times"]) -> Float[Tensor, "times views"]:
        """Every camera's own time.

        Args:
            times: seconds by the first camera's clock.

        Returns:
            Seconds by each camera's own clock.
        """
        return times[:, None] - self.time_offset - self.drift * (times[:, None] - self.middle)

    def around(self, middle: float) -> "Timing":
        """The same clocks with another reference time.

        Args:
            middle: the new reference time, seconds by the first camera's clock.
        """
        return replace(
            self, time_offset=self.time_offset + self.drift * (middle - self.middle), middle=middle
        )

    def later(self, by: Float[Tensor, "views 2"]) -> "Timing":
        """The clocks after a correction.

        Args:
            by: correction of the offset at `middle` (s) and of the drift.
        """
        return replace(self, time_offset=self.time_offset + by[:, 0], drift=self.drift + by[:, 1])

    @property
    def from_own(self) -> tuple[Float[Tensor, "views"], Float[Tensor, "views"]]:
        """Offset (s) and drift as functions of the camera's own time t: τ − t = offset + drift · t.

        The solution of τ = t + time_offset + drift (τ − middle) for τ − t."""
        rest = 1 - self.drift
        return (self.time_offset - self.drift * self.middle) / rest, self.drift / rest


def common_times(
    timing: Timing, seen: Float[Tensor, "frames views joints"], fps: float, most: int
) -> Float[Tensor, "times"]:
    """Times at which two or more cameras detected something, evenly spaced over all such times.

    They fall on the first camera's frames, extended before its first and after its last.

    Args:
        timing: the cameras' clocks.
        seen: weights of the detections; 0: not detected.
        fps: frames per second.
        most: how many times, at most.

    Returns:
        Seconds by the first camera's clock.
    """
    anything = (seen > 0).any(dim=-1)
    frames = len(anything)
    ends = torch.tensor([0.0, (frames - 1) / fps], dtype=torch.float64)[:, None]
    rest = 1 - timing.drift
    there = (ends + timing.time_offset - timing.drift * timing.middle) / rest
    first, last = int((there.min() * fps).floor()), int((there.max() * fps).ceil())
    times = torch.arange(first, last + 1, dtype=torch.float64) / fps
    places = (timing.own(times) * fps).round()
    inside = (places >= 0) & (places < frames)
    index = places.clamp(0, frames - 1).long()
    synchronised = (anything[index, torch.arange(anything.shape[1])] & inside).sum(dim=1) >= 2
    usable = times[synchronised]
    if len(usable) <= most:
        return usable
    return usable[torch.linspace(0, len(usable) - 1, most).round().long()]
