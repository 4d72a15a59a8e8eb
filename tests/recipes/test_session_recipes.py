"""Every recipe for a session trains on every skeleton that 2D joint files may have, with videos and without."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from coview import recipes
from coview.cameras import Cameras
from coview.capture.import_session import import_session
from coview.data.recorded import RecordedConfig, training_skeleton
from coview.data.synthetic import detect, random_motion, ring_cameras
from coview.formats.calibrations import Calibration, write_calibration
from coview.formats.poses3d import Poses3D
from coview.formats.session import Session
from coview.formats.which_skeleton import OPENPOSE_18
from coview.skeletons import H36M_17, SKELETONS, Skeleton, skeleton_map
from coview.training.predict import predict
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

RECIPES = [name for name in recipes.names() if name.endswith("_session")]
READABLE = (*SKELETONS, OPENPOSE_18)  # what a file may name, and what the number of its joints may tell besides
FRAMES, VIEWS, SIDE = 30, 3, 400


@functools.cache
def scene() -> tuple[Float[Tensor, "frames joints 3"], Cameras]:
    """Somebody who moves, as joints of H36M_17 (metres, z up), and the cameras around."""
    cameras = ring_cameras(VIEWS, size=(SIDE, SIDE), focal=450.0)
    return random_motion(FRAMES, seed=3, kind="random"), cameras


def body(skeleton: Skeleton) -> Float[Tensor, "frames joints 3"]:
    """The scene's person with all joints of a skeleton; those that H36M_17 lacks lie beside their parents."""
    points = skeleton_map(H36M_17, skeleton, partial=True).apply(scene()[0])
    left, right = (scene()[0][:, H36M_17.index(f"{side}_shoulder")] for side in ("left", "right"))
    placed = {joint: points[:, place] for place, joint in enumerate(skeleton.joints)}
    placed = {joint: place for joint, place in placed.items() if place.isfinite().all()}
    parents = {child: parent for parent, child in skeleton.bones}
    while missing := [joint for joint in skeleton.joints if joint not in placed]:
        for joint in missing:
            parent = parents.get(joint, skeleton.root)
            aside = {"left": 0.1, "right": -0.1}.get(joint.partition("_")[0], 0.02)
            if parent in placed:
                placed[joint] = placed[parent] + aside * (left - right)
    return torch.stack([placed[joint] for joint in skeleton.joints], dim=1)


def write_video(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        black = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
        for frame in (av.VideoFrame.from_ndarray(black, format="rgb24"), None):
            for packet in stream.encode(frame):
                container.mux(packet)


def record(folder: Path, skeleton: Skeleton, videos: bool) -> Session:
    """What a user has: a recording with a calibration beside it, imported, calibrated, reconstructed.

    The truth stands in for the last two stages, which have tests of their own."""
    joints3d, (_, cameras) = body(skeleton), scene()
    names = tuple(f"cam{view}" for view in range(VIEWS))
    pixels, confidence = (part.transpose(0, 1) for part in detect(joints3d, cameras, skeleton=skeleton))
    people = torch.cat([pixels.nan_to_num(0.0), confidence[..., None]], dim=-1)
    for name, seen in zip(names, people.tolist(), strict=True):
        (folder / "pose").mkdir(parents=True, exist_ok=True)
        said = {"skeleton": skeleton.name} if skeleton in SKELETONS else {}
        content = {**said, "fps": 25, "frames": [{"people": [person]} for person in seen]}
        (folder / "pose" / f"{name}.json").write_text(json.dumps(content))
        if videos:
            write_video(folder / "videos" / f"{name}.mp4")
    write_calibration(Calibration(names, cameras.to(torch.float64)), folder / "calibration.toml")
    session = import_session(folder, folder / "session")
    write_calibration(Calibration(names, cameras.to(torch.float64)), session.calibration_path)
    Poses3D(joints3d, None, None, None, 25.0, skeleton).save(session.poses3d_path)
    return session


def tiny(recipe: Recipe, session: Session) -> Recipe:
    """Three steps of the recipe on a session, with a network that takes a test's time."""
    sizes = {name: 8 for name in ("width", "head", "features") if hasattr(recipe.method, name)}
    augment = recipe.augment
    if augment.virtual.generated:
        augment = replace(augment, virtual=replace(augment.virtual, generated=4))
    return replace(
        recipe,
        method=replace(recipe.method, **sizes),
        data=RecordedConfig(sessions=(session.path,)),
        labels=replace(recipe.labels, share=min(1.0, 5 * recipe.labels.share)),
        augment=augment,
        batch_size=12,
        steps=3,
        device="cpu",
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session of a skeleton, with videos or without; made once."""
    root = tmp_path_factory.mktemp("recorded")
    return functools.cache(
        lambda skeleton, videos: record(root / f"{skeleton.name}_{videos}", skeleton, videos)
    )


@pytest.fixture(autouse=True)
def _labels_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))


@pytest.mark.parametrize("videos", [True, False], ids=["videos", "no videos"])
@pytest.mark.parametrize("skeleton", READABLE, ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("name", RECIPES)
def test_three_steps(name, skeleton, videos, recorded, tmp_path):
    session = recorded(skeleton, videos)
    recipe = tiny(recipes.load(name), session)
    out = train(recipe, tmp_path / "run", progress=False)
    assert load_run(out).skeleton == training_skeleton(skeleton)
