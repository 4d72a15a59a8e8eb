"""A Lightning logger that writes history.csv; others (TensorBoard, W&B) can be used beside it."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from coview.training.history import History


class HistoryLogger(Logger):
    """The numbers of a run in one CSV file, replaced atomically; written by the first process alone.

    Lightning's CSVLogger appends to a folder per version, so that a run that goes on would have two histories, and
    rows that were written after the last checkpoint would come twice."""

    def __init__(self, path: Path, until: int = 0) -> None:
        super().__init__()
        self.path = path
        # rows of an interrupted run beyond its checkpoint will be made again
        self.history = History.load(path, until=until)

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return self.path.parent.name

    @property
    def version(self) -> str:
        """Empty: a run has one history."""
        return ""

    @property
    def save_dir(self) -> str:
        """The run's folder."""
        return str(self.path.parent)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add values to the row of a step.

        Args:
            metrics: Name -> value.
            step: Number of the update; without it nothing is kept.
        """
        if step is not None:
            self.history.add(step, metrics)

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: recipe.json holds the settings.

        Args:
            params: Not used.
        """

    @rank_zero_only
    def save(self) -> None:
        """Write the history's file."""
        self.history.save(self.path)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the finished history; after an error the older file stays, which fits the older checkpoint.

        Args:
            status: Lightning's word for how the run ended; "success" writes.
        """
        if status == "success":
            self.save()
