"""A command that is killed at any moment: the same command again gives the same bytes, and leaves nothing behind.

At every event of the file system (a file opened for writing or flushed, a rename, a removal, a folder made) the folder
is copied as it is: that is what `kill -9` at this moment would leave, since whatever is still in the program's memory
is not in it. From each of these states the command is run again; at one moment of some stages a process is killed.

COVIEW_EVERY_EVENT=1 looks at every event; otherwise at some of each stage, spread over its run.
"""

import errno
import json
import os
import re
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from coview.cli.ending import message
from coview.cli.main import _run
from coview.data.synthetic.crowd import generated_crowd
from coview.data.synthetic.recordings import SyntheticConfig
from coview.errors import CoviewError
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.io import leftovers
from coview.methods.canonpose import CanonPoseConfig
from coview.training.recipe import Recipe
from coview.training.run import train

EVERY = bool(os.environ.get("COVIEW_EVERY_EVENT"))
# states from which a slow stage is run again, where not all are; others: 4
STATES = {"calibrate people": 2, "report": 3}
NAMES = ("a", "b", "c")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# what differs from run to run by design: when it was made
_DATES = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+\d\d:\d\d)?")
_ASIDE = re.compile(r"replaced-\d+T\d+-[0-9a-f]+")


class Watch:
    """Calls `seen` before every change of the file system below a folder, from Python's audit events."""

    def __init__(self):
        self.root, self.seen = None, None
        sys.addaudithook(self._heard)

    def _heard(self, event, arguments):
        if self.seen is None or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        if event == "open" and not (arguments[2] or 0) & _WRITES:
            return
        if isinstance(arguments[0], str | bytes | os.PathLike):
            self.change(event, arguments[0])

    def change(self, event, path):
        path = os.path.abspath(os.fsdecode(path))
        if self.seen is not None and path.startswith(self.root):
            seen, self.seen = self.seen, None
            try:
                seen(event, path)
            finally:
                self.seen = seen

    @contextmanager
    def below(self, root, seen, monkeypatch):
        flush = os.fsync

        def fsync(descriptor):
            self.change("fsync", os.readlink(f"/proc/self/fd/{descriptor}"))
            flush(descriptor)

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            self.root, self.seen = str(root), seen
            try:
                yield
            finally:
                self.seen = None


WATCH = Watch()


def tree(folder):
    """Every file and folder by its name, without dates."""
    return {
        _ASIDE.sub("replaced", str(path.relative_to(folder))): (
            None if path.is_dir() else _DATES.sub(b"DATE", path.read_bytes())
        )
        for path in sorted(folder.rglob("*"))
    }


def copy_of(folder):
    return {
        str(p.relative_to(folder)): None if p.is_dir() else p.read_bytes() for p in sorted(folder.rglob("*"))
    }


def restore(folder, state):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in state.items():
        (folder / name).mkdir() if content is None else (folder / name).write_bytes(content)
    leftovers._seen.clear()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """2D joints of two people in three cameras, and the cameras; a model that reads them."""
    folder = tmp_path_factory.mktemp("recording")
    for people in (1, 2):
        crowd = generated_crowd(people, 3, 30 * people, seed=1)
        (folder / f"take{people}").mkdir()
        for name, points in zip(NAMES, crowd.detections.points.nan_to_num(0.0), strict=True):
            frames = [{"people": [person.tolist() for person in frame]} for frame in points]
            content = {"fps": 25.0, "size": [1000, 1000], "skeleton": "h36m_17", "frames": frames}
            (folder / f"take{people}" / f"{name}.json").write_text(json.dumps(content))
    write_calibration(Calibration(NAMES, crowd.cameras.to(torch.float64)), folder / "cameras.toml")
    data = SyntheticConfig(instants=8, validation_instants=4, subjects=1)
    method = CanonPoseConfig(width=4, projection="perspective")
    train(Recipe(method=method, data=data, steps=2, batch_size=4, device="cpu"), folder / "run")
    return folder


def stages(recording, session):
    """What each command is, and the one before it."""
    quick = [f"--fit-{what}=fixed" for what in ("focal", "clock", "distortion")]
    quick += ["--intrinsics", str(recording / "cameras.toml"), "--stature", "1.7"]
    return {
        "import": (["import", str(recording / "take2"), str(session)], None),
        "import again": (["import", str(recording / "take1"), str(session), "--overwrite"], "report"),
        "import one": (["import", str(recording / "take1"), str(session)], None),
        "associate": (["associate", str(session)], "calibrate file"),
        "calibrate people": (["calibrate", "people", str(session), *quick], "import one"),
        "calibrate file": (["calibrate", "file", str(session), str(recording / "cameras.toml")], "import"),
        "reconstruct": (["reconstruct", str(session)], "calibrate file"),
        "export": (["export", str(session)], "reconstruct"),
        "predict": (["predict", str(recording / "run"), str(session)], "reconstruct"),
        "report": (["report", str(session)], "export"),
    }


