"""Reading npz, npy and pickle files of unknown origin: nothing inside is run, and no claim of it is believed.

A few bytes can claim terabytes: in the shape of an array, in the index of a pickle's memo, as zeros that are packed a
thousandfold. Sizes are compared with the bytes that are there before any memory is taken.
"""

import io
import math
import mmap
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from coview.errors import InputError, MissingFileError
from coview.formats.io.damage import in_words, reader

# Numbers pack tenfold at best, empty frames up to a thousandfold: both are allowed, but not into more than this.
_MOST_UNPACKED = 1 << 30
_MOST_PACKED = 100
# bytes of one element: a row of a table of labels has some thousands
_MOST_ELEMENT = 1 << 20
# versions of numpy's format
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,
}


@reader("an npz file of plain arrays")
def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file; nothing in it is executed.

    Args:
        path: The file.

    Returns:
        Arrays by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no npz file, an array holds pickled objects, or it would take far more memory than the file is
            long; the message names the array.
    """
    if not path.is_file():
        raise MissingFileError(f"no file {path}.")
    try:
        # numpy leaves the file open where it is damaged
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                single = stream.seek(0) == 0 and stream.read(6) == np.lib.format.MAGIC_PREFIX
                raise InputError(
                    "it holds a single array" if single else "it is no zip archive, or was cut short"
                )
            with zipfile.ZipFile(stream) as archive:
                check_unpacked(archive, path)
                return {
                    entry.filename.removesuffix(".npy"): _member(archive, entry)
                    for entry in archive.infolist()
                }
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise InputError(
            f"{path} is not an npz file of plain arrays: {in_words(error)}. Files with pickled objects are refused, "
            f"because opening them can run any program; save plain numbers and text instead."
        ) from error


def check_unpacked(archive: zipfile.ZipFile, path: Path) -> None:
    """Check that a zip archive does not unpack into more memory than its size can mean.

    Args:
        archive: The archive.
        path: Its file.

    Raises:
        InputError: It does; the message names both sizes.
    """
    packed, unpacked = path.stat().st_size, sum(entry.file_size for entry in archive.infolist())
    if unpacked > max(_MOST_UNPACKED, _MOST_PACKED * packed):
        raise InputError(
            f"{path} has {packed} bytes and would unpack to {unpacked}. No recording is packed so tightly: such a file "
            f"is made to fill the memory. Export it again, or ask whoever made it."
        )


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array; its shape must be that of the bytes that are there."""
    name = entry.filename.removesuffix(".npy")
    try:
        content = archive.read(entry)
        stream = io.BytesIO(content)
        shape, kind = _header(stream)
        if kind.hasobject:
            raise InputError("it holds pickled objects")
        here = len(content) - stream.tell()
        if math.prod(shape) * kind.itemsize != here:
            raise InputError(
                f"an array of shape {shape} of {kind} has {here} bytes, and another number is needed"
            )
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:
        raise InputError(f"array '{name}': {in_words(error)}") from error


def _header(stream: io.BufferedIOBase) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and kind of the array whose bytes follow."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise InputError(f"version {version} of numpy's format is unknown")
    shape, _, kind = _HEADERS[version](stream)
    if any(length < 0 for length in shape):
        raise InputError(f"its shape is {shape}")
    return shape, kind


@reader("a pickle of arrays")
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
    return _unpickled(path, 0)


@reader("an npy file of objects")
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
    with path.open("rb") as stream:
        try:
            shape, kind = _header(stream)
            if not kind.hasobject:
                raise InputError(f"it holds an array of {kind}, not objects; read it with numpy")
        except ValueError as error:
            raise InputError(f"{path} was not opened: {in_words(error)}.") from error
        content = _unpickled(path, stream.tell())
        return content if shape else content.item()


def _unpickled(path: Path, start: int) -> Any:
    """The object whose pickle begins at a byte of a file. Mapped, a file gives no more bytes than it has."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            mapped.seek(start)
            return _OnlyArrays(mapped, encoding="latin1").load()
    except Exception as error:
        raise InputError(f"{path} was not opened: {in_words(error)}.") from error


# --- pickles ---------------------------------------------------------------------------------------


class _Kind:
    """A pickled dtype while it is read: numpy's own would be changed in place by what the file says of it."""

    def __init__(self, description: Any, align: Any = False, copy: Any = False) -> None:
        self.dtype = _sound(np.dtype(description))

    def describe(self, state: Any) -> None:
        """Byte order, or the fields of a table."""
        _, order, sub, names, fields, size, *_ = state
        if names is not None:
            kinds, places = [fields[name][0].dtype for name in names], [fields[name][1] for name in names]
            self.dtype = np.dtype(
                {"names": list(names), "formats": kinds, "offsets": places, "itemsize": size}
            )
        elif sub is not None:
            self.dtype = np.dtype((sub[0].dtype, sub[1]))
        elif isinstance(size, int) and size > 0 and self.dtype.kind in "SUV":
            self.dtype = np.dtype(f"{self.dtype.kind}{size // (4 if self.dtype.kind == 'U' else 1)}")
        _sound(self.dtype)
        if order in ("<", ">", "="):
            self.dtype = self.dtype.newbyteorder(order)


