"""From a recipe to a run folder: train, keep, load again.

recipe.json         what was asked for
weights.safetensors the trained method
history.csv         losses and validation metrics over the steps
run.json            what happened: seconds, device, what the method said (mirror_flipped); written last
evaluation.json     metrics on the validation data, where it has the truth
checkpoint.safetensors  only while unfinished
"""

import json
import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_safetensors

from coview import __version__
from coview.data.base import InMemory
from coview.formats.atomic import write_bytes, write_text
from coview.formats.text import read_json
from coview.methods.base import Method
from coview.skeletons import Skeleton
from coview.training.batches import Batches
from coview.training.checkpoint import Checkpoint
from coview.training.device import check_device
from coview.training.history import History
from coview.training.learner import Learner
from coview.training.precision import check_precision, networks_in
from coview.training.recipe import Recipe, check_fields, from_plain, to_plain
from coview.training.scoring import TRUTH, score, write_evaluation
from coview.training.watch import Checkpoints, ProgressBar

RECIPE, WEIGHTS, HISTORY, RECORD = "recipe.json", "weights.safetensors", "history.csv", "run.json"
EVALUATION, CHECKPOINT = "evaluation.json", "checkpoint.safetensors"
_OURS = (RECIPE, WEIGHTS, HISTORY, RECORD, EVALUATION, CHECKPOINT)


@dataclass(frozen=True)
class Run:
    """A finished run, as read from its folder."""

    path: Path
    recipe: Recipe
    method: Method[Any]
    skeleton: Skeleton
    record: dict[str, Any]  # run.json


def train(
    recipe: Recipe,
    out: Path,
    *,
    overwrite: bool = False,
    progress: bool = True,
    checkpoint_seconds: float = 20.0,
) -> Path:
    """Train into the folder `out` and return it. Goes on where it was interrupted; skips what is finished.

    Raises ValueError before any step where the data lacks a field that the method needs, where the
    device is not there or has no arithmetic of the recipe's precision, or where `out` holds a run of another recipe and
    `overwrite` is not set. SIGTERM ends the program between two steps, as Ctrl-C does: both save first."""
    out = Path(out)
    check_fields(recipe, recipe.data.provides)
    if overwrite or not (out / RECORD).is_file():
        check_device(recipe.device)
    check_precision(recipe.precision, recipe.device)
    begun = _open(recipe, out, overwrite)
    if (out / RECORD).is_file():
        return out
    data, validation = recipe.data.train(), recipe.data.validation()
    check_fields(recipe, data.fields)
    write_text(out / RECIPE, json.dumps(to_plain(recipe), indent=1))
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        method = recipe.method.build(data.skeleton)
        if begun:
            method.load_state_dict(begun.weights)
        learner = Learner(method, recipe, data, begun)
        learner.history = History.load(out / HISTORY, until=learner.first_step)
        _fit(learner, validation, out, progress, checkpoint_seconds)
    _finish(learner, validation, out)
    return out


def load_run(path: Path) -> Run:
    """Read a finished run; FileNotFoundError or ValueError saying what is wrong with the folder."""
    path = Path(path)
    if not (path / RECORD).is_file():
        state = (
            "was begun and not finished: train again to go on" if (path / RECIPE).is_file() else "is no run"
        )
        raise FileNotFoundError(f"{path} {state} ({RECORD} is not there).")
    part = RECORD
    try:
        record = read_json(path / RECORD)
        skeleton = from_plain(record["skeleton"], Skeleton)
        part = RECIPE
        recipe = from_plain(read_json(path / RECIPE), Recipe)
        method = recipe.method.build(skeleton)
        part = WEIGHTS
        method.load_state_dict(load_file(path / WEIGHTS))
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OSError,
        RuntimeError,
        SafetensorError,
    ) as error:
        # torch lists every weight that does not fit, over pages: the first says enough
        words = " ".join(" ".join(str(error).splitlines()[:2]).split())
        fit = f" not fitting {RECIPE}" if isinstance(error, RuntimeError) else ""
        raise ValueError(
            f"the run {path} cannot be loaded, because of {part}{fit}: {words.rstrip('.')}. "
            f"Put the file back as it was, or train again with --overwrite."
        ) from error
    return Run(path, recipe, method.eval(), skeleton, record)


def difference(path: Path, recipe: Recipe) -> str:
    """In what the run in a folder differs from `recipe`, in words; empty where it does not, or is no run.

    A start that failed is no run: it leaves only what was asked for, and nothing that was learnt."""
    learnt = any((path / name).is_file() for name in (RECORD, CHECKPOINT, WEIGHTS))
    if not learnt or not (path / RECIPE).is_file():
        return ""
    try:
        old = read_json(path / RECIPE)
    except ValueError:
        old = None
    new = json.loads(json.dumps(to_plain(recipe)))
    return _difference(old, new) if isinstance(old, dict) else f"its {RECIPE} is damaged"


