"""A small generated session with everything in it, and the means to make others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import DetectorNoise, detect, ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.motion.poses3d import Poses3D
from coview.formats.session.session import Session, SessionCamera
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.skeletons import H36M_17

NOISE = DetectorNoise(sigma=3.0, outlier_rate=0.01, outlier_px=80.0, missing_rate=0.05, swap_rate=0.0)
NAMES = ("north", "east", "south", "west")
FRAMES, FPS = 40, 25.0


def make_session(
    path: Path, *, calibrated: bool = True, reconstructed: bool = True, trained: bool = True
) -> Session:
    """Four cameras, 40 frames; each stage can be left out."""
    cameras = ring_cameras(4, start_angle=0.4)
    truth = random_motion(FRAMES, fps=FPS, seed=3, kind="gait")
    joints, confidence = detect(truth, cameras, NOISE, seed=3)
    write_detections(
        path / "joints2d",
        NAMES,
        Detections(joints.transpose(0, 1)[:, :, None], confidence.transpose(0, 1)[:, :, None]),
    )
    recorded = tuple(SessionCamera(name, (1000, 1000), None, FRAMES) for name in NAMES)
    session = Session(
        path, "walk & <turn>", FPS, H36M_17, recorded, {"source": "generated", "file_hash": "abc"}
    )
    session.save()
    if calibrated:
        write_calibration(_calibration(cameras), session.calibration_path)
    if reconstructed:
        _poses(joints, confidence, cameras).save(session.poses3d_path)
    if trained:
        make_run(session.models_dir / "first_model")
    return session


def make_run(path: Path) -> Path:
    """A training run as its files."""
    path.mkdir(parents=True)
    rows = [f"{step},{1 / (1 + step)},{'' if step % 2 else 90 - step}" for step in range(30)]
    (path / "history.csv").write_text("\n".join(["step,train/view,validation/n_mpjpe", *rows]) + "\n")
    metrics = {"n_mpjpe_mm": 61.25, "opposite_percent": None, "per_camera": {"north": 60.5}}
    meanings = {"n_mpjpe_mm": "root-aligned, least-squares scaled"}
    numbers = {"metrics": metrics, "definitions": meanings, "data": "synthetic", "instants": 400}
    (path / "evaluation.json").write_text(json.dumps(numbers))
    (path / "run.json").write_text(json.dumps({"mirror_flipped": True, "seconds": 12.5}))
    (path / "recipe.json").write_text(json.dumps({"method": {"hidden": 64}, "steps": 30}))
    return path


def _calibration(cameras: Cameras) -> Calibration:
    said = {"method": "people", "scale": "stated stature 1.75 m", "gravity": "from the body, ± 0.8°"}
    sigma = {name: (0.004, 0.001) for name in NAMES}
    return Calibration(NAMES, cameras.to(torch.float64), said, sigma, 0.016)


def _poses(joints: torch.Tensor, confidence: torch.Tensor, cameras: Cameras) -> Poses3D:
    found = triangulate_robust(
        cameras.to(torch.float64), joints.nan_to_num(0.0).double(), confidence.double()
    )
    points = found.points.float()
    points[5, 3] = torch.nan  # one joint that nobody knows, one frame without any
    points[7] = torch.nan
    return Poses3D(
        points,
        found.covariance.float(),
        found.inliers,
        found.residuals.float(),
        FPS,
        H36M_17,
        {"smooth": "6 Hz"},
    )


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Everything is there. Shared: tests do not write into it."""
    return make_session(tmp_path_factory.mktemp("report") / "walk")


@pytest.fixture
def new_session(tmp_path: Path) -> Callable[..., Session]:
    """Makes a session of its own, with stages left out as asked."""
    return lambda **stages: make_session(tmp_path / "walk", **stages)


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[[], Path]:
    """Makes a training run outside any session."""
    return lambda: make_run(tmp_path / "run_7")
