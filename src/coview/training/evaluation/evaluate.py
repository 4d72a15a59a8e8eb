"""Evaluates a finished run, or weights as their authors released them, on validation data."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from coview.data.base import DataConfig, Instants
from coview.data.session_dataset import RecordedConfig
from coview.errors import InputError
from coview.formats.io.atomic import write_text
from coview.methods.shared.base import Method
from coview.training.device import check_device, resolved
from coview.training.evaluation.scoring import TRUTH, Score, scored, write_evaluation
from coview.training.pretrained import Report, initialise
from coview.training.recipe import Recipe, numerics_notes, to_plain
from coview.training.run import expects_bgr, load_run, weights_of, with_base, write_record, write_weights
from coview.training.run_folder import (
    CHECKPOINT,
    EVALUATION,
    INIT,
    RECIPE,
    RECORD,
    check_apart,
    clear,
    untrained,
)

_TRAINED = "trained by coview"  # what an evaluation says of the weights of any other run


def evaluate(run: Path, data: DataConfig | None = None, out: Path | None = None) -> dict[str, float]:
    """Metrics of a finished run on validation data, written to a file with their definitions.

    Sessions are read as joints of the run's skeleton; joints that they lack are neither input nor scored.

    Args:
        run: Folder of a finished run.
        data: Data to evaluate on; default: the data of the run's recipe.
        out: File to write; default: evaluation.json in the run's folder, or evaluation_<data>.json for other data.

    Returns:
        Name of the metric -> value.

    Raises:
        InputError: The data has no 3D ground truth, lacks an input of the method, or has another skeleton.
    """
    loaded = load_run(run)
    config = data or loaded.recipe.data
    if isinstance(data, RecordedConfig):
        config = data.on(loaded.skeleton)
    validation = with_base(loaded.recipe, config.validation(), "validation", loaded.path, config)
    kind = type(config).__name__
    check_scorable(loaded.method, validation, kind)
    if validation.skeleton != loaded.skeleton:
        raise InputError(
            f"the run predicts joints of {loaded.skeleton.name}, and {kind} has {validation.skeleton.name}: "
            f"their errors cannot be compared. Evaluate on data with the run's skeleton."
        )
    method = loaded.method.to(resolved("auto" if "images" in loaded.method.inputs else "cpu"))
    name = EVALUATION if data is None else f"evaluation_{kind.removesuffix('Config').lower()}.json"
    weights = _not_trained(loaded.recipe) if untrained(loaded.path) else _TRAINED
    running = scored(method, validation)
    return _written(running, method, validation, out or loaded.path / name, kind, weights)


def evaluate_untrained(
    recipe: Recipe,
    out: Path,
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, float]:
    """Metrics of weights as they are, such as those that the authors of a paper released: nothing is trained.

    No step is made and no batch is seen in training mode, so that every weight and every statistic of a normalisation
    stays what it was. The folder becomes a run of 0 steps, which `evaluate`, `coview reconstruct` and recipes that
    build on a run (`base_from`) take like any other.

    Args:
        recipe: Method and data; its `init` names the weights.
        out: Folder of the run to write.
        overwrite: Whether a trained run in the folder may be lost.
        say: Is given lines for the user: what became of the weights.

    Returns:
        Name of the metric -> value.

    Raises:
        InputError: The weights do not determine the whole method, or are of another depth; the data has no 3D ground
            truth or lacks an input of the method; the folder holds a trained run and `overwrite` is not set.
        MissingFileError: There are no such weights.
    """
    if not recipe.init:
        raise InputError("which weights? Name them: --init released:FILE, or --init RUN.")
    check_device(recipe.device)
    check_apart(recipe, out)
    if not (overwrite or untrained(out)):
        _check_free(out)
    source = weights_of(recipe.init)
    kind = type(recipe.data).__name__
    validation = recipe.data.validation()
    with torch.random.fork_rng():
        method = recipe.method.build(validation.skeleton).eval()
    report = initialise(method, validation.skeleton, source, bgr=expects_bgr(recipe))
    _check_whole(report, method)
    validation = with_base(recipe, validation, "validation", out)
    check_scorable(method, validation, kind)
    for line in (*report.lines(), *numerics_notes(recipe, released=bool(source.released))):
        say(line)
    device = resolved(recipe.device) if "images" in method.inputs else torch.device("cpu")
    running = scored(method.to(device), validation)
    # only now: what is wrong with a command is said before it costs an earlier run
    out.mkdir(parents=True, exist_ok=True)
    clear(out)
    write_text(out / RECIPE, json.dumps(to_plain(recipe), indent=1))
    write_text(out / INIT, json.dumps(report.plain(), indent=1))
    write_weights(out, method)
    words = _not_trained(recipe)
    metrics = _written(running, method, validation, out / EVALUATION, kind, words)
    facts = {"init": report.summary(), "weights": words}
    told = {"steps": 0, "seconds": 0.0, "training_instants": 0, "facts": facts}
    write_record(out, method, validation.skeleton, device, **told)
    return metrics


def check_scorable(method: Method[Any], validation: Instants, kind: str) -> None:
    """Check that a method can be scored on some data.

    Args:
        method: The method.
        validation: The data.
        kind: Name of its class, for the message.

    Raises:
        InputError: The data lacks an input of the method, or the 3D ground truth.
    """
    missing = sorted((method.inputs | TRUTH) - validation.fields)
    if missing:
        raise InputError(
            f"{kind} has no {', '.join(missing)} for validation: {type(method).__name__} cannot be "
            f"scored on it. For a session: `coview calibrate` and `coview reconstruct` it first."
        )


# --- inside --------------------------------------------------------------------------------------


def _written(
    running: Score, method: Method[Any], validation: Instants, target: Path, kind: str, weights: str
) -> dict[str, float]:
    """Metrics with their definitions, in a file."""
    metrics = running.compute()
    about = validation.skeleton, kind, len(validation), method.inputs, running.unscored
    write_evaluation(target, metrics, *about, weights)
    running.embedded.write_map(target.with_name(target.stem.replace("evaluation", "embedding") + ".csv"))
    return metrics


def _check_free(out: Path) -> None:
    """InputError where a trained run, or an interrupted one, would be lost."""
    if any((out / name).is_file() for name in (RECORD, CHECKPOINT)):
        raise InputError(
            f"{out} holds a trained run. Choose another folder with --out, or lose that run with --overwrite."
        )


def _check_whole(report: Report, method: Method[Any]) -> None:
    """InputError where a part of the method would be random: its errors would say nothing about the weights."""
    # how many batches a normalisation has seen counts in training alone, and early versions of PyTorch did not keep it
    random = [name for name in report.started if not name.endswith("num_batches_tracked")] + report.partial
    if random:
        raise InputError(
            f"{report.source} does not hold all of {type(method).__name__}: {len(random)} of its "
            f"{len(method.state_dict())} weights, for example {random[0]}, would be random, and the errors would say "
            f"nothing. {' '.join((*report.notes, ''))}Name the file of the whole network, or train: "
            f"`coview train RECIPE --init ...`."
        )


def _not_trained(recipe: Recipe) -> str:
    return f"not trained: those of {recipe.init} as they are"
