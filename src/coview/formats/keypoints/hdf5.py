"""SLEAP's analysis files and DeepLabCut's tables, both HDF5; read with h5py alone, which the extra `tables` brings."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from coview.errors import InputError, MissingPackageError
from coview.formats.keypoints.deeplabcut import Table, view_of_table
from coview.formats.keypoints.frames import view_of_frames
from coview.formats.keypoints.view_joints import ViewJoints, single_precision

# pandas' name of DeepLabCut's table
_TABLE = "df_with_missing"
# bytes of a table's pickled heads beyond which it is no list of columns
_LONGEST = 1 << 20
# numbers in one file beyond which it is no recording: 10 hours of 4 people at 60 frames/s
_MOST = 1_000_000_000


def read_hdf5(path: Path) -> ViewJoints:
    """The joints of one camera in an HDF5 file of SLEAP's or DeepLabCut's.

    SLEAP's `*.analysis.h5` holds `tracks` of shape (tracks, 2, nodes, frames). DeepLabCut's holds a pandas table; the
    names of its columns are pickled, and are read without running anything that may be inside.

    Args:
        path: The file.

    Returns:
        The joints; each track or individual is a person.

    Raises:
        MissingPackageError: h5py is not installed.
        InputError: It is neither, or damaged.
    """
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{path}: SLEAP's and DeepLabCut's .h5 files are read with h5py, which is not installed. Install it with "
            f"`pip install 'coview[tables]'`, or export csv files (DeepLabCut: save_as_csv=True)."
        ) from error
    try:
        with h5py.File(path, "r") as file:
            if "tracks" in file and "node_names" in file:
                return _sleap(file, path)
            if _TABLE in file:
                return view_of_table(_table(file[_TABLE]), path)
            raise InputError(f"it holds {', '.join(file) or 'nothing'}")
    # what h5py raises where a file is damaged, and what a table of another layout leads to
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(
            f"{path} holds no 2D joints that coview understands: {error}. Expected is SLEAP's analysis file (with "
            f"`tracks` and `node_names`) or DeepLabCut's table (`{_TABLE}`)."
        ) from error


def _sleap(file: Any, path: Path) -> ViewJoints:
    names = tuple(_text(name) for name in _array(file["node_names"]))
    tracks = _array(file["tracks"])
    if tracks.ndim != 4 or tracks.shape[1:3] != (2, len(names)):
        raise InputError(
            f"`tracks` has shape {tracks.shape}; expected (tracks, 2, {len(names)} nodes, frames)"
        )
    points = single_precision(tracks.transpose(3, 0, 2, 1))
    scores = np.ones(points.shape[:3], np.float32)
    if "point_scores" in file:
        found = _array(file["point_scores"]).transpose(2, 0, 1)
        # labels made by hand have a place and no score
        scores = np.where(np.isfinite(found) & (found > 0), found, 1.0).astype(np.float32)
    both = np.concatenate([points, scores[..., None]], axis=-1)
    numbered = {
        number: [one for one in frame if np.isfinite(one[:, :2]).all(axis=1).any()]
        for number, frame in enumerate(both)
    }
    return view_of_frames(numbered, str(path), joint_names=names)


def _table(group: Any) -> Table:
    columns, values, index = _appendable(group) if "table" in group else _fixed(group)
    if (
        values.ndim != 2
        or len(columns) != values.shape[1]
        or not {len(column) for column in columns} <= {3, 4}
    ):
        raise InputError(f"its table of shape {values.shape} does not fit its {len(columns)} columns")
    people = tuple(column[1] if len(column) == 4 else "" for column in columns)
    whole = index is not None and index.dtype.kind in "iu" and len(set(index.tolist())) == len(values)
    numbers = tuple(index.tolist()) if index is not None and whole else tuple(range(len(values)))
    return Table(
        people,
        tuple(column[-2] for column in columns),
        tuple(column[-1].casefold() for column in columns),
        single_precision(values),
        numbers,
    )


def _appendable(group: Any) -> tuple[list[tuple[str, ...]], np.ndarray, np.ndarray | None]:
    """Columns, values and index of a table as pandas writes it with `format="table"`, which DeepLabCut does."""
    rows = _array(group["table"])
    kinds = rows.dtype.names or ()
    if [name for name in kinds if name.startswith("values_block")] != ["values_block_0"]:
        raise InputError(f"its table has the columns {', '.join(kinds)}; expected one block of numbers")
    columns = _plain_pickle(group["table"].attrs["values_block_0_kind"])
    if not isinstance(columns, list) or not all(isinstance(column, tuple) for column in columns):
        raise InputError("the names of its columns are no list")
    index = rows["index"] if "index" in kinds else None
    return [tuple(str(word) for word in column) for column in columns], rows["values_block_0"], index


def _fixed(group: Any) -> tuple[list[tuple[str, ...]], np.ndarray, np.ndarray | None]:
    """Columns, values and index of a table as pandas writes it by default."""
    levels = int(group.attrs["block0_items_nlevels"])
    if not 3 <= levels <= 4:
        raise InputError(
            f"its columns have {levels} heads; expected scorer, [individuals,] bodyparts, coords"
        )
    heads = []
    for level in range(levels):
        words = [_text(word) for word in _array(group[f"block0_items_level{level}"])]
        heads.append([words[code] for code in _array(group[f"block0_items_label{level}"])])
    index = _array(group["axis1"]) if "axis1" in group else None
    return list(zip(*heads, strict=True)), _array(group["block0_values"]), index


def _array(dataset: Any) -> np.ndarray:
    """A dataset's content, unless its shape alone is absurd: a few bytes may claim any."""
    if np.prod([float(side) for side in dataset.shape]) > _MOST:
        raise InputError(f"`{dataset.name}` claims the shape {dataset.shape}, too large for a recording")
    return np.asarray(dataset[()])


class _NothingNamed(pickle.Unpickler):
    """Lists, tuples, numbers and text; anything that would have to be imported is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise InputError(f"the names of its columns ask for '{module}.{name}', which is not opened")


def _plain_pickle(data: Any) -> Any:
    content = bytes(data)
    if len(content) > _LONGEST:
        raise InputError("the names of its columns are too long")
    try:
        return _NothingNamed(io.BytesIO(content)).load()
    except (pickle.UnpicklingError, EOFError, OverflowError, MemoryError) as error:
        raise InputError(f"the names of its columns are damaged: {error}") from error


def _text(word: Any) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
