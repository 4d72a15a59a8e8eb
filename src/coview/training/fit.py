"""Runs the training loop with Lightning: devices, checkpoints, and how it stops."""

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import Callback, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from coview.data.base import Instants
from coview.data.loading import InOrder, at_once
from coview.training.callbacks import Checkpoints, ProgressBar
from coview.training.checkpoint import Checkpoint
from coview.training.checkpoint_io import SafetensorsIO
from coview.training.evaluation.scoring import TRUTH
from coview.training.history_logger import HistoryLogger
from coview.training.learner import Learner
from coview.training.memory import MemoryEstimate, advice, estimate, explained, fits_beside
from coview.training.precision import networks_in
from coview.training.processes import part_ways
from coview.training.recipe import Recipe


def fit(
    learner: Learner,
    validation: Instants,
    checkpoint: Path,
    history: Path,
    progress: bool,
    checkpoint_seconds: float,
    say: Callable[[str], None] = lambda line: None,
    resumed: Checkpoint | None = None,
) -> None:
    """Train a learner by Lightning: devices, gradients, checkpoints, history, progress bar.

    Args:
        learner: What is trained.
        validation: Instants to score on the way, where the recipe says so and they have the truth.
        checkpoint: File that is written by the clock; the run goes on from it where `resumed` is given.
        history: CSV file of losses and scores, written with the checkpoint and at the end.
        progress: Whether progress is shown.
        checkpoint_seconds: Between two checkpoints.
        say: Gets lines on memory, for methods on images: how much it takes, and what to change where it will not fit.
        resumed: What that file holds; None: the run starts.

    Raises:
        TooLarge: where the memory runs out.
        KeyboardInterrupt: where the run was told to stop.
        SystemExit: after SIGTERM."""
    recipe, batches = learner.recipe, learner.batches
    look = bool(recipe.validate_every) and validation.fields >= TRUTH
    bar = ProgressBar(type(recipe.method).__name__.removesuffix("Config"), progress)
    checkpoints = Checkpoints(checkpoint, checkpoint_seconds)
    with _quiet_lightning():
        trainer = _trainer(
            recipe, look, HistoryLogger(history, until=resumed.step if resumed else 0), [bar, checkpoints]
        )
        device = trainer.strategy.root_device
        if fits_beside(batches.data, device):
            batches.data = batches.data.to(device)
        kept = validation.only(learner.method.inputs | TRUTH)
        # no list: Lightning would take each of its batches for a loader of single instants
        seen = InOrder(kept, at_once(kept)) if look else None
        compiled = recipe.compile and "images" in learner.method.needs
        with networks_in(recipe.precision, learner.method, device, compiled=compiled), _interruptible():
            expected = _expected(learner, batches.data, device, say)
            with explained(recipe, expected):
                trainer.fit(learner, val_dataloaders=seen, ckpt_path=checkpoint if resumed else None)
    part_ways()
    if learner.step < recipe.steps:
        raise KeyboardInterrupt(
            f"training stopped after {learner.step} of {recipe.steps} steps; run again to go on."
        )


def _trainer(recipe: Recipe, look: bool, logger: HistoryLogger, watch: list[Callback]) -> Trainer:
    """Lightning as a recipe wants it. Precision is not Lightning's affair: it would hold for the losses as well."""
    several = "ddp" if recipe.strategy == "ddp" else "ddp_find_unused_parameters_true"
    return Trainer(
        accelerator={"cuda": "gpu"}.get(recipe.device, recipe.device),
        devices=recipe.devices,
        strategy="auto" if recipe.devices == 1 else several,
        max_steps=recipe.steps,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip_norm or None,
        gradient_clip_algorithm="norm",
        logger=logger,
        callbacks=watch,
        plugins=[SafetensorsIO()],
        default_root_dir=logger.save_dir,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=recipe.validate_every * recipe.accumulate if look else None,
        limit_val_batches=None if look else 0,
        # a batch is shared among the processes as the recipe says (`Parts`), and all score all of the validation
        use_distributed_sampler=False,
    )


def _expected(
    learner: Learner, data: Instants, device: torch.device, say: Callable[[str], None]
) -> MemoryEstimate | None:
    """How much memory it will take, for methods on images: small networks on joints fit anywhere."""
    recipe = learner.recipe
    if "images" not in learner.method.needs:
        return None
    with explained(recipe, None):
        expected = estimate(learner.method.to(device), recipe, data, device)
    say(expected.line())
    if not expected.fits:
        say(f"  this will not fit. Change one of these: {'; '.join(advice(recipe, expected))}")
    return expected


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning answers Ctrl-C by ending the program, deaf to the next one; here it stays an exception.

    SIGTERM ends the program, as it does everywhere, but between two steps and with its usual exit code."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SIGTERMException as stopped:
        raise SystemExit(128 + signal.SIGTERM) from stopped
    except SystemExit as exit_:
        raise KeyboardInterrupt("training was interrupted; run again to go on.") from exit_
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice about workers and loggers: nothing here is loaded by workers."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
