"""A session appears as a whole or not at all, and nothing old is deleted."""

import errno
import os
from pathlib import Path

import pytest

from coview.capture.importing.transaction import COPIED, installing, undo_killed
from coview.errors import OccupiedError
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import COCO_17


def fill(folder: Path, text: str = "new") -> None:
    (folder / "joints2d").mkdir()
    (folder / "joints2d" / "a.npz").write_text(text)
    (folder / "session.toml").write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


NEW = {"joints2d/a.npz": "new", "session.toml": "new"}


def test_a_new_session(tmp_path):
    with installing(tmp_path / "deep" / "s", overwrite=False) as folder:
        fill(folder)
        assert not (tmp_path / "deep" / "s").exists()
    assert content(tmp_path / "deep" / "s") == NEW
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["s"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failed_import_leaves_nothing(tmp_path, failure):
    def run():
        with installing(tmp_path / "s", overwrite=False) as folder:
            fill(folder)
            raise failure

    with pytest.raises(failure):
        run()
    assert list(tmp_path.iterdir()) == []


def test_into_the_recording_itself(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("mine")
    with installing(tmp_path, overwrite=False) as folder:
        fill(folder)
    assert content(tmp_path) == NEW | {"videos/a.mp4": "mine"}


def test_what_was_there_is_moved_aside(tmp_path):
    with installing(tmp_path, overwrite=False) as folder:
        fill(folder, "old")
    (tmp_path / "calibration.toml").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with installing(tmp_path, overwrite=True) as folder:
        fill(folder)
    [aside] = [p for p in tmp_path.iterdir() if p.name.startswith("replaced-")]
    assert content(aside) == {"calibration.toml": "old", "joints2d/a.npz": "old", "session.toml": "old"}
    assert {k: v for k, v in content(tmp_path).items() if not k.startswith("replaced-")} == NEW | {
        "notes.txt": "mine"
    }


def test_nothing_of_the_old_recording_stays_but_what_outlives_it(tmp_path):
    with installing(tmp_path, overwrite=False) as folder:
        fill(folder, "old")
    old = [
        "people.npz",
        "people.csv",
        "people.toml",
        "joints3d.npz",
        "joints3d_person2.npz",
        "predictions/run/a.npz",
    ]
    old += [
        "exports/s.trc",
        "report.html",
        "picture.png",
        "board2d/a.npz",
        ".joints3d_algebraic.unfinished.npz",
    ]
    stays = ["models/mine/weights.safetensors", "lenses.toml", "videos/a.mp4", "notes.txt"]
    for name in old + stays:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    with installing(tmp_path, overwrite=True) as folder:
        fill(folder)
    now = {name: text for name, text in content(tmp_path).items() if not name.startswith("replaced-")}
    assert now == NEW | dict.fromkeys(stays, "old")
    [aside] = [p for p in tmp_path.iterdir() if p.name.startswith("replaced-")]
    assert content(aside) == dict.fromkeys([*old, *NEW], "old")


def test_copies_of_videos_go_with_their_recording(tmp_path):
    def filled(folder: Path, text: str) -> None:
        camera = SessionCamera("a", None, tmp_path / "s" / "videos" / "a.mp4", 1)
        Session(tmp_path / "s", "s", 25.0, COCO_17, (camera,), {"videos": COPIED}).save(folder)
        (folder / "videos").mkdir()
        (folder / "videos" / "a.mp4").write_text(text)

    with installing(tmp_path / "s", overwrite=False) as folder:
        filled(folder, "old")
    (tmp_path / "s" / "videos" / "b.mp4").write_text("old")
    with installing(tmp_path / "s", overwrite=True) as folder:
        filled(folder, "new")
    assert [p.name for p in (tmp_path / "s" / "videos").iterdir()] == ["a.mp4"]
    assert (tmp_path / "s" / "videos" / "a.mp4").read_text() == "new"


def test_a_failure_half_way_is_undone(tmp_path, monkeypatch):
    with installing(tmp_path, overwrite=False) as folder:
        fill(folder, "old")
    before = content(tmp_path)
    real = Path.rename

    def fails_at_the_end(self, target):
        if Path(target) == tmp_path / "session.toml" and ".importing-" in str(self):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", fails_at_the_end)

    def run():
        with installing(tmp_path, overwrite=True) as folder:
            fill(folder)

    with pytest.raises(OSError, match=r"no space left on the disk .*Nothing was lost"):
        run()
    assert content(tmp_path) == before


def test_strangers_are_not_touched(tmp_path):
    (tmp_path / "joints2d").mkdir()

    def run():
        with installing(tmp_path, overwrite=False) as folder:
            fill(folder)

    with pytest.raises(
        FileExistsError, match="is no session, but holds joints2d, which an import would replace"
    ):
        run()
    assert [p.name for p in tmp_path.iterdir()] == ["joints2d"]
    with installing(tmp_path, overwrite=True) as folder:
        fill(folder)
    assert (tmp_path / "session.toml").exists()


def killed_while_moving(tmp_path, monkeypatch, moves: int) -> Path:
    """A session whose import was killed after some moves: neither undone nor cleaned up."""
    with installing(tmp_path / "s", overwrite=False) as folder:
        fill(folder, "old")

    def killed(*_):
        os._exit(0)

    process = os.fork()
    if process == 0:
        rename, done = Path.rename, []

        def counted(self, target):
            if len(done) == moves:
                killed()
            done.append(rename(self, target))

        monkeypatch.setattr(Path, "rename", counted)
        with installing(tmp_path / "s", overwrite=True) as folder:
            fill(folder)
    os.waitpid(process, 0)
    return tmp_path / "s"


@pytest.mark.parametrize("moves", range(4))
def test_what_a_killed_import_moved_goes_back(tmp_path, monkeypatch, moves):
    session = killed_while_moving(tmp_path, monkeypatch, moves)
    assert len(list(session.glob(".s.importing-*"))) == 1
    undo_killed(session)
    assert content(session) == {"joints2d/a.npz": "old", "session.toml": "old"}
    assert sorted(path.name for path in session.iterdir()) == ["joints2d", "session.toml"]


def test_a_living_import_is_left_alone(tmp_path):
    with installing(tmp_path / "s", overwrite=False) as folder:
        fill(folder)
        undo_killed(tmp_path / "s")
        assert content(folder) == NEW
    assert content(tmp_path / "s") == NEW


def test_of_two_imports_of_a_new_session_the_second_says_so(tmp_path):
    def both():
        with installing(tmp_path / "s", overwrite=False) as second:
            with installing(tmp_path / "s", overwrite=False) as first:
                fill(first)
            fill(second, "second")

    with pytest.raises(OccupiedError, match=r"another command made .* meanwhile"):
        both()
    assert content(tmp_path / "s") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
