from pathlib import Path

import pytest

from coview.formats.session.files import SESSION_FILES, files_of_recording, remove_shown


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_every_kind_is_listed_once_and_says_what_it_is():
    patterns = [kind.pattern for kind in SESSION_FILES]
    assert len(set(patterns)) == len(patterns)
    assert all(kind.about for kind in SESSION_FILES)
    assert patterns[0] == "session.toml"


def test_what_goes_with_the_recording(tmp_path):
    make(
        tmp_path,
        "session.toml",
        "joints2d/a.npz",
        "joints3d.npz",
        "joints3d_person2.npz",
        "joints3d_algebraic.npz",
    )
    make(tmp_path, "models/m/run.json", "lenses.toml", "videos/a.mp4", "notes.txt", "replaced-1/session.toml")
    names = [path.name for path in files_of_recording(tmp_path, videos=False)]
    assert names == [
        "session.toml",
        "joints2d",
        "joints3d.npz",
        "joints3d_algebraic.npz",
        "joints3d_person2.npz",
    ]
    assert "videos" in [path.name for path in files_of_recording(tmp_path, videos=True)]


@pytest.mark.parametrize("stage", ["calibrate", "reconstruct"])
def test_what_shows_the_earlier_result_is_removed(tmp_path, stage):
    make(tmp_path, "report.html", "picture.png", "exports/take [1].trc", "exports/take [1]_person2.csv")
    make(tmp_path, "exports/take [1] edited.trc", "exports/mine.csv", "joints3d.npz", "models/m/run.json")
    removed = remove_shown(tmp_path, stage, "take [1]")
    assert {path.name for path in removed} == {
        "report.html",
        "picture.png",
        "take [1].trc",
        "take [1]_person2.csv",
    }
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "joints3d.npz",
        "mine.csv",
        "run.json",
        "take [1] edited.trc",
    ]


def test_nothing_there_is_nothing_removed(tmp_path):
    assert remove_shown(tmp_path, "calibrate", "take") == ()
    assert files_of_recording(tmp_path, videos=True) == ()
