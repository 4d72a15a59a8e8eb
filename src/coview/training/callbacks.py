"""What happens around the steps of a run: a bar or lines with an ETA, and checkpoints by the clock."""

import sys
import time
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from coview.progress import duration
from coview.training.learner import Learner

_REDRAWN = 0.25  # seconds between redraws: a bar must not cost training time
_SAID = 30.0  # seconds between lines where there is no terminal


class ProgressBar(Callback):
    """Steps done, loss, time left: a bar on a terminal, else a line now and then, so that log files stay readable."""

    def __init__(self, what: str, shown: bool) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        visible = shown and sys.stderr.isatty()
        self.bar = Progress(*columns, console=Console(stderr=True), disable=not visible, refresh_per_second=4)
        self.what, self.shown, self.redrawn = what, shown, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, Learner)
        self.task = self.bar.add_task(
            self.what, total=pl_module.recipe.steps, completed=pl_module.first_step, loss=""
        )
        self.bar.start()
        self.redrawn = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Learner)
        now, step, last = time.monotonic(), pl_module.step, pl_module.recipe.steps
        due = now - self.redrawn >= (_SAID if self.bar.disable else _REDRAWN)
        if not self.shown or not (due if step < last else not self.bar.disable):
            return
        self.redrawn = now
        rows = pl_module.history.rows
        loss = f"loss {rows[-1]['loss']:.4f}" if rows and "loss" in rows[-1] else ""
        self.bar.update(self.task, completed=step, loss=loss)
        if self.bar.disable:
            passed = self.bar.tasks[self.task].elapsed or 0.0
            left = (last - step) * passed / max(1, step - pl_module.first_step)
            told = ", ".join(filter(None, [f"step {step} of {last}", loss, f"{duration(left)} left"]))
            self.bar.console.print(f"{self.what}: {told}", highlight=False, markup=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.bar.stop()


class Checkpoints(Callback):
    """Saves the run every so many seconds, and when it is told to stop."""

    def __init__(self, checkpoint: Path, history: Path, seconds: float) -> None:
        self.checkpoint, self.history, self.seconds = checkpoint, history, seconds
        self.saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Learner)
        if (batch_idx + 1) % pl_module.recipe.accumulate:
            return  # amid a batch that is worked through in parts: its first part would be learnt from twice
        if time.monotonic() - self.saved >= self.seconds:
            self.save(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        # after an error the weights may be what caused it; after Ctrl-C or SIGTERM they are worth keeping
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            self.save(pl_module)

    def save(self, learner: LightningModule) -> None:
        """The history first: rows beyond the checkpoint are cut off when the run goes on."""
        assert isinstance(learner, Learner)
        learner.history.save(self.history)
        learner.checkpoint().save(self.checkpoint)
        self.saved = time.monotonic()
