"""BVH, the text file of animation programs: a hierarchy of joints with offsets, then a row of channels per frame."""

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError, UnknownNameError
from coview.formats.io.damage import reader
from coview.formats.io.text import read_text
from coview.formats.motion.forward_kinematics import (
    chained_positions,
    global_rotations,
    radians,
    rotation_from_euler,
)

_CHANNELS = tuple(f"{axis}{kind}" for kind in ("position", "rotation") for axis in "XYZ")
_AGAIN = "Export or download the file again."


@dataclass(frozen=True)
class Bvh:
    """Skeleton and motion of a BVH file, in its own unit of length (BVH states none) and axes; angles in degrees.

    An end site is a joint of its own without channels, named after its parent: `Head_end`.
    """

    # the file
    path: Path
    # names, parents before children
    joints: tuple[str, ...]
    # index of the parent; -1: the root, which is joint 0
    parents: tuple[int, ...]
    # from the parent, in the parent's axes
    offsets: Float[Tensor, "joints 3"]
    # names of each joint's channels, such as Xrotation, in the order of the numbers
    channels: tuple[tuple[str, ...], ...]
    # one row per frame: channels of all joints; degrees, and the file's unit of length
    motion: Float[Tensor, "frames channels"]
    # frames per second
    fps: float

    def index(self, joint: str) -> int:
        """Index of a joint.

        Args:
            joint: Its name.

        Returns:
            The index.

        Raises:
            LookupError: There is no such joint; the message lists the joints.
        """
        if joint not in self.joints:
            raise UnknownNameError(f"{self.path} has no joint '{joint}'. It has: {', '.join(self.joints)}.")
        return self.joints.index(joint)

    def with_offset(self, joint: str, from_parent: Float[Tensor, "3"]) -> "Bvh":
        """The same motion on a skeleton in which one joint has another offset from its parent.

        Args:
            joint: Name of the joint.
            from_parent: Shape (3,), in the parent's axes and the file's unit.

        Returns:
            The changed motion.
        """
        offsets = self.offsets.clone()
        offsets[self.index(joint)] = from_parent
        return replace(self, offsets=offsets)


def joint_positions(bvh: Bvh) -> Float[Tensor, "frames joints 3"]:
    """Positions of all joints and end sites by forward kinematics.

    Rotation channels multiply in the order in which they are listed. Position channels of the root are added to its
    offset; those of any other joint replace its offset, as programs write them.

    Args:
        bvh: Skeleton and motion.

    Returns:
        Shape (frames, joints, 3), in the file's unit and axes, float64.
    """
    frames, steps, local, column = len(bvh.motion), [], [], 0
    for joint, names in enumerate(bvh.channels):
        values = bvh.motion[:, column : column + len(names)]
        column += len(names)
        spun = [number for number, name in enumerate(names) if name.endswith("rotation")]
        local.append(
            rotation_from_euler("".join(names[number][0] for number in spun), radians(values[:, spun]))
        )
        step = bvh.offsets[joint].expand(frames, 3).clone()
        for number, name in enumerate(names):
            if name.endswith("position"):
                axis = "XYZ".index(name[0])
                step[:, axis] = values[:, number] + (bvh.offsets[0, axis] if joint == 0 else 0.0)
        steps.append(step)
    world = global_rotations(bvh.parents, torch.stack(local, dim=1))
    above = [world[:, parent] if parent >= 0 else None for parent in bvh.parents]
    moved = [
        step if rotation is None else (rotation @ step[..., None])[..., 0]
        for rotation, step in zip(above, steps, strict=True)
    ]
    return chained_positions(bvh.parents, torch.stack(moved, dim=1))


@reader("a BVH file")
def read_bvh(path: Path) -> Bvh:
    """Read a BVH file.

    Args:
        path: The file.

    Returns:
        Skeleton and motion.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is malformed, cut short or holds several people; the message names the line.
    """
    path = Path(path)
    lines = read_text(path).splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() == "MOTION"), None)
    if start is None or not any(line.strip() == "HIERARCHY" for line in lines[:start]):
        raise InputError(
            f"{path} is not a whole BVH file: it should have the lines HIERARCHY and MOTION. {_AGAIN}"
        )
    tree = _Tree(path)
    for number, line in enumerate(lines[:start], start=1):
        tree.take([] if line.strip() == "HIERARCHY" else line.split(), number)
    tree.check(start + 1)
    motion, fps = _motion(path, lines, start, sum(map(len, tree.channels)))
    offsets = torch.tensor(tree.offsets, dtype=torch.float64)
    return Bvh(
        path, tuple(tree.joints), tuple(tree.parents), offsets, tuple(map(tuple, tree.channels)), motion, fps
    )


