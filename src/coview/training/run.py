"""Trains a recipe into a run folder, and loads finished runs.

recipe.json         what was asked for
weights.safetensors the trained method
history.csv         losses and validation metrics over the steps
init.json           what became of the initial weights, name by name, where there were any
pseudo_labels.json  how the labels were made that it learnt from, where there were such
run.json            what happened: seconds, device, what the method said (mirror_flipped); written last
evaluation.json     metrics on the validation data, where it has the truth
embedding.csv       where its views lie on the plane that shows most of them, for methods that embed
checkpoint.safetensors  only while unfinished
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_safetensors

from coview import __version__
from coview.data.base import DataConfig, Instants
from coview.errors import InputError, MissingFileError
from coview.formats.io.atomic import write_bytes, write_text
from coview.formats.io.text import read_json
from coview.formats.weights.released_weights import read_released
from coview.methods.shared.base import Method
from coview.skeletons import Skeleton
from coview.training.device import check_device, resolved
from coview.training.evaluation.embedded import MAP
from coview.training.evaluation.scoring import TRUTH, scored, write_evaluation
from coview.training.fit import fit
from coview.training.initial_poses import first_guesses
from coview.training.learner import Learner, check_finite
from coview.training.precision import check_precision
from coview.training.pretrained import Report, Source, check_depth, check_joints, initialise
from coview.training.processes import leads
from coview.training.pseudo import lines as label_lines
from coview.training.pseudo import with_detections, with_pseudo
from coview.training.recipe import Recipe, check_fields, from_plain, numerics_notes, to_plain
from coview.training.root_predictions import Guesser
from coview.training.run_folder import (
    CHECKPOINT,
    EVALUATION,
    HISTORY,
    INIT,
    PSEUDO,
    RECIPE,
    RECORD,
    WEIGHTS,
    check_apart,
    clear,
    opened,
)

# key in run.json: SHA-256 of the weights' file
_DIGEST = "weights_sha256"
_RELEASED = "released:"  # begins what `init` says where it names a file of the authors


@dataclass(frozen=True)
class Run:
    """A finished run, as read from its folder."""

    path: Path
    recipe: Recipe
    method: Method[Any]
    skeleton: Skeleton
    # run.json
    record: dict[str, Any]

    @property
    def released_crops(self) -> bool | None:
        """Whether its training data had crops as the authors' code makes them.

        None where neither says: the data has no such setting, or the weights were not trained by coview."""
        crops = getattr(self.recipe.data, "released_numerics", None)
        return crops if self.record["steps"] else None


def train(
    recipe: Recipe,
    out: Path,
    *,
    overwrite: bool = False,
    progress: bool = True,
    checkpoint_seconds: float = 20.0,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train a recipe into a run folder; resumes an interrupted run and skips a finished one.

    SIGTERM ends the program between two updates, as Ctrl-C does: both save a checkpoint first. With `overwrite` an
    earlier run is removed only once all checks have passed.

    Args:
        recipe: What to train.
        out: Folder of the run.
        overwrite: Whether a run of another recipe in the folder may be lost.
        progress: Whether to show a progress bar, or lines where there is no terminal.
        checkpoint_seconds: Seconds between checkpoints.
        say: Is given lines for the user about what is going to happen.

    Returns:
        The folder.

    Raises:
        InputError: Before any update: the data lacks a field that the method needs, the device is missing or cannot
            compute in the recipe's precision, initial weights cannot be read, or the folder holds a run of another
            recipe and `overwrite` is not set.
        TooLarge: The memory does not suffice.
        Diverged: Loss or weights are not finite.
    """
    out = Path(out)
    if not leads(recipe.devices):
        say = _silent
    check_fields(recipe, recipe.data.provides)
    if overwrite or not (out / RECORD).is_file():
        check_device(recipe.device)
    check_precision(recipe.precision, recipe.device)
    check_apart(recipe, out)
    resumed = opened(recipe, out, overwrite)
    if (out / RECORD).is_file() and not overwrite:
        return out
    detector, filler = _earlier_detectors(recipe, out)
    source = weights_of(recipe.init) if recipe.init and not resumed else None
    data, validation = recipe.data.train(), recipe.data.validation()
    check_fields(recipe, data.fields)
    if source:
        with torch.device("meta"):  # before the labels are made, which takes longest
            unbuilt = recipe.method.build(data.skeleton)
        check_depth(unbuilt, source)
        check_joints(unbuilt, data.skeleton, source)
    data = recipe.labels.shown(data)
    data, validation = with_base(recipe, data, "train", out), with_base(recipe, validation, "validation", out)
    if filler:
        data = with_detections(data, filler)
    data, labelled = with_pseudo(recipe.pseudo, data, detector)
    for line in (*label_lines(labelled), *numerics_notes(recipe)):
        say(line)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        method = recipe.method.build(data.skeleton)
        if resumed:
            resumed.check_fits(method, recipe.steps, out / CHECKPOINT)
        learner = Learner(method, recipe, data)
        if not resumed:
            learner.fit_statistics()
        report = initialise(method, data.skeleton, source, bgr=expects_bgr(recipe)) if source else None
        if leads(recipe.devices):
            # only now: what is wrong with a command is said before it costs an earlier run
            if overwrite:
                clear(out)
            write_text(out / RECIPE, json.dumps(to_plain(recipe), indent=1))
            if report:
                _tell(report, learner, out, say)
            if labelled:
                write_text(out / PSEUDO, json.dumps(labelled, indent=1))
        fit(learner, validation, out / CHECKPOINT, out / HISTORY, progress, checkpoint_seconds, say, resumed)
    if not leads(recipe.devices):
        # this process was started to help the first one, which goes on with what was learnt
        raise SystemExit(0)
    _finish(learner, validation, out)
    return out


