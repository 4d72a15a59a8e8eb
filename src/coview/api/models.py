"""Trained models: `train`, `load_model`, `evaluate`, `predict`."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from coview import recipes
from coview.api.arrays import ArrayLike, Number, as_float, read
from coview.api.axes import Axis, expect
from coview.api.poses import skeleton as named
from coview.api.views import read_confidence
from coview.cameras import Cameras
from coview.data.base import DataConfig
from coview.data.session_dataset import RecordedConfig, joints_for
from coview.errors import InputError
from coview.formats.session.session import Session
from coview.skeletons import Skeleton, SkeletonMap
from coview.training.evaluation.evaluate import evaluate as measure
from coview.training.prediction.predict import check_reads_joints, lift_view
from coview.training.prediction.single_view_inputs import View, bones_of
from coview.training.recipe import Recipe
from coview.training.run import Run, load_run
from coview.training.run import train as learn

Array = TypeVar("Array")
Data = DataConfig | Session | str | Path

FOR_SESSIONS = "coview_session"


def train(
    recipe: str | Recipe | None = None,
    data: Data | None = None,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train a model by a recipe (method, data, optimiser), on the recipe's data or on a recorded session.

    What was interrupted goes on; what is finished is not trained again.

    Args:
        recipe: Name of a recipe (`coview recipes` lists them), or a `Recipe`; default: coview_session, which teaches a
            model for one camera by what the views of a session have in common, without 3D labels.
        data: A `Session` or its folder, or a data configuration; default: the recipe's.
        out: Folder of the run; default: `models/<recipe>` in the session, else `runs/<recipe>`.
        overwrite: Train again even if the run is there.
        progress: Show a progress bar.
        settings: Fields of the recipe to change, such as `steps=500`, `learning_rate=1e-3`, `seed=1`.

    Returns:
        The run: `.method` (a torch module), `.skeleton`, `.recipe`, `.record`, `.path`; for `evaluate` and `predict`.

    Raises:
        CoviewError: An unknown recipe or setting, data that lacks what the method learns from, or another recipe's run
            at `out`.

    Example:
        >>> import coview
        >>> model = coview.train("canonpose_synthetic", out="run", steps=2, progress=False)
        >>> model.skeleton.name
        'h36m_17'
    """
    name, chosen = _recipe(recipe, data)
    if data is not None:
        chosen = replace(chosen, data=_data(data))
    unknown = sorted(set(settings) - {field.name for field in fields(chosen)})
    if unknown:
        raise InputError(
            f"train: a recipe has no setting {', '.join(unknown)}; it has {', '.join(f.name for f in fields(chosen))}."
        )
    chosen = replace(chosen, **settings)
    folder = Path(out) if out is not None else _home(data) / name
    return load_run(learn(chosen, folder, overwrite=overwrite, progress=progress))


def load_model(path: str | Path) -> Run:
    """Load a trained model from the folder of its run. Nothing is unpickled.

    Args:
        path: Folder that `train` or `coview train` made.

    Returns:
        The run: `.method` (a torch module), `.skeleton`, `.recipe`, `.record`, `.path`; for `evaluate` and `predict`.

    Raises:
        CoviewError: No run there, an unfinished or a damaged one.

    Example:
        >>> import coview
        >>> _ = coview.train("canonpose_synthetic", out="run", steps=2, progress=False)
        >>> sum(weights.numel() for weights in coview.load_model("run").method.parameters()) > 100_000
        True
    """
    return load_run(Path(path))


def evaluate(model: Run | str | Path, data: Data | None = None) -> dict[str, float]:
    """Evaluate a trained model where the 3D truth is known: MPJPE and its kin in millimetres, scores in per cent.

    Args:
        model: What `train` or `load_model` returned, or the folder of a run.
        data: A calibrated and reconstructed `Session` or its folder (its last fifth is tested on, and its
            reconstruction is no truth), or a data configuration; default: the validation part of the recipe's data.

    Returns:
        Metric: value; also written to `evaluation.json` in the run's folder, with joint set and alignment of each.

    Raises:
        CoviewError: Data without 3D truth, or of another skeleton.

    Example:
        >>> import coview
        >>> model = coview.train("canonpose_synthetic", out="run", steps=2, progress=False)
        >>> sorted(name for name in coview.evaluate(model) if name.endswith("mpjpe_mm"))
        ['n_mpjpe_mm', 'p_mpjpe_mm']
    """
    return measure(_folder(model), None if data is None else _data(data))