STAGES = tuple(stage for stage in stages(Path("/"), Path("/")) if stage != "import one")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def states(recording, home):
    """Content of the folder around the session before each stage, made as it is asked for."""
    done = {None: {}}

    def before(stage):
        _, earlier = stages(recording, home / "s")[stage]
        if earlier not in done:
            restore(home, before(earlier))
            _run(stages(recording, home / "s")[earlier][0])
            done[earlier] = copy_of(home)
        return done[earlier]

    return before


def was_done(state, finished):
    """Whether an import had moved everything into place."""
    moving = any(name.endswith(".moves.json") for name in state)
    return not moving and _DATES.sub(b"DATE", state.get("s/session.toml", b"")) == finished["s/session.toml"]


def chosen(moments, stage):
    most = len(moments) if EVERY else STATES.get(stage, 4)
    return [moments[round(place)] for place in np.linspace(0, len(moments) - 1, min(most, len(moments)))]


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_command_again_gives_the_same_and_leaves_nothing(
    stage, recording, home, states, monkeypatch
):
    restore(home, states(stage))
    command = stages(recording, home / "s")[stage][0]
    moments = []

    def seen(event, path):
        state = copy_of(home)
        if not moments or state != moments[-1][1]:
            moments.append((f"{event} {Path(path).name}", state))

    with WATCH.below(home, seen, monkeypatch):
        _run(command)
    undisturbed = tree(home)
    assert len(moments) > 2
    for moment, state in chosen(moments, stage):
        restore(home, state)
        _run(command)
        again = tree(home)
        if stage == "import again" and was_done(state, undisturbed):
            # it is done once more, and what it replaced is kept twice
            again, undisturbed = (
                {k: v for k, v in each.items() if "replaced" not in k} for each in (again, undisturbed)
            )
        assert again.keys() == undisturbed.keys(), f"killed at {moment}"
        assert [name for name in again if again[name] != undisturbed[name]] == [], f"killed at {moment}"


def started(command):
    """A process that is this one, but for the command that it runs."""
    process = os.fork()
    if process == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        try:
            command()
        finally:
            os._exit(0)
    return process


@pytest.mark.parametrize(
    ("stage", "at"), [("import", 9), ("associate", 5), ("reconstruct", 4), ("export", 7)]
)
def test_a_process_that_is_killed_indeed(stage, at, recording, home, states, monkeypatch):
    """Locks are given back by the kernel, and its unfinished files are known by that."""
    restore(home, states(stage))
    command = stages(recording, home / "s")[stage][0]
    _run(command)
    undisturbed = tree(home)
    restore(home, states(stage))
    events = []

    def seen(event, path):
        events.append(event)
        if len(events) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    with WATCH.below(home, seen, monkeypatch):
        process = started(lambda: _run(command))
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    assert tree(home) != undisturbed
    leftovers._seen.clear()
    _run(command)
    assert tree(home) == undisturbed


def refused(number, seen, *, named=True):
    """What the system does where nothing can be written: it raises, and the folder stays as it was."""

    def raised(event, path):
        seen.append(event)
        raise OSError(number, os.strerror(number), *([path] if named else []))

    return raised


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("stage", STAGES)
def test_where_nothing_can_be_written_the_path_and_the_reason_are_said(
    number, stage, recording, home, states, monkeypatch
):
    if stage == "calibrate people" and number != errno.EROFS:
        pytest.skip("takes seconds, and writes as the other stages do")
    restore(home, states(stage))
    before, seen = copy_of(home), []
    with (
        WATCH.below(home, refused(number, seen), monkeypatch),
        pytest.raises((CoviewError, OSError)) as caught,
    ):
        _run(stages(recording, home / "s")[stage][0])
    said = message(caught.value)
    assert seen
    assert str(home) in said
    assert re.search("read-only|may not write|[Pp]ermission denied|no space left", said), said
    assert copy_of(home) == before


@pytest.mark.parametrize("stage", ["reconstruct", "report"])
def test_a_finished_stage_says_its_result_where_nothing_can_be_written(
    stage, recording, home, states, monkeypatch, capsys, tmp_path
):
    restore(home, states(stage))
    command = stages(recording, home / "s")[stage][0]
    _run(command)
    first = capsys.readouterr().out
    if stage == "report":
        command, first = (
            [*command, "--out", str(tmp_path / "page.html")],
            f"report          {tmp_path}/page.html",
        )
    with WATCH.below(home, refused(errno.EROFS, []), monkeypatch):
        _run(command)
    assert capsys.readouterr().out.strip() == first.strip()
