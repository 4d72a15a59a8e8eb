"""Nothing in a file from others is ever run."""

import os
import pickle
import re
import sys
import tracemalloc
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from coview.errors import InputError
from coview.formats.io import untrusted
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


# --- sizes that a file claims ----------------------------------------------------------------------


def small_memory(read, path, most=256 << 20):
    """The error of a reader, which must not have taken memory."""
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=re.escape(path.name)) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
    return str(caught.value)


BOMBS = {
    "bytes": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"abc.",
    "bytearray": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"abc.",
    "array": b"cnumpy\nndarray\n((I10000000000\nttR.",
    "dtype": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'V9000000000'\nI0\nI1\ntRNtR.",
    "keys": b"}(I1\nI1\n\x86" + b"2\x86" * 60 + b"I1\nu.",  # pairs of pairs: 2**60 to hash
    "build": b"c_codecs\nencode\n}b.",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_pickle_takes_no_more_memory_than_it_has_bytes(tmp_path, bomb):
    path = tmp_path / "bomb.pickle"
    path.write_bytes(BOMBS[bomb])
    small_memory(read_pickle, path)


@pytest.mark.parametrize("far", [b"\x80\x02]r\x00\x00\x00\x20.", b"(lp999999999\n."])
def test_a_far_place_in_the_memo_costs_nothing(tmp_path, far):
    """The list is put into place 2**29 or 10**9 of the memo, for which the unpickler in C takes 8 bytes a place."""
    (tmp_path / "far.pickle").write_bytes(far)
    tracemalloc.start()
    assert read_pickle(tmp_path / "far.pickle") == []
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_an_array_of_objects_is_as_long_as_its_list(tmp_path):
    path = tmp_path / "bomb.pickle"
    whole = pickle.dumps(np.array([None, 1], dtype=object), protocol=2)
    shape = pickle.dumps((2,), protocol=2)[2:-1].split(b"q")[0]
    assert shape in whole
    path.write_bytes(whole.replace(shape, b"J\xff\xff\xff\x7f\x85", 1))
    assert "has another number of bytes" in small_memory(read_pickle, path)


def test_byte_order_and_tables_survive_and_numpy_stays_as_it_is(tmp_path):
    table = np.array([(1, 2.5, "ab")], dtype=[("a", ">i2"), ("b", "<f8"), ("c", "U2")])
    content = {"t": table, "big": np.arange(3, dtype=">f8"), "text": np.array(["left", "right"]), "o": None}
    for protocol in (2, 4, 5):
        (tmp_path / "a.pickle").write_bytes(pickle.dumps(content, protocol=protocol))
        found = read_pickle(tmp_path / "a.pickle")
        np.testing.assert_equal(found, content)
        trusted = pickle.loads((tmp_path / "a.pickle").read_bytes())
        assert [found[key].dtype for key in ("t", "big", "text")] == [
            trusted[key].dtype for key in ("t", "big", "text")
        ]
    assert np.dtype("f8").isnative


def test_an_npz_whose_shape_is_not_that_of_its_bytes_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", joints=np.zeros((4, 3)))
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        stored = zipfile.ZipFile(tmp_path / "a.npz").read("joints.npy")
        archive.writestr("joints.npy", stored.replace(b"(4, 3), }      ", b"(400000, 3), } "))
    assert "array 'joints'" in small_memory(read_npz, tmp_path / "b.npz")


def test_zeros_packed_a_thousandfold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(untrusted, "_MOST_UNPACKED", 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", joints=np.zeros(1 << 20))
    assert "made to fill the memory" in small_memory(read_npz, tmp_path / "a.npz", 4 << 20)
    np.savez_compressed(tmp_path / "b.npz", joints=np.random.default_rng(0).normal(size=1 << 18))
    assert len(read_npz(tmp_path / "b.npz")["joints"]) == 1 << 18


def test_members_without_magic_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("joints", b"hello")
    assert "array 'joints'" in small_memory(read_npz, tmp_path / "a.npz")
