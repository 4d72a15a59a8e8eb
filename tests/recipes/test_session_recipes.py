"""Every recipe for a session trains on every skeleton that 2D joint files may have, with videos and without."""

import functools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from coview import recipes
from coview.cameras import Cameras
from coview.capture.importing.import_session import import_session
from coview.data.session_dataset import RecordedConfig, training_skeleton
from coview.data.synthetic.recordings import detect, random_motion, ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session
from coview.skeletons import (
    BODY_25,
    BODY_25B,
    COCO_17,
    H36M_17,
    HALPE_26,
    OPENPOSE_18,
    SKELETONS,
    Skeleton,
    skeleton_map,
)
from coview.training.evaluation.evaluate import evaluate
from coview.training.history import History
from coview.training.prediction.predict import predict
from coview.training.recipe import Recipe
from coview.training.run import load_run, train
from coview.training.run_folder import HISTORY

RECIPES = [name for name in recipes.names() if name.endswith("_session")]
DETECTED = (
    COCO_17,
    OPENPOSE_18,
    HALPE_26,
    BODY_25,
    BODY_25B,
)  # what `which_skeleton` finds; files may name SKELETONS
FRAMES, VIEWS, SIDE = 25, 2, 400


@functools.cache
def scene() -> tuple[Float[Tensor, "frames joints 3"], Cameras]:
    """Somebody who moves, as joints of H36M_17 (metres, z up), and the cameras around."""
    cameras = ring_cameras(3, size=(SIDE, SIDE), focal=450.0)[:VIEWS]
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
        log_every=1,
        device="cpu",
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A session of a skeleton, with videos or without; made once. Labels are kept among the tests of this file."""
    root = tmp_path_factory.mktemp("recorded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COVIEW_DATA", str(root / "kept"))
        yield functools.cache(
            lambda skeleton, videos: record(root / f"{skeleton.name}_{videos}", skeleton, videos)
        )


def cases() -> list[Any]:
    """Every recipe on all that differs: detectors' skeletons with videos and without, and those learnt as they are.

    Of the others, which are learnt as one of these, the fastest recipe shows that they are read."""
    learnt = {training_skeleton(skeleton) for skeleton in DETECTED}
    own = [each for each in SKELETONS if training_skeleton(each) == each and each not in learnt]
    every = [(name, skeleton, False) for name in RECIPES for skeleton in (*DETECTED, *own)]
    every += [(name, skeleton, True) for name in RECIPES for skeleton in DETECTED]
    every += [("canonpose_session", each, False) for each in SKELETONS if each not in (*DETECTED, *own)]
    return [
        pytest.param(*case, id=f"{case[0]}-{case[1].name}-{'videos' if case[2] else 'joints'}")
        for case in every
    ]


@pytest.mark.parametrize(("name", "skeleton", "videos"), cases())
def test_three_steps(name, skeleton, videos, recorded, tmp_path):
    session = recorded(skeleton, videos)
    recipe = tiny(recipes.load(name), session)
    if "images" in recipe.needs and not videos:
        with pytest.raises(ValueError, match=r"needs .*'images'.*A session holds 2D joints"):
            train(recipe, tmp_path / "run", progress=False)
        return
    run = load_run(train(recipe, tmp_path / "run", progress=False))
    assert run.skeleton == training_skeleton(skeleton)
    losses = [row["loss"] for row in History.load(run.path / HISTORY).rows if "loss" in row]
    assert losses
    assert np.isfinite(losses).all()


def test_without_videos_and_calibration_it_is_said_what_is_missing(recorded, tmp_path):
    session = recorded(COCO_17, False)
    cameras = tuple(replace(camera, size=None) for camera in session.cameras)
    bare = replace(session, path=tmp_path / "bare", cameras=cameras, provenance={})
    bare.save()
    shutil.copytree(session.detections_dir, bare.detections_dir)
    with pytest.raises(
        ValueError, match=r"needs 'image_size'.*image size of some camera is not known.*import again"
    ):
        train(tiny(recipes.load("canonpose_session"), bare), tmp_path / "run", progress=False)


@pytest.fixture(scope="module")
def whole_run(recorded, tmp_path_factory):
    """A model of H36M_17."""
    recipe = tiny(recipes.load("coview_session"), recorded(HALPE_26, False))
    return train(recipe, tmp_path_factory.mktemp("runs") / "run", progress=False)


def test_a_model_of_joints_that_a_recording_lacks(whole_run, recorded, tmp_path):
    """COCO has no head top: it is not seen, not scored, and both are said."""
    session = recorded(COCO_17, False)
    found = predict(whole_run, session.path, out=tmp_path)
    for one in found:
        assert one.skeleton == H36M_17
        assert one.unit == "m"
        assert one.points.isfinite().all()
        assert one.comparison.unscored == ("head_top",)
        assert any("hold no head_top, which the model was trained on" in words for words in one.warnings)
    metrics = evaluate(whole_run, RecordedConfig(sessions=(session.path,)), tmp_path / "evaluation.json")
    assert np.isfinite([metrics[name] for name in ("n_mpjpe_mm", "p_mpjpe_mm", "n_pck_150", "cps")]).all()
    assert json.loads((tmp_path / "evaluation.json").read_text())["unscored_joints"] == ["head_top"]


def test_weights_of_other_joints_are_refused_before_labels_are_made(
    whole_run, recorded, tmp_path, monkeypatch
):
    recipe = replace(tiny(recipes.load("coview_session"), recorded(COCO_17, False)), init=str(whole_run))
    same = replace(recipe, data=recipe.data.on(H36M_17))
    report = json.loads((train(same, tmp_path / "same", progress=False) / "init.json").read_text())
    assert report["used"]
    assert not report["mismatched"]

    def made(*anything: Any) -> Any:
        raise AssertionError("labels were made before the weights were looked at")

    monkeypatch.setattr("coview.training.run.with_pseudo", made)
    with pytest.raises(ValueError, match=r"those of 'coco_19'.*--data\.skeleton h36m_17"):
        train(recipe, tmp_path / "other", progress=False)
