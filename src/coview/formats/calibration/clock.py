"""When a camera's pictures were taken: its clock against that of the first camera."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError

MOST_DRIFT = 0.1  # seconds per second: beyond it, the frame rate itself is wrong


@dataclass(frozen=True)
class Clock:
    """Frame i, nominally taken at t = i / fps, shows the world at t + offset + drift · t of the reference clock.

    A camera that began to record after the reference has a positive offset."""

    time_offset: float = 0.0  # seconds
    drift: float = 0.0  # seconds per second
    time_offset_sigma: float = math.nan  # standard deviations; NaN: not known
    drift_sigma: float = math.nan

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time_offset) and abs(self.drift) <= MOST_DRIFT):
            raise InputError(
                f"a clock needs a finite offset in seconds and a drift within ±{MOST_DRIFT:g} seconds per second, got "
                f"offset {self.time_offset} and drift {self.drift}. A larger drift is a wrong frame rate: import with "
                f"the right one."
            )

    @property
    def is_zero(self) -> bool:
        """Whether it is the reference clock itself."""
        return self.time_offset == 0 and self.drift == 0

    def nominal(self, time: Tensor) -> Tensor:
        """The camera's own time (seconds) at a time of the reference clock."""
        return (time - self.time_offset) / (1 + self.drift)


SYNCHRONOUS = Clock()


def frame_places(
    clocks: Mapping[str, Clock], names: Sequence[str], frames: int, fps: float
) -> Float[Tensor, "frames views"]:
    """Where in each camera's own recording the reference's frames 0, 1, … lie, counted in frames (float64).

    Below 0 or beyond the last frame where the camera did not record yet or any more."""
    time = torch.arange(frames, dtype=torch.float64) / fps
    return torch.stack([clocks.get(name, SYNCHRONOUS).nominal(time) * fps for name in names], dim=-1)


def clocks_to_table(clocks: Mapping[str, Clock]) -> dict[str, Any]:
    """For TOML; units in the keys, what is not known left out."""
    return {
        name: {key: float(value) for key, value in _row(clock).items() if math.isfinite(value)}
        for name, clock in clocks.items()
    }


def clocks_from_table(table: object, where: str) -> dict[str, Clock]:
    """Inverse of `clocks_to_table`. ValueError naming `where` and the camera, also for what is no table."""
    if not isinstance(table, Mapping):
        raise InputError(
            f"{where}: [metadata.clocks] should be a table with a camera in each row, found {table!r}. Remove it if "
            f"the cameras are synchronised."
        )
    clocks = {}
    for name, row in table.items():
        try:
            if strange := sorted(set(row) - set(_row(SYNCHRONOUS))):
                raise InputError(
                    f"unknown {', '.join(strange)}; understood are {', '.join(_row(SYNCHRONOUS))}"
                )
            values = [float(row.get(key, default)) for key, default in _row(SYNCHRONOUS).items()]
            clocks[name] = Clock(*values)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{where}: the clock of camera '{name}': {error}") from error
    return clocks


def _row(clock: Clock) -> dict[str, float]:
    return {
        "offset_s": clock.time_offset,
        "drift": clock.drift,
        "offset_sigma_s": clock.time_offset_sigma,
        "drift_sigma": clock.drift_sigma,
    }
