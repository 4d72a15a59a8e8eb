"""A person who walks among cameras, for the tests of calibration from people."""

from dataclasses import dataclass, replace

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.self_calibration.camera_clocks import Timing, common_times
from coview.geometry.self_calibration.iterative_refinement import RefinedRig, Tracks, refine_rig

FPS, FINE = 50.0, 20


@dataclass(frozen=True)
class Walk:
    truth: Cameras
    lenses: Cameras  # as given: wrong by `focal`, no extrinsics
    pixels: Float[Tensor, "frames views joints 2"]
    weights: Float[Tensor, "frames views joints"]
    late: Float[Tensor, "views"]  # seconds
    names: tuple[str, ...]
    fps: float = FPS


def walk(
    seed: int = 0,
    *,
    frames: int = 200,
    views: int = 3,
    noise: float = 2.0,
    late: tuple[float, ...] | None = None,
    drift: tuple[float, ...] | None = None,
    focal: float | tuple[float, ...] = 1.0,
    outliers: float = 0.0,
    missing: float = 0.0,
    cameras: Cameras | None = None,
    joints: Tensor | None = None,
) -> Walk:
    """17 joints at 50 Hz, cameras 3.5 m from the middle; `joints` (frames of 1000 Hz) instead of the walk."""
    generator = torch.Generator().manual_seed(seed + 77)
    truth = cameras if cameras is not None else ring_cameras(views, radius=3.5, height=1.9, start_angle=0.3)
    truth = truth.to(torch.float64)
    shift = torch.tensor(late or [0.0] * len(truth), dtype=torch.float64)
    fast = torch.tensor(drift or [0.0] * len(truth), dtype=torch.float64)
    lead = 0.2 + max(0.0, -float(shift.min()))
    seconds = frames / FPS + lead + max(0.0, float(shift.max())) + 1
    if joints is None:
        joints = random_motion(int(seconds * FPS * FINE), fps=FPS * FINE, seed=seed, kind="gait").double()
    own = torch.arange(frames, dtype=torch.float64) / FPS
    times = [own + shift[v] + fast[v] * own + lead for v in range(len(truth))]
    seen = [truth[v].project(joints[(t * FPS * FINE).round().long()]) for v, t in enumerate(times)]
    pixels = torch.stack(seen, dim=1)
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator, dtype=torch.float64)
    chance, absent = torch.rand(2, *pixels.shape[:-1], generator=generator)
    away = 80 * torch.nn.functional.normalize(torch.randn(pixels.shape, generator=generator), dim=-1)
    pixels = pixels + (chance < outliers)[..., None] * away
    weights = (absent >= missing).double()
    given = truth.intrinsics.clone()
    given[:, :2, :2] *= torch.as_tensor(focal, dtype=torch.float64).expand(len(truth))[:, None, None]
    lenses = replace(truth, intrinsics=given, cam_from_world=torch.full_like(truth.cam_from_world, torch.nan))
    pixels = torch.where(weights[..., None] > 0, pixels, torch.nan)
    return Walk(truth, lenses, pixels, weights, shift, tuple(f"cam_{v + 1}" for v in range(len(truth))))


@pytest.fixture(scope="session")
def make_walk():
    return walk


def refined_walk(scene: Walk, unknowns: Unknowns, timing: Timing | None = None) -> RefinedRig:
    """From the true cameras, at 60 instants; without a `timing` from cameras that are together."""
    timing = timing or Timing.synchronised(len(scene.truth))
    times = common_times(timing, scene.weights, scene.fps, 60)
    return refine_rig(
        scene.truth, timing, Tracks(scene.pixels, scene.weights, scene.fps), times, unknowns,
        threshold=10.0, names=scene.names, threshold_schedule=(4.0, 2.0, 1.0),
    )  # fmt: skip


@pytest.fixture(scope="session")
def refine_walk():
    return refined_walk