def _sound(kind: np.dtype[Any]) -> np.dtype[Any]:
    if kind.itemsize > _MOST_ELEMENT:
        raise InputError(f"elements of {kind.itemsize} bytes are no numbers")
    return kind


def _empty(of: Any, shape: tuple[int, ...], kind: Any) -> np.ndarray:
    """What numpy pickles before an array's content: always empty."""
    if of is not _NDARRAY or tuple(shape) != (0,):
        raise InputError(f"an array of shape {shape!r:.80} without content")
    return np.ndarray((0,), "b")


def _filled(array: np.ndarray, state: Any) -> None:
    """The content of an array, which must be as long as its shape says."""
    version, shape, kind, fortran, content = state
    dtype, content = kind.dtype, _raw(content)
    if not isinstance(content, list if dtype.hasobject else bytes):
        raise InputError(f"the content of an array of {dtype} is a {type(content).__name__}")
    if len(content) != math.prod(shape) * (1 if dtype.hasobject else dtype.itemsize):
        raise InputError(f"an array of shape {shape!r:.80} of {dtype} has another number of bytes")
    array.__setstate__((version, shape, dtype, fortran, content))


def _scalar(kind: _Kind, content: Any) -> Any:
    content = _raw(content)
    if not isinstance(content, bytes) or kind.dtype.hasobject or len(content) != kind.dtype.itemsize:
        raise InputError(f"a number of kind {kind.dtype} without its bytes")
    return np.frombuffer(content, kind.dtype)[0]


def _frombuffer(content: Any, kind: _Kind, shape: Any, order: Any) -> np.ndarray:
    return np.frombuffer(content, kind.dtype).reshape(shape, order=order).copy(order=order)


def _raw(content: Any) -> Any:
    """Bytes, which Python 2 wrote as text."""
    return content.encode("latin1") if isinstance(content, str) else content


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise InputError(f"it encodes text as '{encoding}', which numpy never does")
    return text.encode("latin1")


# stands for the class of arrays, which is only ever named and never called
_NDARRAY = object()
# All that pickled numpy arrays need, under the module names of numpy 1 and 2.
_PARTS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Kind,
    # how Python 3 writes bytes for Python 2
    ("_codecs", "encode"): _latin1,
} | {
    (f"numpy.{core}.{module}", name): made
    for core in ("core", "_core")
    for module, name, made in (
        ("multiarray", "_reconstruct", _empty),
        ("multiarray", "scalar", _scalar),
        ("numeric", "_frombuffer", _frombuffer),
    )
}
# Instructions that plain content does not need: they make sets and classes.
_REFUSED = tuple(
    getattr(pickle, name)[0]
    for name in (
        *("EMPTY_SET", "ADDITEMS", "FROZENSET"),
        *("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4"),
    )
)


class _OnlyArrays(pickle._Unpickler):
    """An unpickler that knows numpy arrays and nothing else that could be called.

    Python's own, not the one in C: that takes memory for the largest index in the file's memo.
    """

    stack: list[Any]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PARTS:
            raise InputError(
                f"it asks for '{module}.{name}', and only numpy arrays are allowed, because a pickle can "
                f"run any program. Convert it to npz on a machine where that does no harm"
            )
        return _PARTS[module, name]

    def _build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if isinstance(made, _Kind):
            made.describe(state)
        elif isinstance(made, np.ndarray):
            _filled(made, state)
        else:
            raise InputError(f"it sets the state of a {type(made).__name__}")

    def _one_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][_plain(key)] = value

    def _items(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.stack[-1].update(zip(map(_plain, items[::2]), items[1::2], strict=True))

    def _dict(self) -> None:
        items = self.pop_mark()  # type: ignore[attr-defined]
        self.stack.append(dict(zip(map(_plain, items[::2]), items[1::2], strict=True)))

    def _bytearray(self) -> None:
        length = struct.unpack("<Q", self.read(8))[0]  # type: ignore[attr-defined]
        self.stack.append(bytearray(self.read(length)))  # type: ignore[attr-defined]

    def _refused(self) -> None:
        raise InputError("it holds more than dicts, lists, numbers, text and arrays")

    dispatch: ClassVar[Any] = {
        **pickle._Unpickler.dispatch,
        **dict.fromkeys(_REFUSED, _refused),
        pickle.BUILD[0]: _build,
        pickle.SETITEM[0]: _one_item,
        pickle.SETITEMS[0]: _items,
        pickle.DICT[0]: _dict,
        pickle.BYTEARRAY8[0]: _bytearray,
    }


def _plain(key: Any) -> Any:
    """A key of a dict: pairs of pairs of one pair take for ever to hash."""
    parts = key if isinstance(key, tuple) else (key,)
    if not all(isinstance(part, str | bytes | int | float | np.generic | None) for part in parts):
        raise InputError(f"a {type(key).__name__} of such parts as a key")
    return key
