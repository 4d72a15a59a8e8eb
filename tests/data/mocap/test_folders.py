"""Folders that must be left alone, and what is said where a folder cannot be used."""

import json

import pytest

from coview.data.mocap.folders import check_apart, check_writable, finished, make_room, not_used


def test_the_source_is_no_place_for_the_result(tmp_path):
    with pytest.raises(
        ValueError, match=r"is the source folder itself\. .*another folder.*coview data check cmu_mocap"
    ):
        check_apart(tmp_path, tmp_path / "a" / "..")
    with pytest.raises(
        ValueError, match=r"lies in the source folder .*Give a folder outside of it with --out"
    ):
        check_apart(tmp_path, tmp_path / "a")
    check_apart(tmp_path / "a", tmp_path / "ab")
    check_apart(tmp_path / "a", tmp_path)


def test_what_a_copy_does_not_use_is_said(tmp_path):
    assert not_used(tmp_path, None, None) == ()
    (tmp_path / "02_01.AMC").touch()
    settings, raw = not_used(tmp_path, "cm", 30.0)
    assert settings.endswith("copied as it is: --unit and --fps not used.")
    assert "1 raw takes in it are not used, e.g. " in raw


@pytest.mark.parametrize("name", ["cmu_val.npz", "cmu_mine.npz", "meta.json"])
def test_files_of_others_are_left_alone(tmp_path, name):
    (tmp_path / name).write_text("[]")
    for use in (finished, lambda out: make_room(out, allowed=False)):
        with pytest.raises(
            ValueError, match=rf"{name} is in the way.*another folder with --out.*--overwrite"
        ):
            use(tmp_path)
    assert (tmp_path / name).read_text() == "[]"


def test_an_interrupted_preparation_is_ours_and_a_damaged_one_is_not_replaced(tmp_path):
    (tmp_path / ".parts").mkdir()
    (tmp_path / "cmu_train.npz").touch()
    assert finished(tmp_path) == {}
    (tmp_path / "meta.json").write_text(json.dumps({"joints": [], "clips": [{"id": "a"}]}))
    with pytest.raises(ValueError, match=r"cmu_train\.npz is damaged or missing\. Pass --overwrite"):
        finished(tmp_path)


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    check_writable(tmp_path / "a" / "b", given=True)
    assert list(tmp_path.iterdir()) == [], "nothing stays"
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/a, as --out says, cannot be written to: .*: --out FOLDER\.$"):
        check_writable(tmp_path / "file" / "a", given=True)
    monkeypatch.setenv("COVIEW_DATA", "/proc/a")
    with pytest.raises(OSError, match=r"because COVIEW_DATA is '/proc/a', cannot .*, or COVIEW_DATA\.$"):
        check_writable(tmp_path / "file" / "cmu_mocap", given=False)
