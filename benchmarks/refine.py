"""Refined takes (`coview reconstruct --refine`): error, jitter and points per second before and after.

    OMP_NUM_THREADS=1 python benchmarks/refine.py [--seeds 10] [--mocap DIR]

A generated person (26 joints: the 17 of H36M and nine middles of bones; 300 frames at 50 Hz) in a ring of 4 cameras
(5 m away, f = 1145 px), 3 px of Gaussian noise per coordinate; all weights one. `outliers`: 5 % of detections are
80 px off. `missing`: 30 % are not there. `both`. `late`: one camera began 2.4 frames late and drifts by 2e-3, known,
and is read between its frames; `on time` is its twin. `17 joints, 25 Hz`: the scene of benchmarks/triangulation.py.
`real`: the fastest 300 frames of the five fastest clips of mocap_cmu (19 joints, 60 Hz), 3 px, 5 % outliers, the noise
from the seed; `real, 0.5 px`: hardly any noise, where smoothing could only harm; their fastest tenth of frames stands
in the notes.

Errors are mean mm over the joints known; per case the median over the seeds and the worst. Points per second count
triangulation and refinement, in seconds of one core's time, not of the wall. `sigmas`: root mean square of errors in
their own standard deviations per axis (1: honest). Appends to results/refine.csv. The mark (issue 7): aniposelib's
optimiser 9.1 mm at 596 points/s with outliers; to reach <= 9 mm at >= 10 000 points/s.
"""

import argparse
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.capture.reconstruction.motion_quality import bone_length_std, jitter
from coview.capture.reconstruction.trajectory_refinement import refine
from coview.data.mocap.clips import Clip, read_clips
from coview.data.synthetic.recordings import ring_cameras
from coview.formats.calibration.clock import Clock, frame_places
from coview.geometry.self_calibration.track_interpolation import read_at
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import Triangulated
from coview.skeletons import H36M_17

RESULTS = Path(__file__).resolve().parents[1] / "results" / "refine.csv"
MEASURES = (
    "before_mm",
    "after_mm",
    "known_percent",
    "points_per_second",
    "jitter_before_mm",
    "jitter_after_mm",
)
MEASURES += ("jitter_truth_mm", "bone_before_mm", "bone_after_mm", "sigmas")
COLUMNS = [
    "date",
    "commit",
    "machine",
    "case",
    "seeds",
    *MEASURES,
    "worst_before_mm",
    "worst_after_mm",
    "notes",
]
MIDDLES = [(1, 2), (2, 3), (4, 5), (5, 6), (11, 12), (12, 13), (14, 15), (15, 16), (0, 8)]
FRAMES, THRESHOLD = 300, 14.1  # the threshold is what `reconstruct` takes for images of 1000 × 1000
CLOCK = Clock(2.4 / 50, 2e-3)


@dataclass(frozen=True)
class Scene:
    truth: torch.Tensor  # frames joints 3
    cameras: Cameras
    pixels: torch.Tensor  # frames views joints 2
    weights: torch.Tensor
    bones: list[tuple[int, int]]
    fps: float


def person(seed: int, fps: float, frames: int) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    points = random_motion(frames, fps=fps, seed=seed).double()
    middles = [(points[:, a] + points[:, b])[:, None] / 2 for a, b in MIDDLES]
    halves = [bone for n, (a, b) in enumerate(MIDDLES) for bone in ((a, 17 + n), (17 + n, b))]
    return torch.cat([points, *middles], dim=1), [*H36M_17.bone_indices, *halves]


def filmed(
    truth: torch.Tensor,
    bones: list[tuple[int, int]],
    fps: float,
    seed: int,
    noise: float,
    wrong: float,
    gone: float,
) -> Scene:
    cameras = ring_cameras(4).to(torch.float64)
    return disturbed(truth, cameras, cameras.project(truth[:, None]), bones, fps, seed, noise, wrong, gone)


def disturbed(truth, cameras, exact, bones, fps, seed, noise, wrong, gone) -> Scene:  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(seed)
    pixels = exact + noise * torch.randn(exact.shape, generator=generator, dtype=torch.float64)
    stray, lost, angle = torch.rand(3, *exact.shape[:-1], generator=generator, dtype=torch.float64) * 1.0
    away = 80 * torch.stack([(2 * torch.pi * angle).cos(), (2 * torch.pi * angle).sin()], dim=-1)
    pixels = pixels + (stray < wrong)[..., None] * away
    seen = lost >= gone
    return Scene(truth, cameras, torch.where(seen[..., None], pixels, torch.nan), seen.double(), bones, fps)


def late(seed: int, clock: Clock) -> Scene:
    """The second camera films with `clock`, and is read at the others' times."""
    fine, before, fps = 20, 40, 50.0
    motion, bones = person(seed, fps * fine, (FRAMES + 2 * before) * fine)
    cameras = ring_cameras(4).to(torch.float64)
    nominal = torch.arange(FRAMES, dtype=torch.float64) / fps
    shown = nominal + torch.stack(
        [0 * nominal, clock.time_offset + clock.drift * nominal, 0 * nominal, 0 * nominal]
    )
    index = ((shown * fps + before) * fine).round().long()
    exact = torch.stack([cameras[view].project(motion[index[view]]) for view in range(4)], dim=1)
    scene = disturbed(motion[index[0]], cameras, exact, bones, fps, seed, 3.0, 0.0, 0.0)
    places = frame_places({"b": clock}, "abcd", FRAMES, fps)
    read = read_at(scene.pixels, scene.weights, places)
    return Scene(scene.truth, cameras, read.pixels, read.weights, bones, fps)


