"""Commands on models: train, evaluate, predict, recipes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import arg

from coview.cli.arguments import OptionalFolder, OptionalSession, RunFolder, Size
from coview.cli.recipe_help import show_help
from coview.cli.say import note, say
from coview.errors import InputError

if TYPE_CHECKING:
    from coview.training.prediction.predict import Lifted
    from coview.training.recipe import Recipe

_FOR_SESSIONS = "coview_session"  # what a recording trains where no recipe is named


def train(arguments: list[str]) -> None:
    """Train a recipe: `train [RECIPE] [--data SESSION] [--init RUN] [--out DIR] [--overwrite] [flags of the recipe]`.

    Without RECIPE a session trains coview_session."""
    if not arguments or arguments[0] in ("-h", "--help"):
        _say_recipes()
        return
    options, rest = _take(arguments, {"--out": None, "--data": None})
    data = options["--data"]
    name, rest = _recipe_name(rest, data)
    if show_help(name, rest, lambda: _asked(name, data, rest), keep=data is None):
        return
    from coview.training.run import summary_line
    from coview.training.run import train as learn

    overwrite = "--overwrite" in rest
    recipe = _asked(name, data, [argument for argument in rest if argument != "--overwrite"])
    out = options["--out"] or (f"runs/{name}" if data is None else f"{data}/models/{name}")
    say(summary_line(learn(recipe, Path(out), overwrite=overwrite, say=say)))


def _say_recipes() -> None:
    """What `coview train` can do; only the first sentences of the recipes' files are read."""
    from coview import recipes as available

    say(
        "usage: coview train [RECIPE] [--data SESSION] [--init RUN] [--out DIR] [--overwrite] [flags of the recipe]\n"
        f"       --data SESSION trains on a recording; without RECIPE that is {_FOR_SESSIONS}\n"
        "       --init RUN, or --init released:PATH, starts from weights that somebody has trained\n"
        "       --out DIR is the folder of the run; default: runs/RECIPE, or models/RECIPE in the session\n"
        "       --overwrite trains again where another recipe's run is in the way\n"
        "       coview train RECIPE --help shows the flags of a recipe; coview recipes says what each one reads\n\n"
        "recipes:"
    )
    for name, about in available.summaries().items():
        say(f"{name:33s} {about}")


def _asked(name: str, data: str | None, flags: list[str]) -> "Recipe":
    """The recipe of that name, on a session where one is given, with what its flags say."""
    from dataclasses import replace

    from coview import recipes as available
    from coview.data.session_dataset import RecordedConfig

    recipe = available.load(name)
    if data is not None:
        _check_session(Path(data))
        recipe = replace(recipe, data=RecordedConfig(sessions=(Path(data),)))
    return tyro.cli(type(recipe), default=recipe, args=flags, prog=f"coview train {name}")


def _recipe_name(arguments: list[str], data: str | None) -> tuple[str, list[str]]:
    """The recipe, and what follows it. ValueError where neither a recipe nor a session is named."""
    if arguments and not arguments[0].startswith("-"):
        return arguments[0], arguments[1:]
    if data is None:
        raise InputError(
            "which recipe? Name one of `coview recipes` first, as in `coview train canonpose_mocap4`, or give a "
            "recording with --data SESSION."
        )
    return _FOR_SESSIONS, arguments


def _check_session(folder: Path) -> None:
    """ValueError where prepared motion was given as a session; what else is wrong, the data says."""
    from coview.data.mocap.clips import META
    from coview.formats.session.session import FILE

    if (folder / META).is_file() and not (folder / FILE).is_file():
        raise InputError(
            f"{folder} holds prepared motion ({META}), and --data takes a recorded session ({FILE}). "
            f"Name it with --data.folder {folder}, which recipes ending in _mocap4 have."
        )


def _take(arguments: list[str], options: dict[str, str | None]) -> tuple[dict[str, str | None], list[str]]:
    """Options with a value, taken out of the arguments; both `--out X` and `--out=X`."""
    found, rest, waiting = dict(options), [], None
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if waiting is not None:
            found[waiting], waiting = argument, None
        elif key in options and equals:
            found[key] = value
        elif key in options:
            waiting = key
        else:
            rest.append(argument)
    if waiting is not None:
        raise InputError(f"{waiting} needs a value.")
    return found, rest


