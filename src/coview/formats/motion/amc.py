"""AMC, Acclaim's motion file: the angles of every bone per frame, for the skeleton of an ASF file."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.damage import reader
from coview.formats.io.text import read_text
from coview.formats.motion.asf import Asf
from coview.formats.motion.forward_kinematics import (
    chained_positions,
    global_rotations,
    radians,
    rotation_from_euler,
)

_AGAIN = "Download the file again."


@dataclass(frozen=True)
class Amc:
    """A motion in the file's numbers; bones and channels in the order of the skeleton. AMC states no frame rate."""

    # the file
    path: Path
    # its skeleton
    asf: Asf
    # one row per frame: channels of all bones, angles and the root's position in the file's unit
    motion: Float[Tensor, "frames channels"]
    # whether angles are in degrees; otherwise radians
    in_degrees: bool


def joint_positions(amc: Amc) -> Float[Tensor, "frames bones 3"]:
    """Positions of the bones' ends by forward kinematics.

    A bone's local rotation is L = C M C⁻¹, with M the product of its angles (the first listed acts first) and C its own
    axes at rest.

    Args:
        amc: The motion.

    Returns:
        Shape (frames, bones, 3), in the file's unit and axes, float64; entry 0 is the root.
    """
    asf, frames, local, column = amc.asf, len(amc.motion), [], 0
    place = torch.zeros(frames, 3, dtype=torch.float64)
    for bone, names in enumerate(asf.channels):
        values = amc.motion[:, column : column + len(names)]
        column += len(names)
        spun = [number for number, name in enumerate(names) if name[0] == "r"][::-1]
        angles = radians(values[:, spun]) if amc.in_degrees else values[:, spun]
        own = asf.axes[bone]
        local.append(own @ rotation_from_euler("".join(names[number][1] for number in spun), angles) @ own.mT)
        if bone == 0:
            place = values[:, [names.index(name) for name in ("tx", "ty", "tz")]]
    world = global_rotations(asf.parents, torch.stack(local, dim=1))
    steps = (world @ asf.offsets[..., None])[..., 0]
    steps[:, 0] = place
    return chained_positions(asf.parents, steps)


@reader("an AMC file")
def read_amc(path: Path, asf: Asf) -> Amc:
    """Read the motion of a skeleton.

    Args:
        path: The .amc file.
        asf: The skeleton of the same subject.

    Returns:
        The motion.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Frames are out of order, bones are missing in a frame or not in the skeleton, counts are wrong, or
            numbers are not finite; the message names the line.
    """
    path = Path(path)
    lines = read_text(path).splitlines()
    words = [line.split("#")[0].split() for line in lines]
    keys = {line[0].upper() for line in words if line and line[0].startswith(":")}
    in_degrees = ":RADIANS" not in keys and (":DEGREES" in keys or asf.in_degrees)
    wanted = {bone: len(names) for bone, names in zip(asf.bones, asf.channels, strict=True) if names}
    rows = [
        [number for bone in wanted for number in frame[bone]] for frame in _frames(words, wanted, path, asf)
    ]
    if not rows:
        raise InputError(f"{path} holds no frame: a frame begins with a line that is its number. {_AGAIN}")
    motion = torch.tensor(rows, dtype=torch.float64)
    return Amc(path, asf, motion, in_degrees)


def _frames(
    words: list[list[str]], wanted: dict[str, int], path: Path, asf: Asf
) -> Iterator[dict[str, list[float]]]:
    """Each frame's numbers by bone, complete."""
    frame: dict[str, list[float]] = {}
    previous: int | None = None
    for line, parts in enumerate(words, start=1):
        if not parts or parts[0].startswith((":", "#")):
            continue
        if len(parts) == 1 and parts[0].isdecimal():
            number = int(parts[0])
            if previous is not None:
                yield _complete(frame, wanted, path, previous, line)
                if number != previous + 1:
                    raise InputError(
                        f"{path}, line {line}: frame {number} follows frame {previous}; frames between were lost. "
                        f"{_AGAIN}"
                    )
            frame, previous = {}, number
        elif previous is None:
            raise InputError(
                f"{path}, line {line}: '{parts[0]}' before the number of a first frame. {_AGAIN}"
            )
        else:
            frame[parts[0]] = _bone(parts, wanted, path, line, asf)
    if previous is not None:
        yield _complete(frame, wanted, path, previous, len(words))


def _bone(parts: list[str], wanted: dict[str, int], path: Path, line: int, asf: Asf) -> list[float]:
    if parts[0] not in wanted:
        raise InputError(
            f"{path}, line {line}: '{parts[0]}' is no moving bone of {asf.path.name}. Use the .asf of the same subject."
        )
    try:
        values = [float(part) for part in parts[1:]]
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {error}. {_AGAIN}") from error
    if not all(map(math.isfinite, values)):
        raise InputError(
            f"{path}, line {line}: bone '{parts[0]}' has an angle that is NaN or infinite, from which no place "
            f"follows. Cut those frames out. {_AGAIN}"
        )
    if len(values) != wanted[parts[0]]:
        raise InputError(
            f"{path}, line {line}: bone '{parts[0]}' has {wanted[parts[0]]} numbers by {asf.path.name}, and "
            f"here are {len(values)}. The file was cut short, or the .asf is of another subject."
        )
    return values


def _complete(
    frame: dict[str, list[float]], wanted: dict[str, int], path: Path, number: int, line: int
) -> dict[str, list[float]]:
    missing = [bone for bone in wanted if bone not in frame]
    if missing:
        raise InputError(
            f"{path}, before line {line}: frame {number} lacks {len(missing)} bones: {', '.join(missing[:4])}. The "
            f"file was cut short, or the .asf is of another subject. {_AGAIN}"
        )
    return frame