@functools.cache
def fastest(folder: Path) -> list[Clip]:
    clips = [*read_clips(folder, "test"), *read_clips(folder, "val")]
    speed = [c.fps * float(c.points.diff(dim=0).norm(dim=-1).flatten()[::7].quantile(0.99)) for c in clips]
    return [clips[n] for n in sorted(range(len(clips)), key=lambda n: -speed[n])]


def real(folder: Path, number: int, seed: int, noise: float) -> Scene:
    clip = fastest(folder)[number]
    quickest = int(clip.points.diff(dim=0).norm(dim=-1).amax(dim=-1).argmax())
    first = max(0, min(quickest - FRAMES // 2, len(clip.points) - FRAMES))
    points = clip.points[first : first + FRAMES].double()
    points = points - points.flatten(0, 1).mean(dim=0) * torch.tensor([1.0, 1.0, 0.0])
    return filmed(
        points, list(clip.skeleton.bone_indices), clip.fps, seed, noise, 0.05 if noise > 1 else 0.0, 0.0
    )


def cases(seed: int, mocap: Path) -> Iterator[tuple[str, Scene]]:
    truth, bones = person(seed, 50.0, FRAMES)
    for name, wrong, gone in (
        ("clean", 0, 0),
        ("outliers", 0.05, 0),
        ("missing", 0, 0.3),
        ("both", 0.05, 0.3),
    ):
        yield name, filmed(truth, bones, 50.0, seed, 3.0, wrong, gone)
    yield "on time", late(seed, Clock())
    yield "late", late(seed, CLOCK)
    slow = random_motion(FRAMES, seed=seed).double()
    yield "17 joints, 25 Hz, outliers", filmed(slow, list(H36M_17.bone_indices), 25.0, seed, 3.0, 0.05, 0.0)
    if mocap.is_dir():
        yield "real", real(mocap, seed % 5, seed, 3.0)
        yield "real, 0.5 px", real(mocap, seed % 5, seed, 0.5)


def measured(scene: Scene) -> dict[str, float]:
    began = time.process_time()
    start: Triangulated = triangulate_robust(
        scene.cameras, scene.pixels, scene.weights, threshold=THRESHOLD, sigma=THRESHOLD / 3
    )
    found = refine(
        scene.pixels,
        scene.cameras.pixels_from_world,
        scene.weights,
        start,
        scene.bones,
        scene.fps,
        sigma=THRESHOLD / 3,
    )
    seconds = time.process_time() - began
    before, after = ((points - scene.truth).norm(dim=-1) * 1000 for points in (start.points, found.points))
    off = (found.points - scene.truth)[..., None]
    squared = (off.mT @ torch.linalg.inv(found.covariance) @ off)[..., 0, 0]
    sudden = torch.zeros(len(scene.truth)).double()
    sudden[1:-1] = scene.truth.diff(n=2, dim=0).norm(dim=-1).amax(dim=-1)
    fast = sudden > sudden.quantile(0.9)
    return {
        "before_mm": float(before.nanmean()),
        "after_mm": float(after.nanmean()),
        "known_percent": 100 * float(after.isfinite().double().mean()),
        "points_per_second": scene.truth[..., 0].numel() / seconds,
        "jitter_before_mm": 1000 * jitter(start.points),
        "jitter_after_mm": 1000 * jitter(found.points),
        "jitter_truth_mm": 1000 * jitter(scene.truth),
        "bone_before_mm": 1000 * bone_length_std(start.points, scene.bones),
        "bone_after_mm": 1000 * bone_length_std(found.points, scene.bones),
        "sigmas": float((squared.nanmean() / 3).sqrt()),
        "fast_before_mm": float(before[fast].nanmean()),
        "fast_after_mm": float(after[fast].nanmean()),
    }


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seeds", type=int, default=10)
    options.add_argument("--mocap", type=Path, default=Path("../shared/data/mocap_cmu"))
    given = options.parse_args()
    torch.set_num_threads(1)
    measured(next(cases(0, given.mocap))[1])  # warm-up: imports
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(given.seeds):
        for name, scene in cases(seed, given.mocap):
            found.setdefault(name, []).append(measured(scene))
            print(seed, name, {key: round(value, 2) for key, value in found[name][-1].items()}, flush=True)
    rows = []
    for name, several in found.items():
        values = {key: torch.tensor([each[key] for each in several]) for key in several[0]}
        row = {key: f"{float(values[key].median()):.4g}" for key in MEASURES}
        row["points_per_second"] = f"{float(values['points_per_second'].median()):.0f}"
        fast = [float(values[f"fast_{when}_mm"].median()) for when in ("before", "after")]
        about = {"date": str(date.today()), "commit": commit(), "machine": machine("cpu"), "case": name}
        worst = {
            f"worst_{when}_mm": f"{float(values[f'{when}_mm'].max()):.4g}" for when in ("before", "after")
        }
        notes = f"fastest tenth of frames {fast[0]:.2f} -> {fast[1]:.2f} mm"
        rows.append({**about, "seeds": str(given.seeds), **row, **worst, "notes": notes})
    append_rows(RESULTS, COLUMNS, rows)


if __name__ == "__main__":
    main()
