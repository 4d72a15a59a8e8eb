"""When a camera took its pictures: its clock relative to the reference clock, that of the first camera."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError

# seconds per second: a larger drift means a wrong frame rate
MOST_DRIFT = 0.1


@dataclass(frozen=True)
class Clock:
    """The clock of one camera: an offset and a drift relative to the reference clock.

    Frame i, nominally taken at t = i / fps, shows the world at t + time_offset + drift · t of the reference clock, so a
    camera that began to record after the reference has a positive offset.

    Raises:
        ValueError: The offset is not finite, or the drift is beyond `MOST_DRIFT`.
    """

    # seconds by which the camera began after the reference
    time_offset: float = 0.0
    # seconds per second
    drift: float = 0.0
    # standard deviation, seconds; NaN: not known
    time_offset_sigma: float = math.nan
    # standard deviation, seconds per second; NaN: not known
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
        """The camera's own time at times of the reference clock.

        Args:
            time: Seconds of the reference clock, any shape.

        Returns:
            Seconds of the camera's clock, same shape; times fps gives the frame number.
        """
        return (time - self.time_offset) / (1 + self.drift)


SYNCHRONOUS = Clock()


def frame_places(
    clocks: Mapping[str, Clock], names: Sequence[str], frames: int, fps: float
) -> Float[Tensor, "frames views"]:
    """Fractional frame number in every camera's recording at the times of the reference's frames 0, 1, ….

    Args:
        clocks: Clocks by camera name; a camera that is absent is synchronous.
        names: The cameras.
        frames: Number of frames of the reference.
        fps: Frames per second.

    Returns:
        Shape (frames, views), in frames, float64; below 0 or beyond the last frame where the camera did not record.
    """
    time = torch.arange(frames, dtype=torch.float64) / fps
    return torch.stack([clocks.get(name, SYNCHRONOUS).nominal(time) * fps for name in names], dim=-1)


def clocks_to_table(clocks: Mapping[str, Clock]) -> dict[str, Any]:
    """The clocks as a table for TOML: units in the keys, unknown values left out.

    Args:
        clocks: Clocks by camera name.

    Returns:
        Per camera: offset_s, drift, offset_sigma_s, drift_sigma.
    """
    return {
        name: {key: float(value) for key, value in _row(clock).items() if math.isfinite(value)}
        for name, clock in clocks.items()
    }


def clocks_from_table(table: object, where: str) -> dict[str, Clock]:
    """Read the clocks from a table of TOML; the inverse of `clocks_to_table`.

    Args:
        table: What the file holds under [metadata.clocks].
        where: The file, for messages.

    Returns:
        Clocks by camera name.

    Raises:
        ValueError: It is no such table; the message names `where` and the camera.
    """
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