@dataclass
class _Tree:
    """The hierarchy while it is read, a line at a time."""

    path: Path
    joints: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[list[str]] = field(default_factory=list)
    open: list[int] = field(default_factory=list)

    def take(self, words: list[str], line: int) -> None:
        words = words[:-1] if words[-1:] == ["{"] else words
        if not words:
            return
        key, rest = words[0], words[1:]
        if key in ("ROOT", "JOINT", "End"):
            self._begin(key, " ".join(rest), line)
        elif not self.open:
            raise InputError(f"{self.path}, line {line}: '{' '.join(words)}' belongs to no joint. {_AGAIN}")
        elif key == "OFFSET":
            self.offsets[self.open[-1]] = _numbers(rest, 3, "an OFFSET", self.path, line)
        elif key == "CHANNELS":
            self.channels[self.open[-1]] = self._channels(rest, line)
        elif key == "}":
            if not self.offsets[self.open[-1]]:
                raise InputError(
                    f"{self.path}, line {line}: joint '{self.joints[self.open[-1]]}' has no OFFSET, so its place "
                    f"is unknown. {_AGAIN}"
                )
            self.open.pop()
        else:
            raise InputError(
                f"{self.path}, line {line}: '{key}' is no word of BVH's hierarchy (ROOT, JOINT, End Site, OFFSET, "
                f"CHANNELS)."
            )

    def _begin(self, key: str, name: str, line: int) -> None:
        if (key == "ROOT") != (not self.joints) or (key != "ROOT" and not self.open):
            raise InputError(
                f"{self.path}, line {line}: {key} '{name}' here: a file of one person has one ROOT, and every "
                f"joint is inside it. Split files of several people."
            )
        parent = self.open[-1] if self.open else -1
        name = f"{self.joints[parent]}_end" if key == "End" else name
        if name in self.joints or not name:
            raise InputError(f"{self.path}, line {line}: two joints are called '{name}'. Rename one.")
        self.open.append(len(self.joints))
        self.joints.append(name)
        self.parents.append(parent)
        self.offsets.append([])
        self.channels.append([])

    def _channels(self, words: list[str], line: int) -> list[str]:
        names = words[1:]
        if not words or words[0] != str(len(names)) or not set(names) <= set(_CHANNELS):
            raise InputError(
                f"{self.path}, line {line}: CHANNELS should be a count and as many of {', '.join(_CHANNELS)}; "
                f"found '{' '.join(words)}'. {_AGAIN}"
            )
        return names

    def check(self, line: int) -> None:
        if self.open or not self.joints:
            raise InputError(
                f"{self.path}, line {line}: MOTION begins, and {len(self.open)} joints are still open. {_AGAIN}"
            )


def _motion(
    path: Path, lines: list[str], start: int, channels: int
) -> tuple[Float[Tensor, "frames channels"], float]:
    head = [line.partition(":") for line in lines[start + 1 : start + 3]]
    if [key.strip() for key, _, _ in head] != ["Frames", "Frame Time"]:
        raise InputError(
            f"{path}, line {start + 2}: after MOTION come 'Frames: n' and 'Frame Time: seconds'. {_AGAIN}"
        )
    promised = _numbers([head[0][2].strip()], 1, "the count of frames", path, start + 2)[0]
    seconds = _numbers([head[1][2].strip()], 1, "the Frame Time", path, start + 3)[0]
    if seconds <= 0:
        raise InputError(f"{path}, line {start + 3}: a Frame Time of {seconds:g} s is impossible; mend it.")
    rows = [
        _numbers(line.split(), channels, "a frame", path, number)
        for number, line in enumerate(lines[start + 3 :], start=start + 4)
        if line.strip()
    ]
    if len(rows) != promised or not rows:
        raise InputError(
            f"{path}, line {start + 2}: {promised:g} frames are promised and {len(rows)} are there. The file was "
            f"cut short or edited: download it again, or correct the count if the rest is whole."
        )
    return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), channels), 1 / seconds


def _numbers(words: list[str], count: int, what: str, path: Path, line: int) -> list[float]:
    """Exactly `count` finite numbers, or ValueError."""
    if len(words) != count:
        raise InputError(
            f"{path}, line {line}: {what} has {count} numbers by the hierarchy, and here are {len(words)}. "
            f"A file that was cut short ends so. {_AGAIN}"
        )
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {what} holds a word that is no number: {error}.") from error
    if not all(map(math.isfinite, values)):
        raise InputError(
            f"{path}, line {line}: {what} holds NaN or infinity, from which no place follows. Cut those frames "
            f"out, or fill them in the program that made the file."
        )
    return values
