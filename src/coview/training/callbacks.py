"""Callbacks of the training loop: progress with an ETA, and checkpoints at intervals of time."""

import sys
import time
from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch import callbacks
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
from coview.training.history_logger import HistoryLogger
from coview.training.learner import Learner

_REDRAWN = 0.25  # seconds between redraws: a bar must not cost training time
_SAID = 30.0  # seconds between lines where there is no terminal


class ProgressBar(callbacks.ProgressBar):
    """Steps done, loss, time left: a bar on a terminal, else a line now and then, so that log files stay readable.

    In the place of Lightning's own bars, which count parts of batches per epoch and say nothing in a log file."""

    def __init__(self, what: str, shown: bool) -> None:
        super().__init__()
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
        self.what, self.shown, self.redrawn, self.first_step = what, shown, 0.0, 0

    def disable(self) -> None:
        """Show nothing; Lightning asks for it in all processes but the first."""
        self.shown, self.bar.disable = False, True

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the bar at the step that training resumes from."""
        assert isinstance(pl_module, Learner)
        self.first_step = pl_module.step
        self.task = self.bar.add_task(
            self.what, total=pl_module.recipe.steps, completed=self.first_step, loss=""
        )
        self.bar.start()
        self.redrawn = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Redraw the bar, or print a line where there is no terminal, if enough time has passed since the last."""
        assert isinstance(pl_module, Learner)
        now, step, last = time.monotonic(), pl_module.step, pl_module.recipe.steps
        due = now - self.redrawn >= (_SAID if self.bar.disable else _REDRAWN)
        if not self.shown or not (due if step < last else not self.bar.disable):
            return
        self.redrawn = now
        rows = trainer.logger.history.rows if isinstance(trainer.logger, HistoryLogger) else []
        loss = f"loss {rows[-1]['loss']:.4f}" if rows and "loss" in rows[-1] else ""
        self.bar.update(self.task, completed=step, loss=loss)
        if self.bar.disable:
            passed = self.bar.tasks[self.task].elapsed or 0.0
            left = (last - step) * passed / max(1, step - self.first_step)
            told = ", ".join(filter(None, [f"step {step} of {last}", loss, f"{duration(left)} left"]))
            self.bar.console.print(f"{self.what}: {told}", highlight=False, markup=False, soft_wrap=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self.bar.stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the bar, so that the error message stands alone."""
        self.bar.stop()


class Checkpoints(callbacks.Checkpoint):
    """Saves the run between two updates every so many seconds, at its end, and when it is told to stop.

    Lightning's ModelCheckpoint goes by the clock as well, but saves before the learner has logged the step and
    the method has resolved its ambiguity, between the parts of an accumulated batch, and under names of its own."""

    def __init__(self, path: Path, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.saved = time.monotonic()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # not amid a batch that is worked through in parts: its first part would be learnt from twice
        """Save if the interval has passed; never between two accumulated parts of one batch."""
        if batch_idx and batch_idx % trainer.accumulate_grad_batches == 0:
            self._save_if_due(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the last step, if the interval has passed."""
        self._save_if_due(trainer)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save what was learnt, where the run was told to stop between two updates.

        After an error the weights may be what caused it. Ctrl-C meets several processes each at another place, where
        they would wait for one another for ever: the checkpoint that there is has to do."""
        assert isinstance(pl_module, Learner)
        alone = trainer.world_size == 1
        told = isinstance(exception, SIGTERMException) or (isinstance(exception, KeyboardInterrupt) and alone)
        if told and pl_module.consistent:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write history and checkpoint; the history first, because rows beyond the checkpoint are dropped on resuming.

        Args:
            trainer: The trainer whose state is saved.
        """
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.path)
        self.saved = time.monotonic()

    def _save_if_due(self, trainer: Trainer) -> None:
        due = time.monotonic() - self.saved >= self.seconds
        if trainer.world_size > 1:
            # all processes take part in saving, and their clocks differ
            due = trainer.strategy.broadcast(due)
        if due:
            self.save(trainer)
