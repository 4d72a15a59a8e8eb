"""The whole pipeline on a generated recording, every stage scored against the ground truth.

Four cameras of known intrinsics and unknown extrinsics record a person who walks and moves; a noisy detector gives 2D
joints. Extrinsics, 3D joints and a single-view model are estimated from these alone; the ground truth is read only by
the evaluation at the end of each stage.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from coview import recipes
from coview.cameras import Cameras
from coview.capture.calibration.from_people import calibrate_from_people
from coview.capture.reconstruction.reconstruct import reconstruct
from coview.data.base import InMemory
from coview.data.session_dataset import RecordedConfig
from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.io.atomic import write_text
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import INTRINSICS_FILE, Session, SessionCamera
from coview.geometry.alignment import rigid_alignment, similarity_alignment
from coview.geometry.rotations import rotation_angle
from coview.metrics.joint_error import joint_error
from coview.report.page import write_report
from coview.skeletons import H36M_17
from coview.threads import one_thread
from coview.training.evaluation.scoring import score
from coview.training.run import load_run, train

FPS, MINUTES, STATURE = 25.0, 6.0, 1.75
NOISE = DetectorNoise(sigma=3.0, outlier_rate=0.02, outlier_px=60.0, missing_rate=0.03, swap_rate=0.002)
T = TypeVar("T")


@dataclass(frozen=True)
class Truth:
    """The ground truth of the generated recording, which no stage may read."""

    cameras: Cameras
    # metres
    joints3d: Float[Tensor, "frames joints 3"]


def run_demo(
    out: Path, *, seed: int = 0, minutes: float = MINUTES, steps: int | None = None
) -> dict[str, Any]:
    """Generate a recording, calibrate, reconstruct, train, evaluate and report.

    Args:
        out: Folder to make; an unfinished one is continued.
        seed: Of the recording and of the training.
        minutes: Duration of the recording.
        steps: Steps of training; default: the recipe's.

    Returns:
        Errors against the ground truth and seconds of each stage, also in summary.json.
    """
    clock = Stopwatch()
    session = out / "session"
    truth = clock("generate", lambda: generate(session, seed, minutes))
    recording = Session.load(session)
    calibrated = clock("calibrate", lambda: calibrate_from_people(recording, stature=STATURE, seed=seed))
    rebuilt = clock("reconstruct", lambda: reconstruct(recording, smooth=6.0))
    data = RecordedConfig(sessions=(session,))
    recipe = recipes.load("canonpose_demo")
    recipe = replace(recipe, data=data, seed=seed, steps=steps or recipe.steps)
    run = clock("train", lambda: train(recipe, session / "models" / "canonpose_demo"))
    model = clock("evaluate", lambda: _judge_model(run, data, truth))
    summary = {
        "calibration": _judge_cameras(calibrated.calibration.cameras, truth.cameras),
        "reconstruction": {"mpjpe_mm": _judge_joints(rebuilt.poses.points, truth.joints3d)},
        "model": model,
    }
    page = clock("report", lambda: write_report(session, out / "report.html"))
    assert page.exists()
    summary["seconds"] = {name: round(seconds, 2) for name, seconds in clock.seconds.items()}
    write_text(out / "summary.json", json.dumps(summary, indent=2) + "\n")
    return summary


class Stopwatch:
    """Runs a stage and remembers how long it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, name: str, stage: Callable[[], T]) -> T:
        start = time.monotonic()
        result = stage()
        self.seconds[name] = time.monotonic() - start
        return result


@one_thread()
def generate(path: Path, seed: int, minutes: float = MINUTES) -> Truth:
    """Generate a session of 2D joints and intrinsics; the same seed gives the same recording.

    Args:
        path: Folder of the session.
        seed: Of motion and detector.
        minutes: Duration.

    Returns:
        The ground truth, which the session does not hold.
    """
    frames = int(60 * minutes * FPS)
    joints3d = random_motion(frames, fps=FPS, seed=seed, stature=STATURE)
    cameras = ring_cameras(4, start_angle=0.4)
    joints2d, confidence = detect(joints3d, cameras, NOISE, seed=seed)
    names = tuple(f"cam_{view + 1}" for view in range(len(cameras)))
    size = (int(cameras.size[0, 0]), int(cameras.size[0, 1]))
    generated = Calibration(names, cameras, {"source": "generated: intrinsics only"})
    write_calibration(generated.without_extrinsics(), path / INTRINSICS_FILE)
    seen = Detections(joints2d.transpose(0, 1)[:, :, None], confidence.transpose(0, 1)[:, :, None])
    write_detections(path / "joints2d", names, seen)
    Session(
        path=path,
        name="demo",
        fps=FPS,
        skeleton=H36M_17,
        cameras=tuple(SessionCamera(name, size, None, frames) for name in names),
        provenance={
            "source": f"generated by coview.demo, seed {seed}",
            "calibration_source": str((path / INTRINSICS_FILE).resolve()),
        },
    ).save()
    return Truth(cameras, joints3d)


# --- against the truth ---------------------------------------------------------------------------


def _judge_cameras(found: Cameras, truth: Cameras) -> dict[str, float]:
    """Largest error of a relative rotation, and mean error of the centres after a similarity."""
    found, truth = found.to(torch.float64), truth.to(torch.float64)
    relative = [c.rotation[1:] @ c.rotation[:1].mT for c in (found, truth)]
    angle = rotation_angle(relative[0], relative[1]).max()
    moved = similarity_alignment(found.centres, truth.centres).apply(found.centres)
    error = (moved - truth.centres).norm(dim=-1).mean()
    return {"rotation_error_deg": float(angle.rad2deg()), "centre_error_mm": 1000 * float(error)}


def _judge_joints(found: Float[Tensor, "frames joints 3"], truth: Float[Tensor, "frames joints 3"]) -> float:
    """Mean joint error after one rigid motion of the whole recording (no scaling: metres are judged too)."""
    source, target = found.flatten(0, 1).double(), truth.flatten(0, 1).double()
    valid = source.isfinite().all(dim=-1)
    moved = rigid_alignment(source[valid], target[valid]).apply(source[valid])
    return float(joint_error(moved, target[valid]).mean())


def _judge_model(run: Path, data: RecordedConfig, truth: Truth) -> dict[str, Any]:
    """Every camera as an independent one-camera test, on the last fifth, which training never saw."""
    loaded = load_run(run)
    held_out = data.validation().instants
    last = truth.joints3d[-len(held_out.rig) :]
    cameras = truth.cameras.expand(len(last), len(truth.cameras))
    metrics = score(loaded.method, InMemory(held_out.replaced(joints3d=last, cameras=cameras)))
    return {
        "n_mpjpe_mm": metrics["n_mpjpe_mm"],
        "p_mpjpe_mm": metrics["p_mpjpe_mm"],
        "mirror_flipped": bool(loaded.record["facts"].get("mirror_flipped", False)),
    }
