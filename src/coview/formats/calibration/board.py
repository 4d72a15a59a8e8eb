"""Calibration boards (ChArUco, checkerboard) from a short text, from our TOML, or from Caliscope's."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.formats.io.damage import reading
from coview.formats.io.text import read_toml

Kind = Literal["charuco", "checkerboard"]
# range of a square's side in metres: others are millimetres or inches taken for metres
_SIDES = (0.002, 1.0)
_SYNTAX = (
    "Write charuco:COLUMNSxROWS:SQUARE:MARKER:DICTIONARY (e.g. charuco:7x5:0.04:0.03:DICT_4X4_50), "
    "checkerboard:COLUMNSxROWS:SQUARE (e.g. checkerboard:8x5:0.06), or name a TOML file. Columns and rows "
    "count SQUARES, not inner corners; lengths are metres, measured on the print; `:legacy` (pattern of "
    "OpenCV before 4.6) and `:inverted` (white markers on black) may follow."
)


@dataclass(frozen=True)
class Board:
    """A flat calibration board of squares.

    Its frame: origin at the outer corner of the first square, x along the columns, y along the rows, z away from
    whoever looks at the print; metres. ValueError for a board that cannot be printed or detected.
    """

    # pattern: squares with ArUco markers, or squares alone
    kind: Kind
    # number of squares along x
    columns: int
    # number of squares along y
    rows: int
    # side of a square, metres
    square: float
    # side of a marker, metres; ChArUco only
    marker: float | None = None
    # OpenCV's name of the markers' dictionary; ChArUco only
    dictionary: str | None = None
    # whether a ChArUco board has the pattern of OpenCV before 4.6: another first square if rows are even
    legacy: bool = False
    # whether it is printed white on black
    inverted: bool = False

    def __post_init__(self) -> None:
        if self.columns < 3 or self.rows < 3:
            raise InputError(
                f"a board of {self.columns}×{self.rows} squares has too few inner corners; 3×3 is the least. {_SYNTAX}"
            )
        if not _SIDES[0] <= self.square <= _SIDES[1]:
            raise InputError(
                f"squares of {self.square:g} m are no calibration board ({_SIDES[0]:g} to {_SIDES[1]:g} m). {_SYNTAX}"
            )
        if (self.kind == "charuco") != (self.marker is not None and self.dictionary is not None):
            raise InputError(
                f"a ChArUco board has markers of a dictionary, a checkerboard has none. {_SYNTAX}"
            )
        if self.marker is not None and not 0.2 * self.square < self.marker < self.square:
            raise InputError(
                f"markers of {self.marker:g} m do not fit into squares of {self.square:g} m: they are a little "
                f"smaller. Measure both on the print. {_SYNTAX}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of inner corners along the columns (x) and along the rows (y)."""
        return self.columns - 1, self.rows - 1

    @property
    def corners(self) -> Float[Tensor, "corners 3"]:
        """Positions of the inner corners in the board's frame, row by row; metres, float64."""
        across, down = self.shape
        y, x = torch.meshgrid(
            torch.arange(1, down + 1).double(), torch.arange(1, across + 1).double(), indexing="ij"
        )
        return self.square * torch.stack([x, y, torch.zeros_like(x)], dim=-1).flatten(0, 1)

    @property
    def is_symmetric(self) -> bool:
        """Whether a rotation by 180° (if square: 90°) maps the pattern onto itself, so that corners are ambiguous."""
        return self.kind == "checkerboard" and (self.columns + self.rows) % 2 == 0

    def __str__(self) -> str:
        """The board in words, so that a person sees a wrong count."""
        across, down = self.shape
        words = (
            f"{self.kind}, {self.columns}×{self.rows} squares ({across}×{down} inner corners) of "
            f"{1000 * self.square:g} mm"
        )
        if self.marker is not None:
            words += f", markers of {1000 * self.marker:g} mm from {self.dictionary}"
        return words + (", legacy pattern" if self.legacy else "") + (", inverted" if self.inverted else "")


