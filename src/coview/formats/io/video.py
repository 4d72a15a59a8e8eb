"""Videos: their size, frame rate and frames as pixels. Rotation flags of phones are applied, as OpenCV does."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from jaxtyping import Float, UInt8

from coview.errors import InputError, MissingFileError

ENDINGS = frozenset({".mp4", ".avi", ".mov", ".mkv", ".m4v", ".webm", ".mpg", ".mpeg", ".mts"})
# range of the times between frames, relative to their median, from which the frame rate counts as variable
_UNEVEN = 0.5


@dataclass(frozen=True)
class VideoInfo:
    """Facts about a video, as a player shows it."""

    # width, height in pixels, after the rotation flag
    size: tuple[int, int]
    # frames per second; None: the file does not say
    fps: float | None
    # number of frames
    frames: int
    # rotation from the stored to the shown image, degrees counter-clockwise: 0, 90, 180, -90
    rotation: int
    # whether the time between frames varies, so that frame number × 1/fps is not the time
    uneven: bool


def probe(path: Path) -> VideoInfo:
    """Size, frame rate and number of frames of a video.

    Args:
        path: The video. Its first frame is decoded, to be sure that it can be.

    Returns:
        The facts; packets are counted where the header does not state the number of frames.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no readable video.
    """
    with _opened(path) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None:
            raise InputError(f"{path}: not one frame can be decoded. {_REMEDY}")
        rotation = _quarter(first)
        width, height = first.width, first.height
        rate = stream.average_rate or stream.guessed_rate
        unit = float(stream.time_base or 0)
        times = [entry.timestamp for entry in stream.index_entries]
        counted = stream.frames
    if not counted or len(times) != counted:
        # the header does not say: packets are read, nothing is decoded
        times = _packet_times(path)
    frames = counted or len(times)
    return VideoInfo(
        size=(height, width) if rotation % 180 else (width, height),
        fps=_rate(float(rate) if rate else None, times if len(times) == frames else [], unit),
        frames=frames,
        rotation=rotation,
        uneven=len(times) == frames and _is_uneven(times),
    )


def presentation_times(path: Path) -> Float[np.ndarray, "frames"]:
    """When a player shows each picture of a video; nothing is decoded.

    Args:
        path: The video.

    Returns:
        Seconds after the first picture, in the order in which pictures are shown.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no readable video, or does not say when its pictures are shown.
    """
    with _opened(path) as (_, stream):
        base = float(stream.time_base)
    times = np.sort(np.array(_packet_times(path), dtype=np.float64)) * base
    if not len(times):
        raise InputError(f"{path} does not say when its pictures are shown. {_REMEDY}")
    return times - times[0]


def read_frames(
    path: Path, frames: Iterable[int]
) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
    """Read some frames of a video.

    The video is decoded from its start, so that frame numbers are exact in every format.

    Args:
        path: The video.
        frames: Frame numbers from 0; those beyond the end are left out.

    Yields:
        Frame number and RGB image of shape (height, width, 3), uint8, in ascending order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no readable video.
    """
    wanted = set(frames)
    if not wanted:
        return
    with _opened(path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            if number in wanted:
                picture = frame.to_ndarray(format="rgb24")
                yield number, np.ascontiguousarray(np.rot90(picture, _quarter(frame) // 90))
            if number >= max(wanted):
                return


_REMEDY = (
    "Play it in a video player; if it fails there too, copy or convert it again (for example to H.264 mp4)."
)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream; whatever FFmpeg finds wrong becomes a ValueError."""
    if not Path(path).is_file():
        raise MissingFileError(f"no video {path}.")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no video stream (only sound or data).")
            yield container, container.streams.video[0]
    except av.FFmpegError as error:
        raise InputError(f"{path} is not a readable video: {error.strerror}. {_REMEDY}") from error


def _quarter(frame: Any) -> int:
    return round(frame.rotation / 90) * 90


def _packet_times(path: Path) -> list[int]:
    """Presentation times in the stream's own unit; a packet without one goes by its decoding time."""
    with _opened(path) as (container, stream):
        stamps = [
            packet.pts if packet.pts is not None else packet.dts
            for packet in container.demux(stream)
            if packet.size
        ]
    return [stamp if stamp is not None else number for number, stamp in enumerate(stamps)]


def _rate(stated: float | None, times: list[int], unit: float) -> float | None:
    """Pictures per second: as stated, unless the times at which pictures are shown say otherwise.

    Headers count the duration of the last picture, or state the rate that a camera was set to.
    """
    lasted = (max(times) - min(times)) * unit if times else 0.0
    if len(times) < 3 or lasted <= 0:
        return stated
    measured = (len(times) - 1) / lasted
    # times are rounded to their unit
    return stated if stated and abs(measured / stated - 1) * lasted <= 2 * unit else measured


def _is_uneven(times: list[int]) -> bool:
    gaps = np.diff(np.sort(np.array(times, dtype=np.float64)))
    return len(gaps) > 2 and bool(np.ptp(gaps) > _UNEVEN * np.median(gaps))
