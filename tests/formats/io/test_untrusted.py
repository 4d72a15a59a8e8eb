"""Nothing in a file from others is ever run."""

import os
import pickle
import sys
from collections import OrderedDict

import numpy as np
import pytest

from coview.formats.io.untrusted import read_npz, read_object_npy, read_pickle


class Harmful:
    """Unpickling this creates a folder: the harmless stand-in for any program."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


def test_a_malicious_npz_is_refused_and_not_run(tmp_path):
    path, harm = tmp_path / "bad.npz", tmp_path / "harm"
    np.savez(path, joints=np.array([Harmful(harm)], dtype=object))
    with pytest.raises(
        ValueError, match=r"bad.npz is not an npz file of plain arrays: array 'joints'.*refused"
    ):
        read_npz(path)
    assert not harm.exists()


def test_a_pickle_named_npz_is_refused_and_not_run(tmp_path):
    path, harm = tmp_path / "bad.npz", tmp_path / "harm"
    path.write_bytes(pickle.dumps(Harmful(harm)))
    with pytest.raises(ValueError, match=r"bad.npz is not an npz file of plain arrays"):
        read_npz(path)
    assert not harm.exists()


def test_a_malicious_pickle_is_refused_and_not_run(tmp_path):
    path, harm = tmp_path / "bad.pickle", tmp_path / "harm"
    path.write_bytes(pickle.dumps({"K": np.eye(3), "x": Harmful(harm)}))
    with pytest.raises(
        ValueError,
        match=r"bad.pickle was not opened: it asks for 'posix.mkdir'"
        if sys.platform != "win32"
        else "asks for",
    ):
        read_pickle(path)
    assert not harm.exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_arrays_are_read(tmp_path, protocol):
    path = tmp_path / "good.pickle"
    content = {
        "K": np.eye(3),
        "n": [np.float64(2.5), np.arange(4, dtype=np.int16)],
        "name": "cam",
        "t": (1, None),
    }
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickle(path)
    np.testing.assert_equal(found, content)


@pytest.mark.parametrize("content", [OrderedDict(a=1), {"f": print}, {"c": Harmful}])
def test_whatever_is_no_array_is_refused(tmp_path, content):
    path = tmp_path / "odd.pickle"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="only numpy arrays are allowed"):
        read_pickle(path)


@pytest.mark.parametrize("junk", [b"", b"\x80\x05", b"hello", b"\x80\x05}q\x00(X"])
def test_damaged_files_are_named(tmp_path, junk):
    for name, read in (("a.pickle", read_pickle), ("a.npz", read_npz)):
        (tmp_path / name).write_bytes(junk)
        with pytest.raises(ValueError, match=name):
            read(tmp_path / name)


def test_a_truncated_npz_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.zeros((100, 3)))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"b.npz"):
        read_npz(tmp_path / "b.npz")


def test_a_single_array_is_no_npz(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(ValueError, match="a single array"):
        read_npz(tmp_path / "a.npy")


def test_missing_files(tmp_path):
    for read in (read_npz, read_pickle):
        with pytest.raises(FileNotFoundError, match="no file"):
            read(tmp_path / "nothing")


def saved(path, content):
    np.save(path, np.array(content, dtype=object))
    return path


def test_a_saved_dict_comes_back_with_its_structured_arrays(tmp_path):
    rows = np.array([(1, [2.0, 3.0])], dtype=[("number", "i2"), ("place", "f4", (2,))])
    content = read_object_npy(saved(tmp_path / "some.npy", {"rows": rows, "names": ["a"]}))
    assert content["names"] == ["a"]
    assert content["rows"].dtype == rows.dtype
    assert content["rows"]["place"].tolist() == [[2, 3]]


def test_a_saved_list_of_objects_is_an_array(tmp_path):
    assert read_object_npy(saved(tmp_path / "some.npy", [{"a": 1}, {"b": 2}])).tolist() == [
        {"a": 1},
        {"b": 2},
    ]


def test_a_malicious_npy_is_refused_and_not_run(tmp_path):
    harm = tmp_path / "harm"
    with pytest.raises(
        ValueError, match=r"bad\.npy was not opened: it asks for .*only numpy arrays are allowed"
    ):
        read_object_npy(saved(tmp_path / "bad.npy", {"x": Harmful(harm)}))
    assert not harm.exists()


def test_an_npy_that_is_none_or_holds_numbers_is_named(tmp_path):
    (tmp_path / "text.npy").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.npy was not opened"):
        read_object_npy(tmp_path / "text.npy")
    cut = saved(tmp_path / "cut.npy", {"a": np.eye(3)})
    cut.write_bytes(cut.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"cut\.npy was not opened"):
        read_object_npy(cut)
    np.save(tmp_path / "numbers.npy", np.eye(3))
    with pytest.raises(ValueError, match="it holds an array of float64, not objects; read it with numpy"):
        read_object_npy(tmp_path / "numbers.npy")
    with pytest.raises(FileNotFoundError, match=r"no file .*absent\.npy"):
        read_object_npy(tmp_path / "absent.npy")