def _earlier_detectors(recipe: Recipe, out: Path) -> tuple[Method[Any] | None, Method[Any] | None]:
    """Trained methods that see 2D joints for a run in `out`: those of the pseudo-labels, those of unlabelled views.

    None where the recipe names no such run. FileNotFoundError where it names any earlier run that is not there."""
    for setting, earlier in (("base_from", recipe.base_from), ("first_from", recipe.first_from)):
        if earlier:
            _named_run(setting, _beside(earlier, out))
    seen_by = recipe.pseudo.detector if recipe.pseudo.cameras != "none" else None
    detector = _named_run("pseudo.detector", _beside(seen_by, out)).method if seen_by else None
    filled_by = recipe.joints2d_from
    filler = _named_run("joints2d_from", _beside(filled_by, out)).method if filled_by else None
    return detector, filler


def load_run(path: Path) -> Run:
    """Read a finished run.

    Args:
        path: Folder of the run.

    Returns:
        The run, its method in evaluation mode on the CPU.

    Raises:
        MissingFileError: The folder holds no finished run.
        InputError: A file of the run is damaged or does not fit the others; the text names it.
    """
    path = Path(path)
    if not (path / RECORD).is_file():
        state = (
            "was started and not finished: train again to go on" if (path / RECIPE).is_file() else "is no run"
        )
        raise MissingFileError(f"{path} {state} ({RECORD} is not there).")
    part = RECORD
    try:
        record = read_json(path / RECORD)
        skeleton = from_plain(record["skeleton"], Skeleton)
        part = RECIPE
        recipe = from_plain(read_json(path / RECIPE), Recipe)
        method = recipe.method.build(skeleton)
        part = WEIGHTS
        method.load_state_dict(load_file(path / WEIGHTS))
        check_finite(method, recipe)
        _check_digest(path, record)
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
        raise InputError(
            f"the run {path} cannot be loaded, because of {part}{fit}: {words.rstrip('.')}. "
            f"Put the file back as it was, or train again with --overwrite."
        ) from error
    return Run(path, recipe, method.eval(), skeleton, record)


def _check_digest(path: Path, record: dict[str, Any]) -> None:
    """A changed byte in the weights is no error of its format; runs of coview 0.1 have no digest."""
    stated = record.get(_DIGEST)
    if stated is not None and hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest() != stated:
        raise InputError(
            f"its bytes are not those that {RECORD} was written for (where that is meant, remove {_DIGEST} from it)"
        )


def with_base(
    recipe: Recipe, data: Instants, part: str, beside: Path, config: DataConfig | None = None
) -> Instants:
    """The data with the fields that earlier runs predict: `base_point` by `base_from`, `first_guess` by `first_from`.

    The data is returned as it is where the recipe names neither, and for validation without ground truth.

    Args:
        recipe: The recipe that names the earlier runs.
        data: The data.
        part: "train" or "validation", the part of `config` that `data` is.
        beside: Folder of the new run: an earlier run that is not where the recipe says is looked for beside it.
        config: What the data was made by; default: the recipe's data.

    Returns:
        The data with the added fields.

    Raises:
        InputError: As `load_run`, `Guesser.guess` and `first_guesses` raise.
    """
    new: dict[str, Any] = {}
    if part == "validation" and not data.fields >= TRUTH:
        return data
    config = config or recipe.data
    identity = json.dumps([part, to_plain(config)])
    for field, named in (("base_point", recipe.base_from), ("first_guess", recipe.first_from)):
        if named is None:
            continue
        run = load_run(_beside(named, beside))
        seen = with_base(run.recipe, data, part, run.path, config)
        weights = hashlib.sha256((run.path / WEIGHTS).read_bytes()).hexdigest()
        by = Guesser(run.path, run.method, run.skeleton, weights + json.dumps(to_plain(run.recipe)))
        device = resolved(recipe.device)
        if field == "base_point":
            new[field] = by.guess(seen, identity, device, data.skeleton.root)
        else:
            new[field] = first_guesses(by, seen, identity, device, data.skeleton)
    return data.replaced(**new) if new else data


def _beside(named: Path, folder: Path) -> Path:
    """A run as a recipe names it, or, where it is not there, of the same name beside another run."""
    sibling = folder.parent / named.name
    return sibling if not named.exists() and sibling.exists() else named


