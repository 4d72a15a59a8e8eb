"""When cameras took their pictures, against the first one's clock."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Timing:
    """At the time τ of the first camera a camera is `offset` + `drift` (τ - `middle`) late, seconds.

    A late camera shows at its own time what happened that much later: it began to record late."""

    offset: Float[Tensor, "views"]  # seconds
    drift: Float[Tensor, "views"]  # seconds per second
    middle: float = 0.0  # seconds: of the recording, where the two are least entangled

    @staticmethod
    def together(views: int) -> "Timing":
        """All on time."""
        zero = torch.zeros(views, dtype=torch.float64)
        return Timing(zero, zero.clone())

    def own(self, times: Float[Tensor, "times"]) -> Float[Tensor, "times views"]:
        """What each camera's clock said at these times, seconds."""
        return times[:, None] - self.offset - self.drift * (times[:, None] - self.middle)

    def around(self, middle: float) -> "Timing":
        """The same, told about another moment."""
        return replace(self, offset=self.offset + self.drift * (middle - self.middle), middle=middle)

    def later(self, by: Float[Tensor, "views 2"]) -> "Timing":
        """Corrected by an offset at `middle` and a drift."""
        return replace(self, offset=self.offset + by[:, 0], drift=self.drift + by[:, 1])

    @property
    def from_own(self) -> tuple[Float[Tensor, "views"], Float[Tensor, "views"]]:
        """The same told by the camera's own clock: it is `offset` + `drift` · t late at its own time t.

        τ = t + offset + drift (τ - middle), solved for τ - t."""
        rest = 1 - self.drift
        return (self.offset - self.drift * self.middle) / rest, self.drift / rest


def common_times(
    timing: Timing, seen: Float[Tensor, "frames views joints"], fps: float, most: int
) -> Float[Tensor, "times"]:
    """At most `most` times at which two or more cameras saw something, evenly over all such; seconds.

    They are times of the first camera's pictures, also before its first and after its last."""
    anything = (seen > 0).any(dim=-1)
    frames = len(anything)
    ends = torch.tensor([0.0, (frames - 1) / fps], dtype=torch.float64)[:, None]
    rest = 1 - timing.drift
    there = (ends + timing.offset - timing.drift * timing.middle) / rest
    first, last = int((there.min() * fps).floor()), int((there.max() * fps).ceil())
    times = torch.arange(first, last + 1, dtype=torch.float64) / fps
    places = (timing.own(times) * fps).round()
    inside = (places >= 0) & (places < frames)
    index = places.clamp(0, frames - 1).long()
    together = (anything[index, torch.arange(anything.shape[1])] & inside).sum(dim=1) >= 2
    usable = times[together]
    if len(usable) <= most:
        return usable
    return usable[torch.linspace(0, len(usable) - 1, most).round().long()]
