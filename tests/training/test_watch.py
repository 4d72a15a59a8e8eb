from pathlib import Path

from lightning import Trainer

from coview.training.learner import Learner
from coview.training.watch import Checkpoints, ProgressBar


class Saved:
    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name

    def save(self, path: Path) -> None:
        self.log.append(f"{self.name} to {path.name}")


def learner(log: list[str]) -> Learner:
    fake = Learner.__new__(Learner)
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


def test_an_error_does_not_overwrite_the_last_good_checkpoint():
    log: list[str] = []
    watch = Checkpoints(Path("c"), Path("h"), seconds=1e9)
    watch.on_exception(trainer(), learner(log), ValueError())
    assert log == []
    watch.on_exception(trainer(), learner(log), KeyboardInterrupt())
    assert len(log) == 2


def test_no_bar_where_nobody_watches():
    assert ProgressBar("train", shown=True).bar.disable
