"""YAML as cv2.FileStorage writes and reads it: `%YAML:1.0` and matrices tagged `!!opencv-matrix`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from coview.errors import InputError
from coview.formats.io.text import read_text


class _Texts(yaml.BaseLoader):
    """Every scalar as text, so that a camera named 01 stays 01; matrices as arrays."""


def _matrix(loader: yaml.BaseLoader, node: yaml.Node) -> np.ndarray:
    return _array(loader.construct_mapping(node, deep=True))


_Texts.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)


def _array(table: Mapping[str, Any]) -> np.ndarray:
    values = np.array([float(value) for value in table["data"]])
    return values.reshape(int(table["rows"]), int(table["cols"]))


def read_opencv_yaml(path: Path) -> dict[str, Any]:
    """Read the top-level mapping of an OpenCV YAML file.

    Args:
        path: The file.

    Returns:
        Matrices as float64 arrays, with OpenCV's tag or without it (`rows`, `cols`, `data`, as ROS writes them); all
        other scalars as text.

    Raises:
        ValueError: The file is damaged; the message names file and line.
    """
    lines = read_text(path).splitlines()
    if lines and lines[0].startswith("%YAML"):
        # OpenCV writes "%YAML:1.0", which is not YAML's grammar; an empty line keeps the line numbers
        lines[0] = ""
    try:
        found = yaml.load("\n".join(lines), Loader=_Texts)
    except yaml.YAMLError as error:
        raise InputError(
            f"{path} is not valid YAML: {_where(error)}. Mend that line, or export the file again."
        ) from error
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: a matrix is damaged ({error}): it needs `rows`, `cols` and rows × cols numbers in `data`."
        ) from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no names with values, so it is no calibration.")
    return {str(key): _untagged(value, str(key), path) for key, value in found.items()}


def _untagged(value: Any, key: str, path: Path) -> Any:
    if not isinstance(value, dict) or not {"rows", "cols", "data"} <= value.keys():
        return value
    try:
        return _array(value)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: matrix `{key}` is damaged: {error}. It needs rows × cols numbers in `data`."
        ) from error


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}, {getattr(error, 'problem', '')}" if mark else str(error)


def dump_opencv_yaml(table: Mapping[str, Any]) -> str:
    """The YAML text that `cv2.FileStorage` reads.

    Args:
        table: Arrays of two axes (written as matrices), lists of text, whole numbers, text.

    Returns:
        The text.
    """
    return "%YAML:1.0\n---\n" + "".join(_entry(key, value) for key, value in table.items())


def _entry(key: str, value: Any) -> str:
    if isinstance(value, np.ndarray):
        rows, columns = value.shape
        data = ", ".join(repr(float(number)) for number in value.ravel())
        return f"{key}: !!opencv-matrix\n   rows: {rows}\n   cols: {columns}\n   dt: d\n   data: [ {data} ]\n"
    if isinstance(value, str):
        return f"{key}: {_quoted(value)}\n"
    if isinstance(value, Sequence):
        return f"{key}:\n" + "".join(f"   - {_quoted(str(item))}\n" for item in value)
    return f"{key}: {value}\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
