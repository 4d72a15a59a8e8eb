"""Evaluates a finished run on validation data."""

from pathlib import Path

from coview.data.base import DataConfig
from coview.data.session_dataset import RecordedConfig
from coview.errors import InputError
from coview.training.device import resolved
from coview.training.evaluation.scoring import TRUTH, scored, write_evaluation
from coview.training.run import load_run, with_base
from coview.training.run_folder import EVALUATION


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
    missing = sorted((loaded.method.inputs | TRUTH) - validation.fields)
    if missing:
        raise InputError(
            f"{kind} has no {', '.join(missing)} for validation: {loaded.record['method']} cannot be "
            f"scored on it. For a session: `coview calibrate` and `coview reconstruct` it first."
        )
    if validation.skeleton != loaded.skeleton:
        raise InputError(
            f"the run predicts joints of {loaded.skeleton.name}, and {kind} has {validation.skeleton.name}: "
            f"their errors cannot be compared. Evaluate on data with the run's skeleton."
        )
    method = loaded.method.to(resolved("auto" if "images" in loaded.method.inputs else "cpu"))
    running = scored(method, validation)
    metrics = running.compute()
    name = EVALUATION if data is None else f"evaluation_{kind.removesuffix('Config').lower()}.json"
    target = out or loaded.path / name
    about = validation.skeleton, kind, len(validation), method.inputs, running.unscored
    write_evaluation(target, metrics, *about)
    running.embedded.write_map(target.with_name(target.stem.replace("evaluation", "embedding") + ".csv"))
    return metrics
