"""3D from one camera: a finished run applied to the 2D joints of a session or a file."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview import __version__
from coview.formats.atomic import replacing, write_text
from coview.methods.base import CameraPoses
from coview.sample import MultiView
from coview.skeletons import Skeleton
from coview.training.run import Run, load_run
from coview.training.views import View, mean_bone_length, read_views

_FROM_2D = frozenset({"joints2d", "confidence", "image_size"})  # what 2D joint files can give
AXES = "camera: x right, y down, z forward; the root joint is the origin"


@dataclass(frozen=True)
class Prediction:
    """Poses of one camera. A 2D picture has no size: read `unit` before using a number as metres."""

    camera: str
    points: Float[Tensor, "frames joints 3"]  # root-centred, camera axes; NaN where the root was not seen
    unit: Literal["m", "mean bone length"]
    scale_source: str
    fps: float | None
    skeleton: Skeleton
    path: Path  # of the npz file; the CSV file stands beside it


def predict(
    run: Path,
    source: Path,
    *,
    camera: str | None = None,
    out: Path | None = None,
    size: tuple[int, int] | None = None,
    skeleton: str | None = None,
) -> list[Prediction]:
    """Poses of every frame, one camera at a time, as <out>/<camera>.npz and .csv.

    `source`: a session (all of its cameras, or `camera`), a 2D joint file (JSON, COCO results, npz) or
    an OpenPose folder. `size` (width, height) and `skeleton` say what a file does not. `out`: default
    is `predictions` in the run's folder. Raises ValueError, naming it, where something is not known."""
    loaded = load_run(run)
    unmet = sorted(loaded.method.inputs - _FROM_2D)
    if unmet:
        raise ValueError(f"{loaded.record['method']} reads {', '.join(unmet)}, which 2D joints do not hold.")
    views = read_views(Path(source), loaded.skeleton, camera=camera, size=size, skeleton=skeleton)
    folder = Path(out) if out else loaded.path / "predictions"
    return [_predicted(loaded, view, folder) for view in views]


@torch.no_grad()
def _predicted(run: Run, view: View, folder: Path) -> Prediction:
    if view.size is None and "image_size" in run.method.inputs:
        raise ValueError(
            f"the image size of '{view.name}' is not known, and this model needs the image centre. "
            f"Pass --size <width> <height>."
        )
    batch = MultiView(run.skeleton, joints2d=view.joints2d[:, None], confidence=view.confidence[:, None])
    if view.size is not None:
        batch = batch.replaced(image_size=view.size.expand(len(view.joints2d), 1, 2))
    predicted = run.method(batch.only(run.method.inputs))
    if not isinstance(predicted, CameraPoses):
        raise ValueError(f"{run.record['method']} predicts in the world frame, not from one camera.")
    points = predicted.joints3d[:, 0]
    if not bool(points.isfinite().any()):
        root = run.skeleton.root
        raise ValueError(f"'{view.name}': the root joint ({root}) is seen in none of {len(points)} frames.")
    # every frame comes in a size of its own; a person's bones are as long in all of them
    points = points / mean_bone_length(points, run.skeleton)[:, None, None] * (view.bone_length or 1.0)
    prediction = Prediction(
        camera=view.name,
        points=points,
        unit="m" if view.bone_length else "mean bone length",
        scale_source=view.bone_source if view.bone_length else f"none: {view.bone_source}",
        fps=view.fps,
        skeleton=run.skeleton,
        path=folder / f"{view.name}.npz",
    )
    _write_npz(prediction, run)
    _write_csv(prediction)
    return prediction


def _write_npz(prediction: Prediction, run: Run) -> None:
    words: dict[str, Any] = {
        "points": prediction.points.numpy(),
        "joint_names": np.array(prediction.skeleton.joints),
        "skeleton": np.array(prediction.skeleton.name),
        "units": np.array(prediction.unit),
        "scale_source": np.array(prediction.scale_source),
        "axes": np.array(AXES),
        "fps": np.array(np.nan if prediction.fps is None else prediction.fps),
        "method": np.array(run.record["method"]),
        "software": np.array(f"coview {__version__}"),
    }
    with replacing(prediction.path) as temporary:
        np.savez_compressed(temporary, **words)


def _write_csv(prediction: Prediction) -> None:
    """One row per frame; the first lines begin with # and say units and axes; gaps are blank."""
    unit = "m" if prediction.unit == "m" else "bones"
    text = io.StringIO()
    text.write(f"# units: {prediction.unit}; scale: {prediction.scale_source}; axes: {AXES}\n")
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{joint}_{axis}_{unit}" for joint in prediction.skeleton.joints for axis in "xyz"]
    writer.writerow(["frame", *columns])
    for number, row in enumerate(prediction.points.flatten(1).tolist()):
        writer.writerow([number, *(f"{value:.6f}" if value == value else "" for value in row)])
    write_text(prediction.path.with_suffix(".csv"), text.getvalue())