def predict(
    model: Run | str | Path,
    pixels: Array,
    confidence: ArrayLike | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    intrinsics: Cameras | None = None,
    skeleton: str | Skeleton | None = None,
    bone_length: Number | None = None,
) -> Array:
    """Predict 3D poses from the 2D joints of one camera, with a trained model.

    One picture does not tell how large a person is. Without `bone_length` the poses have a mean bone length of 1, or
    the metres that the model claims, if it is one that does. For sessions and files see `coview predict`.

    Args:
        model: What `train` or `load_model` returned, or the folder of a run.
        pixels: (*batch, joints, 2), of one camera; NaN: not seen. NumPy array, tensor or nested lists.
        confidence: (*batch, joints), in [0, 1]. Default: 1 wherever the pixels are not NaN.
        image_size: Width, height in pixels, where the model reads it. Default: that of `intrinsics`.
        intrinsics: The camera (a single one), where the model reads it; where it stands is ignored.
        skeleton: Of the joints, or its name; default: the model's. Joints that it lacks are taken as never seen.
        bone_length: Mean length of the model's bones on this person, metres.

    Returns:
        (*batch, joints of the model, 3), root-centred, camera axes (x right, y down, z forward), in the kind that
        `pixels` came in; NaN where the root joint is not seen.

    Raises:
        CoviewError: Axes in another order, other joints, a model that reads more than 2D joints, an image size or
            intrinsics that it reads and that were not given.

    Example:
        >>> import coview
        >>> model = coview.train("canonpose_synthetic", out="run", steps=2, progress=False)
        >>> pixels = coview.example_session("walk").joints2d()[0][:, 0]  # of the first camera
        >>> coview.predict(model, pixels, image_size=(1000, 1000)).shape
        (375, 17, 3)
    """
    run = model if isinstance(model, Run) else load_model(model)
    check_reads_joints(run)
    values, kind = read("pixels", pixels)
    mapped = joints_for(run.skeleton if skeleton is None else named(skeleton), run.skeleton)
    joints, weights = _joints(values, confidence, mapped)
    lens = None if intrinsics is None else _lens(intrinsics)
    size = image_size if image_size is not None else None if lens is None else tuple(lens.size.tolist())
    view = View(
        name="pixels",
        joints2d=joints.flatten(0, -3) if joints.ndim > 2 else joints[None],
        confidence=weights.flatten(0, -2) if weights.ndim > 1 else weights[None],
        size=None if size is None else torch.tensor([float(side) for side in size]),
        fps=None,
        bones=bones_of(mapped),
        bone_length=as_float(bone_length),
        bone_source="given",
        absent=mapped.absent,
        lens=lens,
    )
    points, _ = lift_view(run, view)
    result: Array = kind.give(points.reshape(*joints.shape[:-1], 3))
    return result


# --- inside --------------------------------------------------------------------------------------


def _recipe(recipe: str | Recipe | None, data: Data | None) -> tuple[str, Recipe]:
    if recipe is None and data is None:
        raise InputError(
            f"train: name a recipe ({', '.join(recipes.names())}), or give a recorded session as data."
        )
    if isinstance(recipe, Recipe):
        return type(recipe.method).__name__.removesuffix("Config").lower(), recipe
    name = recipe or FOR_SESSIONS
    return name, recipes.load(name)


def _data(data: Data) -> DataConfig:
    if isinstance(data, DataConfig):
        return data
    return RecordedConfig(sessions=(data.path if isinstance(data, Session) else Path(data),))


def _home(data: Data | None) -> Path:
    """Where the runs on this data are kept."""
    if data is None or isinstance(data, DataConfig):
        return Path("runs")
    return (data if isinstance(data, Session) else Session.load(Path(data))).models_dir


def _folder(model: Run | str | Path) -> Path:
    return model.path if isinstance(model, Run) else Path(model)


def _joints(values: Tensor, confidence: ArrayLike | None, mapped: SkeletonMap) -> tuple[Tensor, Tensor]:
    """Joints of the model's skeleton, NaN where not seen, and their confidence; float32, on the CPU."""
    given = mapped.source
    axes = (Axis("joints", len(given)), Axis("", 2))
    expect("pixels", values, *axes, more=f"they must be the {len(given)} joints of {given.name}.")
    weights = read_confidence(confidence, values)
    seen = torch.where(weights[..., None] > 0, values, torch.nan)
    joints, sure = mapped.apply(seen), mapped.confidence(weights)
    return joints.detach().cpu().float(), sure.detach().cpu().float()


def _lens(camera: Cameras) -> Cameras:
    """One camera without its place."""
    if camera.fisheye.numel() != 1:
        raise InputError(
            f"intrinsics: a single camera is needed, cameras[i], got {camera.fisheye.numel()} of them."
        )
    single = camera.reshape(1)[0].to(torch.float32)
    return replace(single, cam_from_world=torch.full_like(single.cam_from_world, torch.nan))