def evaluate(
    run: RunFolder,
    /,
    *,
    data: OptionalSession = None,
    init: Annotated[str | None, arg(metavar="released:FILE")] = None,
) -> None:
    """Measure a trained model where the truth is known; or, with --init, weights that somebody else has trained.

    `coview evaluate --init released:FILE RECIPE [--out DIR] [flags of the recipe]` measures the weights as they are.

    Args:
        run: Folder made by `coview train`; with --init the name of a recipe.
        data: A calibrated and reconstructed session to test on (its last fifth); default: the recipe's data.
        init: Weights to measure without training them: released:FILE for a file of the authors, or another run.
    """
    if init is not None:
        given = [] if data is None else ["--data", str(data)]
        return evaluate_weights([str(run), "--init", init, *given])
    from coview.data.session_dataset import RecordedConfig
    from coview.training.evaluation.evaluate import evaluate as measure

    _say_metrics(measure(run, None if data is None else RecordedConfig(sessions=(data,))))
    return None


def evaluate_weights(arguments: list[str]) -> None:
    """`evaluate --init WEIGHTS RECIPE [--data SESSION] [--out DIR] [--overwrite] [flags of the recipe]`.

    Args:
        arguments: The command line after `coview evaluate`.
    """
    options, rest = _take(arguments, {"--out": None, "--data": None, "--init": None})
    data, overwrite = options["--data"], "--overwrite" in rest
    name, rest = _recipe_name([argument for argument in rest if argument != "--overwrite"], data)
    if show_help(name, rest, lambda: _asked(name, data, rest), keep=data is None):
        return
    from dataclasses import replace

    from coview.training.evaluation.evaluate import evaluate_untrained

    recipe = replace(_asked(name, data, rest), init=options["--init"] or "")
    out = Path(
        options["--out"] or (f"runs/{name}_untrained" if data is None else f"{data}/models/{name}_untrained")
    )
    metrics = evaluate_untrained(recipe, out, overwrite=overwrite, say=say)
    say(f"not trained: the weights of {recipe.init} as they are -> {out}")
    _say_metrics(metrics)


def asks_for_weights(arguments: list[str]) -> bool:
    """Whether `coview evaluate` is given weights to measure, so that the flags are those of a recipe.

    Args:
        arguments: The command line after `coview evaluate`.
    """
    return any(argument == "--init" or argument.startswith("--init=") for argument in arguments)


def _say_metrics(metrics: dict[str, float]) -> None:
    for name, value in metrics.items():
        say(f"{name:18s} {value:.2f}")


def predict(
    run: RunFolder,
    source: Annotated[Path, arg(metavar="SOURCE")],
    /,
    *,
    camera: Annotated[str | None, arg(metavar="CAMERA")] = None,
    out: OptionalFolder = None,
    size: Size = None,
    skeleton: str | None = None,
) -> None:
    """3D joints from one camera's 2D joints, by a trained model.

    Args:
        run: Folder made by `coview train`.
        source: A session, or a file or folder of 2D joints.
        camera: Which camera of the session; default: each of them, one at a time.
        out: Folder to write to (npz and csv per camera); default: `predictions/<run>` in the session, where
            the report finds them, or `predictions` in the run.
        size: Width and height of the image in pixels, where a file does not say.
        skeleton: Joint order of a file that does not say.
    """
    from coview.training.prediction.predict import predict as lift

    lifted = lift(run, source, camera=camera, out=out, size=size, skeleton=skeleton)
    for one in lifted:
        seen = one.points.isfinite().all(dim=-1).float().mean()
        say(f"{one.camera:15s} {seen:.0%} of the joints, in units of {one.unit} ({one.scale_source})")
        for line in _compared(one):
            say(f"{'':15s} {line}")
        say(f"{'':15s} {one.path}")
    note(dict.fromkeys(words for one in lifted for words in one.warnings))


def _compared(lifted: "Lifted") -> list[str]:
    """How one camera's poses agree with the reconstruction, and how a guess would."""
    found, skeleton = lifted.comparison, lifted.skeleton
    if found is None:
        return [f"not compared: {lifted.not_compared}"]
    without = f"; without {', '.join(found.unscored)}, never reconstructed" if found.unscored else ""
    return [
        f"this model: {found.model}",
        f"mean pose:  {found.mean_pose} (of the session, in every frame: what guessing would give)",
        f"            against the multi-view reconstruction, which is not truth; {found.frames} frames; N- of "
        f"{len(skeleton) - 1} joints of {skeleton.name} (root-aligned, least-squares scaled), P- of "
        f"{len(skeleton)} (similarity alignment without reflection){without}",
    ]


def recipes() -> None:
    """What `coview train` can run, and what each method needs."""
    from coview.recipes import needs

    for row in needs():
        say(
            f"{row['recipe']:24s} {row['method']}: reads {row['reads at test time']}; "
            f"in training besides: {row['reads in training besides']}"
        )
