"""Reads and writes poses predicted from one camera: npz with metadata, and CSV."""

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from coview import __version__
from coview.errors import InputError
from coview.formats.io.atomic import replacing, write_text
from coview.formats.io.damage import reader
from coview.formats.io.untrusted import read_npz
from coview.skeletons import Skeleton

AXES = "camera: x right, y down, z forward; the root joint is the origin"
FOLDER = "predictions"  # of a session: predictions/<run>/<camera>.npz; of a run, for other sources


@dataclass(frozen=True)
class Prediction:
    """Poses of one camera. A 2D picture has no size: read `unit` before using a number as metres."""

    camera: str
    # root-centred, camera axes; NaN where the root was not seen
    points: Float[Tensor, "frames joints 3"]
    unit: Literal["m", "mean bone length"]
    scale_source: str
    fps: float | None
    skeleton: Skeleton
    # of the npz file; the CSV file stands beside it
    path: Path
    # run, method, recipe, steps, source: in words
    provenance: dict[str, str] = field(default_factory=dict)


def write_prediction(prediction: Prediction) -> None:
    """Write a prediction as npz at its `path`, and as CSV beside it, each atomically.

    Args:
        prediction: The prediction.
    """
    skeleton = prediction.skeleton
    words: dict[str, Any] = {
        "points": prediction.points.numpy(),
        "joint_names": np.array(skeleton.joints),
        "bones": np.array(skeleton.bones, dtype=np.str_).reshape(-1, 2),
        "left_right": np.array(skeleton.left_right, dtype=np.str_).reshape(-1, 2),
        "root": np.array(skeleton.root),
        "skeleton": np.array(skeleton.name),
        "camera": np.array(prediction.camera),
        "units": np.array(prediction.unit),
        "scale_source": np.array(prediction.scale_source),
        "axes": np.array(AXES),
        "fps": np.array(np.nan if prediction.fps is None else prediction.fps),
        "method": np.array(prediction.provenance.get("method", "unknown")),
        "provenance": np.array(json.dumps(prediction.provenance)),
        "software": np.array(f"coview {__version__}"),
    }
    with replacing(prediction.path) as temporary:
        np.savez_compressed(temporary, **words)
    _write_csv(prediction)


@reader("predicted 3D joints")
def read_prediction(path: Path) -> Prediction:
    """Read a file of `write_prediction`.

    Args:
        path: The npz file.

    Returns:
        The prediction.

    Raises:
        InputError: Something is missing or foreign in the file; the text names it.
    """
    arrays = read_npz(path)
    try:
        fps, unit = float(arrays["fps"]), str(arrays["units"])
        if unit not in ("m", "mean bone length") or str(arrays["axes"]) != AXES:
            raise InputError(f"{path} holds units '{unit}' and axes '{arrays['axes']}', which are not ours.")
        return Prediction(
            camera=str(arrays["camera"]),
            points=torch.from_numpy(arrays["points"]),
            unit="m" if unit == "m" else "mean bone length",
            scale_source=str(arrays["scale_source"]),
            fps=fps if fps == fps else None,
            skeleton=_skeleton(arrays),
            path=path,
            provenance=json.loads(str(arrays["provenance"])),
        )
    except KeyError as error:
        raise InputError(
            f"{path} holds no prediction that can be shown: {error} is missing. Delete it, and run "
            f"`coview predict` again."
        ) from error


def find_predictions(session: Path) -> dict[str, tuple[Prediction, ...]]:
    """All predictions in a session.

    Args:
        session: Folder of the session.

    Returns:
        Name of the run's folder -> its predictions, by name of the camera.
    """
    folders = sorted(path for path in (session / FOLDER).glob("*") if path.is_dir())
    found = {path.name: tuple(map(read_prediction, sorted(path.glob("[!.]*.npz")))) for path in folders}
    return {name: predictions for name, predictions in found.items() if predictions}


def folder_for(session: Path, run: Path) -> Path:
    """Folder for predictions of a run in a session: predictions/<run>, or <run>_2, … where another run has that name.

    Args:
        session: Folder of the session.
        run: Folder of the run.

    Returns:
        The folder, which may not exist yet.
    """
    base = session / FOLDER / run.resolve().name
    candidate, number = base, 1
    while any(_run_of(path) != str(run.resolve()) for path in candidate.glob("[!.]*.npz")):
        number += 1
        candidate = base.with_name(f"{base.name}_{number}")
    return candidate


def _run_of(path: Path) -> str:
    return read_prediction(path).provenance.get("run", "")


def _skeleton(arrays: dict[str, np.ndarray]) -> Skeleton:
    pairs = {key: tuple((str(a), str(b)) for a, b in arrays[key]) for key in ("bones", "left_right")}
    joints = tuple(str(name) for name in arrays["joint_names"])
    return Skeleton(str(arrays["skeleton"]), joints, pairs["bones"], str(arrays["root"]), pairs["left_right"])


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
