"""A failed write leaves the old file and no litter; a full disk says that nothing was lost."""

import errno
import os

import pytest

from coview.formats.io.atomic import replacing, write_bytes, write_text


def test_writes_and_replaces(tmp_path):
    path = tmp_path / "new folder" / "a.txt"
    write_text(path, "first\n")
    write_text(path, "é second\n")
    assert path.read_bytes() == "é second\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path, failure):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_keeps_the_ending(tmp_path):
    with replacing(tmp_path / "a.npz") as temporary:
        assert temporary.suffix == ".npz"
        assert temporary.parent == tmp_path
        temporary.touch()


@pytest.mark.parametrize("existed", [True, False])
def test_a_full_disk_says_that_nothing_was_lost(tmp_path, monkeypatch, existed):
    path = tmp_path / "a.bin"
    if existed:
        path.write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left on the disk while writing") as caught:
        write_bytes(path, b"new")
    assert caught.value.errno == errno.ENOSPC
    assert "Nothing was lost" in str(caught.value)
    assert ("the earlier a.bin is untouched" in str(caught.value)) == existed
    assert [p.read_bytes() for p in tmp_path.iterdir()] == ([b"old"] if existed else [])


def test_other_errors_of_the_system_stay_what_they_are(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "file" / "a.txt", "")


def test_what_cannot_be_written_is_said_in_words(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(
        OSError, match=r"file/a.txt cannot be written: a file stands where its folder should be"
    ):
        write_text(tmp_path / "file" / "a.txt", "")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(
        IsADirectoryError, match=r"folder.toml cannot be written: a folder of that name is there"
    ):
        write_text(tmp_path / "folder.toml", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.toml"]
    assert (tmp_path / "file").read_text() == "old"
