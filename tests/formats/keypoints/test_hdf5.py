"""SLEAP's analysis files and DeepLabCut's tables. The layouts are those that pandas 3.0 and PyTables 3.11 wrote."""

import pickle
import sys

import numpy as np
import pytest

from coview.errors import MissingPackageError
from coview.formats.keypoints.files import read_keypoint_file

h5py = pytest.importorskip("h5py")
COLUMNS = [
    ("DLC_resnet50", joint, axis) for joint in ("nose", "LeftEye") for axis in ("x", "y", "likelihood")
]
VALUES = np.arange(1.0, 19.0).reshape(3, 6)


def sleap(path, tracks, names=(b"nose", b"ankle_l"), **more):
    with h5py.File(path, "w") as file:
        file["tracks"], file["node_names"] = tracks, list(names)
        for key, value in more.items():
            file[key] = value
    return path


def appendable(path, columns=COLUMNS, heads=None, values=VALUES):
    rows = np.zeros(len(values), dtype=[("index", "<i8"), ("values_block_0", "<f8", (values.shape[1],))])
    rows["index"], rows["values_block_0"] = np.arange(4, 4 + len(values)), values
    with h5py.File(path, "w") as file:
        table = file.create_dataset("df_with_missing/table", data=rows)
        table.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(columns, 0) if heads is None else heads)
    return path


def fixed(path):
    with h5py.File(path, "w") as file:
        group = file.create_group("df_with_missing")
        group.attrs["block0_items_nlevels"] = 3
        for level in range(3):
            words = list(dict.fromkeys(column[level] for column in COLUMNS))
            group[f"block0_items_level{level}"] = np.array(words, dtype="S")
            codes = np.array([words.index(column[level]) for column in COLUMNS], dtype=np.int8)
            group[f"block0_items_label{level}"] = codes
        group["block0_values"], group["axis1"] = VALUES, np.arange(4, 7)
    return path


def test_sleap(tmp_path):
    tracks = np.arange(2 * 2 * 2 * 3, dtype=float).reshape(2, 2, 2, 3) + 1
    tracks[1, :, :, 0] = np.nan
    scores = np.full((2, 2, 3), 0.5)
    view = read_keypoint_file(sleap(tmp_path / "cam1.analysis.h5", tracks, point_scores=scores))
    assert (tuple(view.points.shape), view.joint_names) == ((3, 2, 2, 3), ("nose", "ankle_l"))
    assert view.points[2, 1, 1].tolist() == [tracks[1, 0, 1, 2], tracks[1, 1, 1, 2], 0.5]
    assert view.points[0, 1].isnan().all(), "a track without joints is nobody"


@pytest.mark.parametrize("write", [appendable, fixed])
def test_deeplabcut(tmp_path, write):
    view = read_keypoint_file(write(tmp_path / "cam1DLC.h5"))
    assert (view.first, view.joint_names) == (4, ("nose", "LeftEye"))
    assert np.array_equal(view.points[:, 0].flatten(1).numpy(), VALUES)


def test_nothing_in_a_table_is_executed(tmp_path):
    class Harm:
        def __reduce__(self):
            return print, ("executed",)

    path = appendable(tmp_path / "a.h5", heads=pickle.dumps([Harm()], 0))
    with pytest.raises(ValueError, match=r"a.h5 holds no 2D joints .* ask for '__builtin__.print'"):
        read_keypoint_file(path)


def test_damage_is_named(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=r"a.h5 holds no 2D joints that coview understands"):
        read_keypoint_file(path)
    path = sleap(tmp_path / "b.h5", np.zeros((3, 2, 5, 2)))
    with pytest.raises(ValueError, match=r"`tracks` has shape \(3, 2, 5, 2\); expected \(tracks, 2, 2 nodes"):
        read_keypoint_file(path)
    for heads in (b"", b"junk", pickle.dumps({"a": 1}, 0)):
        with pytest.raises(ValueError, match="names of its columns"):
            read_keypoint_file(appendable(tmp_path / "c.h5", heads=heads))
    with pytest.raises(ValueError, match="does not fit its 5 columns"):
        read_keypoint_file(appendable(tmp_path / "d.h5", columns=COLUMNS[:5]))
    with h5py.File(tmp_path / "e.h5", "w") as file:
        file["features"] = np.zeros(3)
    with pytest.raises(ValueError, match="it holds features"):
        read_keypoint_file(tmp_path / "e.h5")


def test_a_shape_that_is_only_claimed_takes_no_memory(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["node_names"] = [b"nose"]
        file.create_dataset("tracks", shape=(10**6, 2, 1, 10**6), dtype="f8", chunks=(1, 2, 1, 1000))
    with pytest.raises(ValueError, match="too large for a recording"):
        read_keypoint_file(tmp_path / "a.h5")


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    path = appendable(tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'coview\[tables\]'"):
        read_keypoint_file(path)
