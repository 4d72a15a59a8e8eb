"""Predicts 3D poses from one camera: a finished run applied to the 2D joints of a session or a file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from coview.data.session_dataset import RecordedConfig
from coview.errors import InputError
from coview.formats.io.atomic import write_text
from coview.formats.session.session import FILE as SESSION_FILE
from coview.formats.session.session import Session
from coview.methods.shared.base import CameraPoses, CanonicalPoses, MetricCameraPoses
from coview.sample import MultiView
from coview.training.evaluation.compare import Comparison, compare, reconstructed
from coview.training.history import History
from coview.training.prediction.prediction_files import FOLDER, Prediction, folder_for, write_prediction
from coview.training.prediction.single_view_inputs import View, mean_bone_length, read_views
from coview.training.recipe import to_plain
from coview.training.run import Run, load_run
from coview.training.run_folder import HISTORY, WEIGHTS

_FROM_2D = frozenset({"joints2d", "confidence", "image_size"})  # what 2D joint files can give
# Ours: no network here has left its random start before so many updates, and a loss that has not lost
# a tenth has not been learned from.
_FEWEST_STEPS, _FALLEN = 200, 0.9
_CLAIMED = "the model's own, by mean limb lengths of people: nobody measured this person"


@dataclass(frozen=True)
class Lifted(Prediction):
    """A prediction just made, and how it compares."""

    # with the session's reconstruction
    comparison: Comparison | None = None
    # why not
    not_compared: str = ""
    # why these poses may be wrong, in sentences
    warnings: tuple[str, ...] = ()


def predict(
    run: Path,
    source: Path,
    *,
    camera: str | None = None,
    out: Path | None = None,
    size: tuple[int, int] | None = None,
    skeleton: str | None = None,
) -> list[Lifted]:
    """Predict 3D poses of every frame from single cameras, written as <out>/<camera>.npz and .csv.

    In a reconstructed session the poses are compared with the reconstruction, and <camera>.json holds the result.
    Joints that the 2D joints cannot give count as not detected, which a warning says.

    Args:
        run: Folder of a finished run whose method reads 2D joints.
        source: A session, a 2D joint file (JSON, COCO results, npz) or an OpenPose folder.
        camera: Camera of the session; default: all, one at a time.
        out: Folder to write; default: predictions/<run> in the session, or predictions in the run's folder.
        size: Width and height of the image in pixels, where a file does not state it.
        skeleton: Skeleton of a file that does not state it.

    Returns:
        One prediction per camera.

    Raises:
        InputError: Something that the method needs is not known; the text names it.
        UnknownNameError: The 2D joints cannot give the root joint, or the session has no such camera.
    """
    loaded, source = load_run(run), Path(source)
    check_reads_joints(loaded)
    session = Session.load(source) if (source / SESSION_FILE).is_file() else None
    views = read_views(source, loaded.skeleton, camera=camera, size=size, skeleton=skeleton)
    folder = Path(out) if out else folder_for(source, loaded.path) if session else loaded.path / FOLDER
    warnings = tuple(barely_trained(loaded))
    return [_predicted(loaded, view, folder, source, session, warnings) for view in views]


def check_reads_joints(run: Run) -> None:
    """Check that a run's method needs no more than one camera's 2D joints, image size and intrinsics.

    Args:
        run: The run.

    Raises:
        InputError: It reads more; the text names it.
    """
    intrinsics = {"cameras"} if run.method.intrinsics_only else set()
    unmet = sorted(run.method.inputs - _FROM_2D - intrinsics)
    if unmet:
        raise InputError(
            f"{run.record['method']} reads {', '.join(unmet)}, which 2D joints do not hold. "
            + (
                "It corrects the poses of another run and is a stage of `coview train` and `coview evaluate`; predict "
                f"with that run, {run.recipe.first_from}."
                if unmet == ["first_guess"]
                else "Predict with a run that reads 2D joints."
            )
        )


def barely_trained(run: Run) -> Iterator[str]:
    """Warnings about a run that has hardly been trained: too few steps, or a loss that did not fall.

    Args:
        run: The run.

    Returns:
        Sentences; none for a run as it should be.
    """
    steps = int(run.record["steps"])
    if steps == 0:
        yield f"The model was not trained by coview: {run.record['facts'].get('init', 'weights as they were')}."
    elif steps < _FEWEST_STEPS:
        yield f"The model has had {steps} training steps; with fewer than {_FEWEST_STEPS} it has learned nothing."
    losses = [row["loss"] for row in History.load(run.path / HISTORY).rows if "loss" in row]
    if len(losses) > 1 and min(losses) > _FALLEN * losses[0]:
        yield (
            f"The training loss hardly fell (from {losses[0]:.3g} to {min(losses):.3g} at best): look at the "
            f"curves with `coview report {run.path}`."
        )


def _unseen(run: Run, view: View) -> Iterator[str]:
    """Why the poses may be wrong, in a sentence, where the model is not given all of its joints."""
    if view.absent:
        yield (
            f"The 2D joints hold no {', '.join(view.absent)}, which the model was trained on: it takes "
            f"{'it' if len(view.absent) == 1 else 'them'} as never seen, and may do worse than on the joints of "
            f"{run.skeleton.name}."
        )


@torch.no_grad()
def lift_view(run: Run, view: View) -> tuple[Tensor, View]:
    """Root-centred poses of every frame in camera axes, scaled to one mean bone length.

    Args:
        run: The run whose method predicts.
        view: 2D joints of one camera.

    Returns:
        Poses (frames, joints, 3), and the view with the bone length that they have: the given one, else the model's
        own; where it is None the poses have a mean bone length of 1 and no unit.

    Raises:
        InputError: The method needs something that is not known of the view, or predicts no poses in camera axes.
    """
    found = _lift(run, view)
    points = found.joints3d[:, 0]
    own = mean_bone_length(points, run.skeleton, view.bones)
    if isinstance(found, MetricCameraPoses) and not view.bone_length:
        view = replace(view, bone_length=float(own.nanmedian()), bone_source=_CLAIMED)
    # every frame comes in a size of its own; a person's bones are as long in all of them
    return points / own[:, None, None] * (view.bone_length or 1.0), view


def _predicted(
    run: Run, view: View, folder: Path, source: Path, session: Session | None, warnings: tuple[str, ...]
) -> Lifted:
    warnings += tuple(_unseen(run, view))
    points, view = lift_view(run, view)
    comparison, why = None, "the source is not a session"
    if session:
        reference, why = reconstructed(session, view.name, run.skeleton)
        comparison = None if reference is None else compare(points, reference, run.skeleton)
    lifted = Lifted(
        camera=view.name,
        points=points,
        unit="m" if view.bone_length else "mean bone length",
        scale_source=view.bone_source if view.bone_length else f"none: {view.bone_source}",
        fps=view.fps,
        skeleton=run.skeleton,
        path=folder / f"{view.name}.npz",
        provenance=_provenance(run, source, warnings) | _made_from(session),
        comparison=comparison,
        not_compared=why,
        warnings=warnings + tuple(f"{view.name}: {said}" for said in _warnings(comparison)),
    )
    write_prediction(lifted)
    if comparison is not None:
        content = lifted.provenance | comparison.plain(run.skeleton)
        write_text(lifted.path.with_suffix(".json"), json.dumps(content, indent=1))
    return lifted


def _lift(run: Run, view: View) -> CameraPoses:
    """What the method says about every frame; any size. ValueError where it can say nothing at all."""
    if view.size is None and "image_size" in run.method.inputs:
        raise InputError(
            f"the image size of '{view.name}' is not known, and this model needs the image centre. "
            f"Pass --size <width> <height>."
        )
    batch = MultiView(run.skeleton, joints2d=view.joints2d[:, None], confidence=view.confidence[:, None])
    if view.size is not None:
        batch = batch.replaced(image_size=view.size.expand(len(view.joints2d), 1, 2))
    if "cameras" in run.method.inputs:
        if view.lens is None:
            raise InputError(
                f"the intrinsics of '{view.name}' are not known, and {run.record['method']} measures angles with them. "
                f"Predict on a session of known intrinsics: import it with a calibration, or run `coview calibrate`."
            )
        batch = batch.replaced(cameras=view.lens.expand(len(view.joints2d))[:, None])
    predicted = run.method(batch.only(run.method.inputs))
    if isinstance(predicted, CanonicalPoses):
        raise InputError(
            f"{run.record['method']} predicts canonical poses, turned until the left hip points along x. Files of "
            f"predictions hold camera axes, and the azimuth between the two is just what it cannot tell. "
            f"`coview evaluate` measures it; for poses in camera axes train another method, as coview_session."
        )
    if not isinstance(predicted, CameraPoses):
        raise InputError(f"{run.record['method']} does not predict 3D poses from one camera.")
    points = predicted.joints3d[:, 0]
    _check_finite(points, run, view)
    return predicted


def _check_finite(points: Float[Tensor, "frames joints 3"], run: Run, view: View) -> None:
    """A pose is unknown where the root is not seen; elsewhere an answer that is no number is the model's."""
    root = run.skeleton.root
    seen = view.confidence[:, run.skeleton.joints.index(root)] > 0
    if not bool(seen.any()):
        raise InputError(f"'{view.name}': the root joint ({root}) is seen in none of {len(points)} frames.")
    if bool(points.isinf().any()) or not bool(points[seen].isfinite().any()):
        raise InputError(
            f"'{view.name}': the model's answers are not finite, although the root joint is seen in {int(seen.sum())} "
            f"frames. The weights of the run {run.path} are damaged or diverged; put {WEIGHTS} back as it was, or "
            f"train again with --overwrite."
        )


def _warnings(comparison: Comparison | None) -> tuple[str, ...]:
    return () if comparison is None else comparison.warnings


def _made_from(session: Session | None) -> dict[str, str]:
    return {} if session is None else {"tracks_hash": session.tracks_fingerprint}


def _provenance(run: Run, source: Path, warnings: tuple[str, ...]) -> dict[str, str]:
    data = run.recipe.data
    own = isinstance(data, RecordedConfig) and source.resolve() in [path.resolve() for path in data.sessions]
    labels = "its 3D joints as labels" if "joints3d" in run.method.supervision else "no 3D labels"
    return {
        "run": str(run.path.resolve()),
        "method": str(run.record["method"]),
        "steps": str(run.record["steps"]),
        "trained_on": f"this very session, with {labels}" if own else type(data).__name__,
        "recipe": json.dumps(to_plain(run.recipe)),
        "source": str(source.resolve()),
        "doubts": " ".join(warnings),
    }
