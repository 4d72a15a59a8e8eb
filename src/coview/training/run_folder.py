"""The folder of a run: names of its files, comparison with a recipe, and clearing."""

import json
from contextlib import suppress
from pathlib import Path

from coview.errors import InputError
from coview.formats.io.text import read_json
from coview.training.checkpoint import Checkpoint
from coview.training.evaluation.embedded import MAP
from coview.training.pseudo import FILE as PSEUDO
from coview.training.recipe import Recipe, differences, from_plain, to_plain

RECIPE, WEIGHTS, HISTORY, RECORD = "recipe.json", "weights.safetensors", "history.csv", "run.json"
EVALUATION, CHECKPOINT, INIT = "evaluation.json", "checkpoint.safetensors", "init.json"
_OURS = (RECIPE, WEIGHTS, HISTORY, RECORD, EVALUATION, CHECKPOINT, INIT, PSEUDO, MAP)


def difference(path: Path, recipe: Recipe) -> str:
    """How the run in a folder differs from a recipe, in words.

    Args:
        folder with a recipe but neither checkpoint nor weights is no run: nothing was learnt in it.
        path: The folder.
        recipe: The recipe asked for.

    Returns:
        The differing settings; empty where there are none, or no run.
    """
    learnt = any((path / name).is_file() for name in (RECORD, CHECKPOINT, WEIGHTS))
    if not learnt or not (path / RECIPE).is_file():
        return ""
    try:
        old = read_json(path / RECIPE)
    except ValueError:
        old = None
    with suppress(
        ValueError, TypeError, LookupError
    ):  # what did not exist when it was written has its default
        old = json.loads(json.dumps(to_plain(from_plain(old, Recipe))))
    new = json.loads(json.dumps(to_plain(recipe)))
    return differences(old, new) if isinstance(old, dict) else f"its {RECIPE} is damaged"


def opened(recipe: Recipe, out: Path, overwrite: bool) -> Checkpoint | None:
    """Make the folder of a run, or check that it holds an interrupted run of this recipe.

    Args:
        recipe: The recipe.
        out: The folder.
        overwrite: Whether an earlier run may be lost.

    Returns:
        The checkpoint to resume from, or None.

    Raises:
        InputError: The folder holds a run of another recipe, or weights that were never trained, and `overwrite` is not
            set.
    """
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob(".*.part*"):  # a kill may leave these behind
        stale.unlink()
    if overwrite:
        return None
    if untrained(out):
        raise InputError(
            f"{out} holds weights that `coview evaluate --init` measured without training them. "
            f"Choose another folder with --out, or lose these with --overwrite."
        )
    if words := difference(out, recipe):
        raise InputError(
            f"{out} holds a run of another recipe: {words}. "
            f"Choose another folder with --out, or lose that run with --overwrite."
        )
    return Checkpoint.load(out / CHECKPOINT) if (out / CHECKPOINT).is_file() else None


def untrained(path: Path) -> bool:
    """Whether a folder is a run of weights that were only evaluated, not trained.

    Args:
        path: The folder.

    Returns:
        False for any other run, and where there is none.
    """
    try:
        return bool(read_json(path / RECORD)["steps"] == 0)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def clear(out: Path) -> None:
    """Remove the files of an earlier run; the record first, because it marks a complete run.

    Args:
        out: The folder.
    """
    for name in (RECORD, *_OURS):
        (out / name).unlink(missing_ok=True)


def check_apart(recipe: Recipe, out: Path) -> None:
    """Check that no run that the recipe builds on lies in the folder to be written.

    Args:
        recipe: The recipe.
        out: Folder of the new run.

    Raises:
        InputError: One does; it would be overwritten.
    """
    named = {"init": recipe.init, "base_from": recipe.base_from, "first_from": recipe.first_from}
    named["joints2d_from"] = recipe.joints2d_from
    named["pseudo.detector"] = recipe.pseudo.detector
    for name, folder in named.items():
        if folder and Path(folder).resolve() == out.resolve():
            raise InputError(
                f"{name} names {folder}, the folder that this run is to be written to. Choose another with --out."
            )
