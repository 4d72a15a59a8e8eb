"""What a C3D file claims of itself, compared with its length before a library believes it.

ezc3d takes memory for whatever header and parameters say, and ends the program on files cut short; 2 kB can claim
12 GB.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coview.errors import InputError, MissingFileError

_BLOCK = 512
_KEY = 0x50
_DEC, _MIPS = 85, 86
# bytes of a value, and how struct names it, by type of a parameter
_TYPES = {-1: (1, "s"), 1: (1, "B"), 2: (2, "H"), 4: (4, "f")}
_AGAIN = "Copy or export it again."


@dataclass(frozen=True)
class _Bytes:
    path: Path
    data: bytes
    # processor that wrote it
    processor: int

    def numbers(self, code: str, at: int, count: int) -> list[Any]:
        order = ">" if self.processor == _MIPS else "<"
        if code == "f" and self.processor == _DEC:
            words = struct.unpack_from(f"<{2 * count}H", self.data, at)
            swapped = [word for pair in zip(words[1::2], words[::2], strict=True) for word in pair]
            return [
                value / 4 for value in struct.unpack(f"<{count}f", struct.pack(f"<{2 * count}H", *swapped))
            ]
        return list(struct.unpack_from(f"{order}{count}{code}", self.data, at))


def check_claims(path: Path) -> None:
    """Check that a C3D file is as long as its header and its parameters say.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: There is no such file.
        InputError: It is no C3D file, has no points or frames, or promises more than is there.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path}.")
    data = path.read_bytes()
    if len(data) < _BLOCK or data[1] != _KEY:
        raise InputError(f"{path} is not a C3D file: its second byte should be 0x50.")
    start = (data[0] - 1) * _BLOCK
    if start < _BLOCK or start + 4 > len(data):
        raise InputError(f"{path} was cut short: its parameters should begin at byte {start}. {_AGAIN}")
    file = _Bytes(path, data, data[start + 3])
    _check_length(file, dict(_parameters(file, start)))


def _check_length(file: _Bytes, given: dict[str, list[Any]]) -> None:
    joints, analog, first, last = file.numbers("H", 2, 4)
    scale = file.numbers("f", 12, 1)[0]
    samples = file.numbers("H", 18, 1)[0]
    size = 4 if scale < 0 else 2
    rate, analog_rate = (_first(given, name, 0.0) for name in ("POINT:RATE", "ANALOG:RATE"))
    if not (math.isfinite(rate) and rate > 0 and math.isfinite(analog_rate)):
        raise InputError(
            f"{file.path}: POINT:RATE is {rate:g} frames per second; a number above 0 is needed."
        )
    frames = max(last - first + 1, *_stated_frames(given), 0)
    joints = max(joints, _first(given, "POINT:USED", 0))
    per_frame = max(samples, analog_rate / rate)
    values = max(analog, _first(given, "ANALOG:USED", 0) * per_frame)
    turns = _first(given, "ROTATION:USED", 0) * max(1, _first(given, "ROTATION:RATIO", 0))
    needed = _BLOCK + frames * (4 * joints * size + size * values + 68 * turns)
    if not joints or not frames:
        raise InputError(f"{file.path} holds {frames:.0f} frames of {joints:.0f} points: nothing to read.")
    if max(needed, per_frame) > len(file.data):
        raise InputError(
            f"{file.path} was cut short: its header promises at least {max(needed, per_frame):.0f} bytes and it has "
            f"{len(file.data)}. {_AGAIN}"
        )


def _first(given: dict[str, list[Any]], name: str, otherwise: Any) -> Any:
    values = given.get(name) or [otherwise]
    return values[0]


def _stated_frames(given: dict[str, list[Any]]) -> Iterator[Any]:
    """Counts beyond 65535, for which the header has no room."""
    yield _first(given, "POINT:FRAMES", 0) if _first(given, "POINT:FRAMES", 0) < 65535 else 0
    yield _first(given, "POINT:LONG_FRAMES", 0)
    start, end = (given.get(f"TRIAL:ACTUAL_{name}_FIELD") or [] for name in ("START", "END"))
    if len(start) == len(end) == 2:
        # words are signed where a program writes them as the format's parameters
        first, last = (low % 65536 + 65536 * (high % 65536) for low, high in (start, end))
        yield last - first + 1


def _parameters(file: _Bytes, start: int) -> Iterator[tuple[str, list[Any]]]:
    """Name and numbers of every parameter, GROUP:NAME; texts are left empty."""
    groups: dict[int, str] = {}
    found: list[tuple[int, str, list[Any]]] = []
    at, following = start + 4, 1
    while following and at + 2 <= len(file.data):
        length, group = struct.unpack_from("2b", file.data, at)
        word = at + 2 + abs(length)
        if not length or word + 2 > len(file.data):
            break
        name = file.data[at + 2 : word].decode("latin1").upper()
        following = int(file.numbers("H", word, 1)[0])
        if group < 0:
            groups[-group] = name
        else:
            found.append((group, name, _values(file, name, word + 2, word + following)))
        at = word + following
    yield from ((f"{groups.get(group, '')}:{name}", values) for group, name, values in found)


def _values(file: _Bytes, name: str, at: int, end: int) -> list[Any]:
    kind, count = struct.unpack_from("bB", file.data, at)
    sides = list(file.data[at + 2 : at + 2 + count])
    size, code = _TYPES.get(kind, (0, ""))
    begin, number = at + 2 + count, math.prod(sides)
    there = (end if end > at else len(file.data)) - begin
    # of texts of length 0 there can be any number
    claimed = max(number * size, math.prod(max(side, 1) for side in sides) if number == 0 else 0)
    if not size or len(sides) < count or claimed > max(there, 255) or begin + number * size > len(file.data):
        raise InputError(
            f"{file.path}: its parameter {name} claims {claimed} bytes where {there} are: the file is damaged. {_AGAIN}"
        )
    return [] if code == "s" else file.numbers(code, begin, number)
