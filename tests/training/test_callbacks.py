import re
from dataclasses import replace
from pathlib import Path

import pytest
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.training import callbacks as watch
from coview.training.callbacks import Checkpoints, ProgressBar
from coview.training.checkpoint import Checkpoint
from coview.training.learner import Learner
from coview.training.recipe import Recipe
from coview.training.run import train

RECIPE = Recipe(
    method=CanonPoseConfig(width=4),
    data=SyntheticConfig(instants=8, validation_instants=4, subjects=1),
    steps=6,
    batch_size=4,
    log_every=2,
    device="cpu",
)


@pytest.fixture
def saved(monkeypatch) -> list[int]:
    steps: list[int] = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, path: steps.append(self.step))
    return steps


def test_checkpoints_follow_the_clock(saved, tmp_path):
    train(RECIPE, tmp_path / "often", checkpoint_seconds=0.0)
    assert saved == [1, 2, 3, 4, 5, 6]
    saved.clear()
    train(RECIPE, tmp_path / "seldom", checkpoint_seconds=1000.0)
    assert saved == []


def test_an_error_keeps_the_older_checkpoint(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(watch.Checkpoints, "on_train_batch_end", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(RECIPE, tmp_path / "run")
    assert saved == []


def test_the_bar_shows_steps_and_loss_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(watch, "_REDRAWN", 0.0)
    train(replace(RECIPE, steps=4), tmp_path / "run")
    shown = capsys.readouterr().err
    assert "CanonPose" in shown
    assert "4/4" in shown
    assert "loss" in shown


def test_a_log_is_told_now_and_then_how_long_it_will_take(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(watch, "_SAID", 0.0)
    train(RECIPE, tmp_path / "run")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5  # not after the last step
    assert re.fullmatch(r"CanonPose: step 1 of 6, \d+ s left", told[0])
    assert re.fullmatch(r"CanonPose: step 4 of 6, loss \d+\.\d{4}, \d+ s left", told[3])


def test_nothing_is_drawn_where_nobody_watches(tmp_path, capsys):
    train(RECIPE, tmp_path / "run")
    assert capsys.readouterr().err == ""


class Saved:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def save(self, path: Path) -> None:
        self.log.append(f"{self.name} to {path.name}")


def learner(log: list[str], accumulate: int = 1) -> Learner:
    fake = Learner.__new__(Learner)
    object.__setattr__(fake, "recipe", replace(RECIPE, accumulate=accumulate))
    object.__setattr__(fake, "history", Saved(log, "history"))
    object.__setattr__(fake, "checkpoint", lambda: Saved(log, "checkpoint"))
    return fake


def trainer() -> Trainer:
    return Trainer.__new__(Trainer)


def test_the_history_is_saved_before_the_checkpoint():
    log: list[str] = []
    Checkpoints(Path("c.safetensors"), Path("h.csv"), seconds=0.0).save(learner(log))
    assert log == ["history to h.csv", "checkpoint to c.safetensors"]


def test_checkpoints_come_by_the_clock():
    log: list[str] = []
    often = Checkpoints(Path("c"), Path("h"), seconds=0.0)
    seldom = Checkpoints(Path("c"), Path("h"), seconds=1e9)
    often.on_train_batch_end(trainer(), learner(log), None, None, 0)
    assert len(log) == 2
    seldom.on_train_batch_end(trainer(), learner(log), None, None, 0)
    assert len(log) == 2


def test_no_checkpoint_comes_amid_a_batch():
    log: list[str] = []
    often = Checkpoints(Path("c"), Path("h"), seconds=0.0)
    for part, saved in enumerate((0, 2, 2, 4)):
        often.on_train_batch_end(trainer(), learner(log, accumulate=2), None, None, part)
        assert len(log) == saved


def test_an_error_does_not_overwrite_the_last_good_checkpoint():
    log: list[str] = []
    watch = Checkpoints(Path("c"), Path("h"), seconds=1e9)
    watch.on_exception(trainer(), learner(log), ValueError())
    assert log == []
    watch.on_exception(trainer(), learner(log), KeyboardInterrupt())
    assert len(log) == 2
    watch.on_exception(trainer(), learner(log), SIGTERMException())
    assert len(log) == 4


def test_no_bar_where_nobody_watches():
    assert ProgressBar("train", shown=True).bar.disable
