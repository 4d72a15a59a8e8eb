"""Reading npz, npy and pickle files of unknown origin without running code that may be inside."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError, MissingFileError

# All that pickled numpy arrays need, under the module names of numpy 1 and 2.
_ARRAY_PARTS = frozenset(
    (f"numpy{module}", name)
    for module, names in {
        "": ("ndarray", "dtype"),
        ".core.multiarray": ("_reconstruct", "scalar"),
        "._core.multiarray": ("_reconstruct", "scalar"),
        ".core.numeric": ("_frombuffer",),
        "._core.numeric": ("_frombuffer",),
    }.items()
    for name in names
)

# What a damaged or hostile pickle makes the reader raise.
_BROKEN = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file; nothing in it is executed.

    Args:
        path: The file.

    Returns:
        Arrays by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no npz file, or an array holds pickled objects; the message names the array.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path}.")
    try:
        # numpy leaves the file open where it is damaged
        with path.open("rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError("it holds a single array, not an npz archive")
            return {name: _array(file, name) for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise InputError(
            f"{path} is not an npz file of plain arrays: {error}. Files with pickled objects are refused, "
            f"because opening them can run any program; save plain numbers and text instead."
        ) from error


def _array(file: Any, name: str) -> np.ndarray:
    try:
        return file[name]
    except ValueError as error:
        raise InputError(f"array '{name}': {error}") from error


def read_pickle(path: Path) -> Any:
    """Read a pickle of dicts, lists, numbers, text and numpy arrays; nothing else is allowed.

    Args:
        path: The file. Python 2 pickles are read as Latin-1, as numpy needs.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged or asks for anything else; the message says for what.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path}.")
    try:
        return _OnlyArrays(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except _BROKEN as error:
        raise InputError(f"{path} was not opened: {error}.") from error


def read_object_npy(path: Path) -> Any:
    """Read the object (such as a dict) that `np.save` wrote, with the restrictions of `read_pickle`.

    Args:
        path: The .npy file.

    Returns:
        The object; an array where it has a shape.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, holds plain numbers, or asks for anything that is not allowed.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path}.")
    try:
        with path.open("rb") as stream:
            old = np.lib.format.read_magic(stream) == (1, 0)
            header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
            shape, _, kind = header(stream)
            if not kind.hasobject:
                raise InputError(f"it holds an array of {kind}, not objects; read it with numpy")
            content = _OnlyArrays(stream, encoding="latin1").load()
            return content if shape else content.item()
    except _BROKEN as error:
        raise InputError(f"{path} was not opened: {error}.") from error


class _OnlyArrays(pickle.Unpickler):
    """An unpickler that knows numpy arrays and nothing else that could be called."""

    def find_class(self, module: str, name: str) -> Any:
        # how Python 3 writes bytes for Python 2
        if (module, name) == ("_codecs", "encode"):
            return _latin1
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(
                f"it asks for '{module}.{name}', and only numpy arrays are allowed, because a pickle can "
                f"run any program. Convert it to npz on a machine where that does no harm"
            )
        return super().find_class(module, name)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as '{encoding}', which numpy never does")
    return text.encode("latin1")
