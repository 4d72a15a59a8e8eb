import re
from dataclasses import replace
from pathlib import Path

import pytest
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.training import callbacks
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
    monkeypatch.setattr(callbacks.Checkpoints, "on_train_batch_start", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(RECIPE, tmp_path / "run")
    assert saved == []


def test_the_bar_shows_steps_and_loss_on_a_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(callbacks, "_REDRAWN", 0.0)
    train(replace(RECIPE, steps=4), tmp_path / "run")
    shown = capsys.readouterr().err
    assert "CanonPose" in shown
    assert "4/4" in shown
    assert "loss" in shown


def test_a_log_is_told_now_and_then_how_long_it_will_take(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(callbacks, "_SAID", 0.0)
    train(RECIPE, tmp_path / "run")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 5  # not after the last step
    assert re.fullmatch(r"CanonPose: step 1 of 6, \d+ s left", told[0])
    assert re.fullmatch(r"CanonPose: step 4 of 6, loss \d+\.\d{4}, \d+ s left", told[3])


def test_nothing_is_drawn_where_nobody_watches(tmp_path, capsys):
    train(RECIPE, tmp_path / "run")
    assert capsys.readouterr().err == ""


class Log(Trainer):
    """Stands for a trainer, its strategy and its logger, and remembers what was asked of them."""

    loggers: tuple = ()
    accumulate_grad_batches = world_size = 1
    strategy = None

    def __init__(self, accumulate: int = 1, world_size: int = 1) -> None:
        self.said: list[str] = []
        self.accumulate_grad_batches, self.world_size = accumulate, world_size
        self.loggers, self.strategy = (self,), self

    def save(self) -> None:
        self.said.append("history")

    def save_checkpoint(self, path: Path) -> None:
        self.said.append(path.name)

    def broadcast(self, due: bool) -> bool:
        self.said.append("asked")
        return True


def learner(consistent: bool = True) -> Learner:
    stand_in = Learner.__new__(Learner)
    object.__setattr__(stand_in, "consistent", consistent)
    return stand_in


def test_the_history_is_saved_before_the_checkpoint():
    log = Log()
    Checkpoints(Path("c.safetensors"), seconds=0.0).save(log)
    assert log.said == ["history", "c.safetensors"]


def test_checkpoints_come_by_the_clock():
    log = Log()
    often, seldom = (Checkpoints(Path("c"), seconds) for seconds in (0.0, 1e9))
    often.on_train_batch_start(log, learner(), None, 1)
    assert len(log.said) == 2
    seldom.on_train_batch_start(log, learner(), None, 1)
    seldom.on_train_end(log, learner())
    assert len(log.said) == 2
    often.on_train_end(log, learner())
    assert len(log.said) == 4


def test_no_checkpoint_comes_amid_a_batch():
    log = Log(accumulate=2)
    often = Checkpoints(Path("c"), seconds=0.0)
    for part, saved in enumerate((0, 0, 2, 2, 4)):
        often.on_train_batch_start(log, learner(), None, part)
        assert len(log.said) == saved


def test_an_error_does_not_overwrite_the_last_good_checkpoint():
    log = Log()
    seldom = Checkpoints(Path("c"), seconds=1e9)
    seldom.on_exception(log, learner(), ValueError())
    assert log.said == []
    seldom.on_exception(log, learner(), KeyboardInterrupt())
    assert len(log.said) == 2
    seldom.on_exception(log, learner(), SIGTERMException())
    assert len(log.said) == 4


def test_nothing_is_kept_of_an_update_that_was_not_finished():
    log = Log()
    Checkpoints(Path("c"), seconds=1e9).on_exception(log, learner(consistent=False), KeyboardInterrupt())
    assert log.said == []


def test_of_several_processes_the_first_one_s_clock_counts_and_ctrl_c_saves_nothing():
    log = Log(world_size=2)
    seldom = Checkpoints(Path("c"), seconds=1e9)
    seldom.on_train_batch_start(log, learner(), None, 1)
    assert log.said == ["asked", "history", "c"]
    seldom.on_exception(log, learner(), KeyboardInterrupt())
    assert len(log.said) == 3
    seldom.on_exception(log, learner(), SIGTERMException())
    assert len(log.said) == 5


def test_only_the_first_process_shows_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    bar = ProgressBar("train", shown=True)
    assert not bar.bar.disable
    bar.disable()
    assert bar.bar.disable
    assert not bar.shown


def test_no_bar_where_nobody_watches():
    assert ProgressBar("train", shown=True).bar.disable