def read_board(description: str) -> Board:
    """Read a board from a short text or a TOML file.

    Args:
        description: `charuco:7x5:0.04:0.03:DICT_4X4_50` or `checkerboard:8x5:0.06` (columns × rows of squares, lengths
            in metres; `:legacy` and `:inverted` may follow), or the path of a .toml: ours (`kind`, `columns`, `rows`,
            `square`, `marker`, `dictionary`, `legacy`, `inverted`) or Caliscope's charuco.toml or config.toml.

    Returns:
        The board.

    Raises:
        ValueError: The text or the file is no board; the message gives the syntax.
        FileNotFoundError: There is no such file.
    """
    if description.casefold().endswith(".toml"):
        with reading(description, "a calibration board"):
            return _from_table(read_toml(Path(description)), Path(description))
    kind, _, rest = description.partition(":")
    parts = rest.split(":")
    flags = {part.casefold() for part in parts if part.casefold() in ("legacy", "inverted")}
    parts = [part for part in parts if part.casefold() not in flags]
    count = re.fullmatch(r"(\d+)[x×](\d+)", parts[0].casefold())
    if kind not in get_args(Kind) or count is None or len(parts) != (4 if kind == "charuco" else 2):
        raise InputError(f"no board can be read from '{description}'. {_SYNTAX}")
    try:
        lengths = [float(part) for part in parts[1:3]]
    except ValueError as error:
        raise InputError(f"no board can be read from '{description}': {error}. {_SYNTAX}") from error
    return Board(
        "charuco" if kind == "charuco" else "checkerboard",
        int(count[1]),
        int(count[2]),
        lengths[0],
        lengths[1] if kind == "charuco" else None,
        dictionary_name(parts[3]) if kind == "charuco" else None,
        "legacy" in flags,
        "inverted" in flags,
    )


def dictionary_name(name: str) -> str:
    """OpenCV's name of an ArUco dictionary that may be written 4x4_50 or dict_4x4_50.

    Args:
        name: In any case, with or without the prefix.

    Returns:
        For example DICT_4X4_50. Whether OpenCV has it is not checked.
    """
    upper = name.strip().upper()
    return upper if upper.startswith("DICT_") else f"DICT_{upper}"


def _from_table(table: dict[str, Any], path: Path) -> Board:
    if isinstance(table.get("charuco"), dict):
        # an older Caliscope's config.toml
        table = table["charuco"]
    if "aruco_scale" in table:
        return _caliscope(table, path)
    keys = ("kind", "columns", "rows", "square", "marker", "dictionary", "legacy", "inverted")
    strange = sorted(table.keys() - set(keys))
    try:
        if strange:
            raise InputError(f"unknown: {', '.join(strange)}")
        if table.get("dictionary") is not None:
            table = {**table, "dictionary": dictionary_name(table["dictionary"])}
        numbers = {key: table[key] for key in ("columns", "rows", "square", "marker") if key in table}
        for key, value in numbers.items():
            if type(value) is not int and (type(value) is not float or key in ("columns", "rows")):
                raise InputError(f"{key} = {value!r} should be a number, without quotation marks")
        return Board(**table)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}. A board's TOML has the keys {', '.join(keys)}.") from error


def _caliscope(table: dict[str, Any], path: Path) -> Board:
    """Lengths in centimetres; the marker's as a share of the square's."""
    measured = table.get("square_size_override_cm")
    if measured is None or measured == "null":
        raise InputError(
            f"{path}: square_size_override_cm is missing, so nobody measured the printed squares and the world "
            f"would have the size of a guess. Measure one, and add square_size_override_cm = ..."
        )
    try:
        square = float(measured) / 100
        return Board(
            "charuco",
            int(table["columns"]),
            int(table["rows"]),
            square,
            square * float(table["aruco_scale"]),
            dictionary_name(str(table["dictionary"])),
            table.get("legacy_pattern") is True,
            table.get("inverted") is True,
        )
    except KeyError as error:
        raise InputError(f"{path}: the board's {error} is missing; Caliscope writes it.") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: the board cannot be read: {error}") from error