def summary_line(path: Path) -> str:
    """One line about a finished run: method, steps, seconds, first metrics, folder.

    Args:
        path: Folder of a finished run.

    Returns:
        The line.
    """
    record = read_json(Path(path) / RECORD)
    parts = [f"{record['method']}: {record['steps']} steps in {record['seconds']:.0f} s"]
    if (Path(path) / EVALUATION).is_file():
        metrics = read_json(Path(path) / EVALUATION)["metrics"]
        parts += [f"{name} {metrics[name]:.1f}" for name in list(metrics)[:2] if metrics[name] is not None]
    else:
        parts.append("no 3D truth to compare with")
    if "joints3d" in record["inputs"]:
        parts.append("told where the root truly is")
    if record["facts"].get("mirror_flipped"):
        parts.append("un-mirrored")
    if str(embedding := record["facts"].get("embedding", "")).startswith("collapsed"):
        parts.append(f"embedding {embedding}")
    return f"{', '.join(parts)} -> {path}"


def weights_of(init: str) -> Source:
    """The weights that a recipe's `init` names.

    Args:
        init: Folder of a run, or released:PATH.

    Returns:
        The weights, with the joints and colours that they are for.

    Raises:
        MissingFileError: There is no such run or file.
        InputError: It cannot be read.
    """
    if init.startswith(_RELEASED):
        path = Path(init.removeprefix(_RELEASED))
        return Source.of_file(str(path), read_released(path))
    run = _named_run("init", Path(init))
    return Source(f"the run {init}", run.method.state_dict(), run.skeleton, expects_bgr(run.recipe))


def expects_bgr(recipe: Recipe) -> bool:
    """Whether the method feeds its network blue, green, red, as the released weights want it.

    Args:
        recipe: The recipe.

    Returns:
        False for methods that read no images.
    """
    return bool(getattr(recipe.method, "bgr", False))


def write_weights(out: Path, method: Method[Any]) -> None:
    """Write the weights of a method into the folder of its run.

    Args:
        out: Folder of the run.
        method: The method.
    """
    weights = {name: tensor.cpu().contiguous() for name, tensor in method.state_dict().items()}
    write_bytes(out / WEIGHTS, as_safetensors(weights))


def write_record(
    out: Path, method: Method[Any], skeleton: Skeleton, device: torch.device, **told: Any
) -> None:
    """Write run.json, which makes a folder a finished run: last, when all the rest is there, with its weights' digest.

    Args:
        out: Folder of the run.
        method: The method.
        skeleton: Joints of its poses.
        device: Where it computed.
        told: What this run has to say: steps, seconds, training_instants, facts.
    """
    record = {
        "method": type(method).__name__,
        **told,
        "parameters": sum(parameter.numel() for parameter in method.parameters()),
        "inputs": sorted(method.inputs),
        "supervision": sorted(method.supervision),
        "device": str(device),
        "software": {"coview": __version__, "torch": torch.__version__},
        _DIGEST: hashlib.sha256((out / WEIGHTS).read_bytes()).hexdigest(),
        "skeleton": to_plain(skeleton),
    }
    write_text(out / RECORD, json.dumps(record, indent=1))


# --- inside --------------------------------------------------------------------------------------


def _silent(line: str) -> None:
    """Says nothing: the user hears of each thing once, from the first process."""


def _named_run(setting: str, path: Path) -> Run:
    """The finished run that a setting names; FileNotFoundError saying so where it is none."""
    try:
        return load_run(path)
    except FileNotFoundError as error:
        flag = setting.replace("_", "-")
        raise MissingFileError(
            f"this recipe builds on an earlier run ({setting}): {error} Train that one first (`coview train RECIPE "
            f"--out {path}`; docs or the recipe's file say which), or name another with --{flag}."
        ) from error


def _tell(report: Report, learner: Learner, out: Path, say: Callable[[str], None]) -> None:
    """What became of the initial weights: for the record, the folder and the user."""
    learner.facts["init"] = report.summary()
    write_text(out / INIT, json.dumps(report.plain(), indent=1))
    for line in report.lines():
        say(line)


def _finish(learner: Learner, validation: Instants, out: Path) -> None:
    """Write what a finished run holds; the record comes last, because it says that all the rest is there."""
    method, recipe, data = learner.method.eval(), learner.recipe, learner.data
    device = learner.trainer.strategy.root_device
    check_finite(method, recipe)  # the last update has been seen by no loss
    write_weights(out, method)
    if validation.fields >= TRUTH:
        running = scored(method.to(device if "images" in method.inputs else "cpu"), validation)
        about = data.skeleton, "validation", len(validation), method.inputs, running.unscored
        write_evaluation(out / EVALUATION, running.compute(), *about)
        running.embedded.write_map(out / MAP)
    told = {"steps": recipe.steps, "seconds": round(learner.seconds, 2), "training_instants": len(data)}
    write_record(out, method, data.skeleton, device, **told, facts=learner.facts)
    (out / CHECKPOINT).unlink(missing_ok=True)
