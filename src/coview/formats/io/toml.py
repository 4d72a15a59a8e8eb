"""Writing TOML for people to read: tables, arrays of tables, numbers in full precision. `tomllib` reads it."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def dump_toml(table: Mapping[str, Any]) -> str:
    """The TOML text of nested mappings; `tomllib.loads` gives the same table back.

    Args:
        table: Mappings, lists, strings, numbers and booleans; None is left out.

    Returns:
        The text.

    Raises:
        TypeError: For any other value.
    """
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain values first, then the tables: TOML would otherwise file them under the last table."""
    given = {key: value for key, value in table.items() if value is not None}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in given.items() if not _is_tabular(value)]
    for key, value in given.items():
        here = (*path, key)
        title = ".".join(_key(part) for part in here)
        if isinstance(value, Mapping):
            lines += ["", f"[{title}]", *_lines(value, here)]
        elif _is_tabular(value):
            for row in value:
                lines += ["", f"[[{title}]]", *_lines(row, here)]
    return lines


def _is_tabular(value: Any) -> bool:
    rows = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    return isinstance(value, Mapping) or (rows and all(isinstance(row, Mapping) for row in value))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(_value(item) for item in value)}]"
    raise TypeError(f"dump_toml: {type(value).__name__} ({value!r}) has no TOML form; convert it first.")


def _float(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _string(text: str) -> str:
    escaped = "".join(
        _ESCAPES.get(letter) or (f"\\u{ord(letter):04x}" if _is_control(letter) else letter)
        for letter in text
    )
    return f'"{escaped}"'


def _is_control(letter: str) -> bool:
    return ord(letter) < 32 or ord(letter) == 127


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)
