"""ASF, Acclaim's skeleton file: bones with direction, length, own axes and degrees of freedom."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError, UnknownNameError
from coview.formats.io.damage import reader
from coview.formats.io.text import read_text
from coview.formats.motion.forward_kinematics import rotation_from_euler

ROOT_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")
_AGAIN = "Download the file again, or choose the .asf that belongs to the .amc."


@dataclass(frozen=True)
class Asf:
    """A skeleton; lengths in the file's unit. A bone is known by its name, and its *end* is the joint of interest.

    Entry 0 is `root`, of length 0. Limits of the angles are not kept: no position depends on them.
    """

    # the file
    path: Path
    # names, parents before children
    bones: tuple[str, ...]
    # index of the parent; -1: root
    parents: tuple[int, ...]
    # from a bone's start to its end, world axes at rest, the file's unit
    offsets: Float[Tensor, "bones 3"]
    # own axes of a bone in the world at rest
    axes: Float[Tensor, "bones 3 3"]
    # tx … rz in the order of the numbers in the .amc
    channels: tuple[tuple[str, ...], ...]
    # `length` of :units; CMU's 0.45 means numbers are inches × 0.45
    length_unit: float
    # whether angles are in degrees; otherwise radians
    in_degrees: bool

    @property
    def metres_per_unit(self) -> float:
        """Metres per unit of length; by Acclaim's rule a number divided by `length` of :units is in inches."""
        return 0.0254 / self.length_unit

    def index(self, bone: str) -> int:
        """Index of a bone.

        Args:
            bone: Its name.

        Returns:
            The index.

        Raises:
            LookupError: There is no such bone; the message lists the bones.
        """
        if bone not in self.bones:
            raise UnknownNameError(f"{self.path} has no bone '{bone}'. It has: {', '.join(self.bones)}.")
        return self.bones.index(bone)


@dataclass(frozen=True)
class _Bone:
    vector: list[float]
    axis: list[float]
    axis_order: str
    channels: tuple[str, ...]


@reader("an ASF file")
def read_asf(path: Path) -> Asf:
    """Read an ASF file.

    Args:
        path: The file.

    Returns:
        The skeleton.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is malformed; the message names the line.
    """
    path = Path(path)
    sections = _sections(path)
    units = {words[0].lower(): words[1:] for _, words in sections["units"]}
    in_degrees = (units.get("angle") or ["deg"])[0].lower().startswith("deg")
    length = _floats(units.get("length") or ["1"], 1, "length of :units", path, 0)[0]
    if length <= 0:
        raise InputError(f"{path}: `length {length:g}` of :units must be positive. {_AGAIN}")
    bones = {"root": _root(sections["root"], path)} | dict(_bones(sections["bonedata"], path))
    parents = _parents(sections["hierarchy"], bones, path)
    names = tuple(parents)
    axes = torch.tensor([bones[name].axis for name in names], dtype=torch.float64)
    axes = axes * (math.pi / 180) if in_degrees else axes
    return Asf(
        path,
        names,
        tuple(-1 if parents[name] is None else names.index(str(parents[name])) for name in names),
        torch.tensor([bones[name].vector for name in names], dtype=torch.float64),
        torch.stack(
            [_written(bones[name].axis_order, angles) for name, angles in zip(names, axes, strict=True)]
        ),
        tuple(bones[name].channels for name in names),
        length,
        in_degrees,
    )


def _written(order: str, angles: Float[Tensor, "turns"]) -> Float[Tensor, "3 3"]:
    """Acclaim writes the turn that acts first first: XYZ is Rz Ry Rx."""
    return rotation_from_euler(order[::-1], angles.flip(-1))


