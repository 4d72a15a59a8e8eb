"""Reading text, TOML, JSON and XML of unknown origin: every error names the file and the line."""

import json
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from coview.errors import InputError, MissingFileError
from coview.formats.io.damage import reading


def read_text(path: Path) -> str:
    """Read a UTF-8 (or ASCII) file as text.

    Args:
        path: The file; a byte order mark is dropped.

    Returns:
        Its text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not UTF-8; the message names the line.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path}" + (": that is a folder." if path.is_dir() else "."))
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: byte {error.object[error.start]:#04x} is not UTF-8 text. "
            f"Save the file as UTF-8; if it is a binary file, it is not what was expected here."
        ) from error


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.

    Returns:
        Its table.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not valid TOML; the message names the line.
    """
    text = read_text(path)
    with reading(path, "TOML"):
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(
                f"{path} is not valid TOML: {error}. Mend that line, or export the file again."
            ) from error


def read_json(path: Path) -> Any:
    """Read a JSON file; NaN is allowed, as many tools write it.

    Args:
        path: The file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not valid JSON; the message names line and column.
    """
    text = read_text(path)
    with reading(path, "JSON"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            hint = "The file is empty" if not text.strip() else error.msg
            raise InputError(
                f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {hint}. "
                f"A file cut short by an interrupted program looks like this; make it again."
            ) from error


def read_xml(path: Path) -> ElementTree.Element:
    """Read an XML file; document types and entities are refused, because they can be used for attacks.

    Args:
        path: The file.

    Returns:
        The root element.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not valid XML, or declares entities.
    """
    text = read_text(path)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InputError(
            f"{path}: declares a document type or entities, which a calibration never needs and "
            f"which can be used for harm. Remove the <!DOCTYPE …> lines if you know who made the file."
        )
    try:
        return ElementTree.fromstring(text.encode("utf-8"))
    except ElementTree.ParseError as error:
        line, column = error.position
        raise InputError(f"{path}, line {line}, column {column + 1}: not valid XML: {error}.") from error
