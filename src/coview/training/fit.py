"""Lightning around the steps of a run: where it computes, when it saves, how it stops."""

import logging
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from coview.data.base import Instants
from coview.data.loading import InOrder, at_once
from coview.training.callbacks import Checkpoints, ProgressBar
from coview.training.evaluation.scoring import TRUTH
from coview.training.gradient_accumulation import Parts
from coview.training.learner import Learner
from coview.training.memory import Estimate, advice, estimate, explained, fits_beside
from coview.training.precision import networks_in


def fit(
    learner: Learner,
    validation: Instants,
    checkpoint: Path,
    history: Path,
    progress: bool,
    checkpoint_seconds: float,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Lightning's part: device, gradients, callbacks. Checkpoint and history are written by the clock.

    For methods on images, and where it will not fit, `say` is told how much memory it takes. TooLarge where it
    runs out; KeyboardInterrupt where the run was told to stop; SystemExit after SIGTERM."""
    recipe, batches = learner.recipe, learner.batches
    look = recipe.validate_every and validation.fields >= TRUTH
    watch = [
        ProgressBar(type(recipe.method).__name__.removesuffix("Config"), progress),
        Checkpoints(checkpoint, history, checkpoint_seconds),
    ]
    with _quiet_lightning():
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(recipe.device, recipe.device),
            devices=1,
            max_steps=len(batches),
            accumulate_grad_batches=recipe.accumulate,
            callbacks=watch,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=None,
            val_check_interval=recipe.validate_every * recipe.accumulate if look else None,
            limit_val_batches=None if look else 0,
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
                trainer.fit(learner, Parts(batches, recipe.accumulate), seen)
    if learner.step < recipe.steps:
        raise KeyboardInterrupt(
            f"training stopped after {learner.step} of {recipe.steps} steps; run again to go on."
        )


def _expected(
    learner: Learner, data: Instants, device: torch.device, say: Callable[[str], None]
) -> Estimate | None:
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