def summary_line(path: Path) -> str:
    """What, where, how good: one line about a finished run."""
    record = read_json(Path(path) / RECORD)
    parts = [f"{record['method']}: {record['steps']} steps in {record['seconds']:.0f} s"]
    if (Path(path) / EVALUATION).is_file():
        metrics = read_json(Path(path) / EVALUATION)["metrics"]
        parts += [f"{name} {metrics[name]:.1f}" for name in list(metrics)[:2] if metrics[name] is not None]
    else:
        parts.append("no 3D truth to compare with")
    if record["facts"].get("mirror_flipped"):
        parts.append("un-mirrored")
    return f"{', '.join(parts)} -> {path}"


# --- inside --------------------------------------------------------------------------------------


def _open(recipe: Recipe, out: Path, overwrite: bool) -> Checkpoint | None:
    """Clear or check the folder; the checkpoint to go on from, if there is one."""
    if overwrite:
        for name in _OURS:
            (out / name).unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob(".*.part*"):  # a kill may leave these behind
        stale.unlink()
    if words := difference(out, recipe):
        raise ValueError(
            f"{out} holds a run of another recipe: {words}. "
            f"Choose another folder with --out, or lose that run with --overwrite."
        )
    return Checkpoint.load(out / CHECKPOINT) if (out / CHECKPOINT).is_file() else None


def _difference(old: dict[str, Any], new: dict[str, Any], where: str = "") -> str:
    """The fields in which two plain recipes differ, in words."""
    words = []
    for name in sorted(set(old) | set(new)):
        a, b = old.get(name), new.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            words.append(_difference(a, b, f"{where}{name}."))
        elif a != b:
            words.append(f"{where}{name} is {a} there and {b} now")
    return "; ".join(word for word in words if word)


def _fit(
    learner: Learner, validation: InMemory, out: Path, progress: bool, checkpoint_seconds: float
) -> None:
    """Lightning's part: device, gradients, callbacks."""
    recipe = learner.recipe
    batches = Batches(learner.data, recipe.batch_size, recipe.seed, learner.first_step, recipe.steps)
    look = recipe.validate_every and validation.fields >= TRUTH
    watch = [
        ProgressBar(type(recipe.method).__name__.removesuffix("Config"), progress),
        Checkpoints(out / CHECKPOINT, out / HISTORY, checkpoint_seconds),
    ]
    with _quiet_lightning():
        trainer = Trainer(
            accelerator={"cuda": "gpu"}.get(recipe.device, recipe.device),
            devices=1,
            max_steps=len(batches),
            callbacks=watch,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            check_val_every_n_epoch=None,
            val_check_interval=recipe.validate_every if look else None,
            limit_val_batches=None if look else 0,
        )
        batches.data = batches.data.to(trainer.strategy.root_device)
        seen = list(validation.only(learner.method.inputs | TRUTH).batches(512)) if look else None
        device = trainer.strategy.root_device
        with networks_in(recipe.precision, learner.method, device), _interruptible():
            trainer.fit(learner, batches, seen)
    if learner.step < recipe.steps:
        raise KeyboardInterrupt(
            f"training stopped after {learner.step} of {recipe.steps} steps; run again to go on."
        )


def _finish(learner: Learner, validation: InMemory, out: Path) -> None:
    """Write what a finished run holds; the record comes last, because it says that all the rest is there."""
    method, recipe, data = learner.method.cpu().eval(), learner.recipe, learner.data
    learner.history.save(out / HISTORY)
    weights = {name: tensor.contiguous() for name, tensor in method.state_dict().items()}
    write_bytes(out / WEIGHTS, as_safetensors(weights))
    if validation.fields >= TRUTH:
        write_evaluation(
            out / EVALUATION, score(method, validation), data.skeleton, "validation", len(validation)
        )
    record = {
        "method": type(method).__name__,
        "steps": recipe.steps,
        "seconds": round(learner.seconds, 2),
        "training_instants": len(data),
        "parameters": sum(parameter.numel() for parameter in method.parameters()),
        "inputs": sorted(method.inputs),
        "supervision": sorted(method.supervision),
        "facts": learner.facts,
        "device": str(learner.trainer.strategy.root_device),
        "software": {"coview": __version__, "torch": torch.__version__},
        "skeleton": to_plain(data.skeleton),
    }
    write_text(out / RECORD, json.dumps(record, indent=1))
    (out / CHECKPOINT).unlink(missing_ok=True)


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