def _sections(path: Path) -> dict[str, list[tuple[int, list[str]]]]:
    """Lines of each `:keyword` section, numbered and split; comments dropped."""
    found: dict[str, list[tuple[int, list[str]]]] = {"units": []}
    current: list[tuple[int, list[str]]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            current = found.setdefault(words[0][1:].lower(), [])
        elif words:
            current.append((number, words))
    missing = sorted({"root", "bonedata", "hierarchy"} - set(found))
    if missing:
        raise InputError(f"{path} is not a whole ASF file: no section :{', :'.join(missing)}. {_AGAIN}")
    return found


def _root(lines: list[tuple[int, list[str]]], path: Path) -> _Bone:
    given = {words[0].lower(): (number, words[1:]) for number, words in lines}
    number, order = given.get("order", (0, []))
    channels = tuple(word.lower() for word in order)
    if sorted(channels) != sorted(ROOT_CHANNELS):
        raise InputError(
            f"{path}, line {number}: the root's order is '{' '.join(order)}'; it should list TX TY TZ RX RY RZ "
            f"in some order, because the .amc has its six numbers so. {_AGAIN}"
        )
    number, angles = given.get("orientation", (0, ["0", "0", "0"]))
    axis = (given.get("axis", (0, ["XYZ"]))[1] or ["XYZ"])[0].upper()
    return _Bone([0.0] * 3, _floats(angles, 3, "orientation", path, number), _order(axis, path, 0), channels)


def _bones(lines: list[tuple[int, list[str]]], path: Path) -> Iterator[tuple[str, _Bone]]:
    block: dict[str, tuple[int, list[str]]] = {}
    for number, words in lines:
        if words[0] == "begin":
            block = {}
        elif words[0] == "end":
            yield _bone(block, path, number)
        else:
            block[words[0].lower()] = (number, words[1:])


def _bone(block: dict[str, tuple[int, list[str]]], path: Path, line: int) -> tuple[str, _Bone]:
    missing = sorted({"name", "direction", "length", "axis"} - set(block))
    if missing:
        raise InputError(
            f"{path}, line {line}: the bone that ends here has no {', '.join(missing)}. {_AGAIN}"
        )
    direction = _floats(block["direction"][1], 3, "direction", path, block["direction"][0])
    length = _floats(block["length"][1], 1, "length", path, block["length"][0])[0]
    norm = math.hypot(*direction)
    if norm == 0 and length > 0:
        raise InputError(f"{path}, line {block['direction'][0]}: a direction of zero length. {_AGAIN}")
    number, axis = block["axis"]
    channels = tuple(word.lower() for word in block.get("dof", (0, []))[1])
    if not set(channels) <= {"rx", "ry", "rz"}:
        raise InputError(
            f"{path}, line {block['dof'][0]}: degrees of freedom '{' '.join(channels)}'; only rx, ry, rz are "
            f"understood: bones of people do not stretch."
        )
    vector = [part / (norm or 1.0) * length for part in direction]
    order = _order(axis[3] if len(axis) > 3 else "XYZ", path, number)
    return " ".join(block["name"][1]), _Bone(
        vector, _floats(axis[:3], 3, "axis", path, number), order, channels
    )


def _parents(
    lines: list[tuple[int, list[str]]], bones: dict[str, _Bone], path: Path
) -> dict[str, str | None]:
    """Parent of each bone, parents first."""
    found: dict[str, str | None] = {"root": None}
    for number, words in lines:
        if words[0] in ("begin", "end"):
            continue
        unknown = [word for word in words if word not in bones]
        if unknown or words[0] not in found or any(word in found for word in words[1:]):
            raise InputError(
                f"{path}, line {number}: '{' '.join(words)}': every bone must be in :bonedata, come after its "
                f"parent and have one parent{f'; unknown: {unknown}' if unknown else ''}. {_AGAIN}"
            )
        found |= dict.fromkeys(words[1:], words[0])
    return found


def _order(order: str, path: Path, line: int) -> str:
    if sorted(order.upper()) != ["X", "Y", "Z"]:
        raise InputError(
            f"{path}, line {line}: order of axes '{order}'; it should be XYZ in some order. {_AGAIN}"
        )
    return order.upper()


def _floats(words: list[str], count: int, what: str, path: Path, line: int) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError as error:
        raise InputError(f"{path}, line {line}: {what}: {error}. {_AGAIN}") from error
    if len(values) != count or not all(map(math.isfinite, values)):
        raise InputError(
            f"{path}, line {line}: {what} should be {count} finite numbers, found '{' '.join(words)}'. {_AGAIN}"
        )
    return values
