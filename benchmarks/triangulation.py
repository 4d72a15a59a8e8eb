"""Triangulation: how exact, how fast, beside aniposelib and Pose2Sim in the same run.

    OMP_WAIT_POLICY=passive python benchmarks/triangulation.py [--peers-python /path/to/python] [--seed 0]

A generated person (17 joints) moves in a ring of 4, 8 and 16 cameras (5 m away, f = 1145 px); every detection
has 3 px of Gaussian noise per coordinate and, with probability 0.05, is 80 px off in a random direction.
All weights are one: nobody is told which. Errors in mm are over the points given; what a method leaves
unknown is counted beside. "oracle" is told the outliers and fits the rest by least squares: nothing that
looks at one joint of one instant can be expected to do better. "all kept" is the robust method with
max_ambiguity=inf: where two pairs of views agree on different places it takes the likelier one.

Seconds are the best of the repeats after one warm-up, with two threads; peers go through as many points as
they can in the time given (their own process, the Python given or this one; a line says when one is
missing). Peak memory is beyond the inputs. Appends to results/triangulation.csv. Targets (issue 2):
plain >= 3 M points/s, robust >= 200 k points/s, <= 14 mm on the mean with 4 cameras; per camera no slower
with 16 cameras than with 4.
"""

import argparse
import ctypes
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch

from coview.bench.results import append_rows
from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.triangulate import triangulate, triangulate_robust
from coview.geometry.triangulation.undistorted import refine_points

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "triangulation.csv"
COLUMNS = ["date", "commit", "machine", "seed", "method", "cameras", "joints", "points", "mean_mm"]
COLUMNS += ["median_mm", "p95_mm", "points_per_second", "peak_mb", "seconds", "unknown_percent"]
PEERS = ("aniposelib", "aniposelib RANSAC", "Pose2Sim")
JOINTS, NOISE, RATE, OFFSET = 17, 3.0, 0.05, 80.0


@dataclass(frozen=True)
class Scene:
    truth: torch.Tensor  # frames joints 3
    cameras: Cameras
    pixels: torch.Tensor  # frames views joints 2
    wrong: torch.Tensor  # frames views joints


@dataclass(frozen=True)
class Measured:
    points: torch.Tensor  # frames joints 3, or the first so many joints in one row
    seconds: float
    peak_mb: float


def scene(views: int, frames: int, seed: int) -> Scene:
    generator = torch.Generator().manual_seed(seed)
    truth, cameras = random_motion(frames, seed=seed), ring_cameras(views)
    exact = cameras.to(torch.float64).project(truth.double()[:, None])
    noise = NOISE * torch.randn(exact.shape, generator=generator, dtype=torch.float64)
    wrong = torch.rand(exact.shape[:-1], generator=generator) < RATE
    angle = 2 * torch.pi * torch.rand(wrong.shape, generator=generator, dtype=torch.float64)
    offset = OFFSET * wrong[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    return Scene(truth, cameras, (exact + noise + offset).float(), wrong)


# --- ours --------------------------------------------------------------------------------------------


def our_methods(of: Scene) -> dict[str, Callable[[], torch.Tensor]]:
    projections = of.cameras.pixels_from_world
    everything, told = torch.ones(of.wrong.shape), (~of.wrong).float()

    def oracle() -> torch.Tensor:
        linear = triangulate(of.cameras, of.pixels, told)
        return refine_points(linear, of.pixels, projections, told)

    return {
        "coview plain": lambda: triangulate(of.cameras, of.pixels, everything),
        "coview robust linear": lambda: (
            triangulate_robust(of.cameras, of.pixels, everything, solver="linear").points
        ),
        "coview robust": lambda: triangulate_robust(of.cameras, of.pixels, everything).points,
        "coview robust, all kept": lambda: (
            triangulate_robust(of.cameras, of.pixels, everything, max_ambiguity=torch.inf).points
        ),
        "oracle": oracle,
    }


@torch.no_grad()
def measured(work: Callable[[], torch.Tensor], repeats: int) -> Measured:
    forget_peak()
    before = memory_mb("VmRSS")
    work()
    peak, seconds = memory_mb("VmHWM") - before, []
    for _ in range(repeats):
        began = time.perf_counter()
        points = work()
        seconds.append(time.perf_counter() - began)
    return Measured(points, min(seconds), peak)


def forget_peak() -> None:
    """Start the process's record of peak memory anew (Linux with glibc; elsewhere the column is empty)."""
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)  # gives back what earlier work left free: it would hide the peak
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def memory_mb(what: str) -> float:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(what)), float("nan"))


# --- theirs ------------------------------------------------------------------------------------------


def theirs(of: Scene, method: str, python: str, budget: float) -> Measured | None:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "scene.npz", Path(folder) / "out.npz"
        np.savez(
            given,
            pixels=of.pixels.transpose(0, 1).flatten(1, 2).numpy(),
            intrinsics=of.cameras.intrinsics.double().numpy(),
            cam_from_world=of.cameras.cam_from_world.double().numpy(),
        )
        command = [python, HERE / "triangulation_peers.py", given, method, str(budget), made]
        patience = 60 + 3 * budget
        try:
            done = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, check=False, timeout=patience
            )
        except subprocess.TimeoutExpired:
            print(f"{method}, {len(of.cameras)} cameras: not one point within {patience:.0f} s; given up")
            return None
        if done.returncode == 3:
            print(f"{method}: not installed for {python}; skipped")
            return None
        if done.returncode:
            print(f"{method}: failed and is skipped: {done.stderr.strip().splitlines()[-1]}")
            return None
        with np.load(made, allow_pickle=False) as file:
            return Measured(torch.from_numpy(file["points"]), float(file["seconds"]), float(file["peak_mb"]))


# --- results -----------------------------------------------------------------------------------------


def row(of: Scene, method: str, found: Measured, seed: int) -> dict[str, object]:
    points = found.points.reshape(-1, 3)
    error = 1000 * (points.double() - of.truth.reshape(-1, 3)[: len(points)].double()).norm(dim=-1)
    known = error[error.isfinite()]
    values = [
        date.today().isoformat(), commit(), machine(), seed, method, len(of.cameras), JOINTS, len(points),
        f"{known.mean():.2f}", f"{known.median():.2f}", f"{np.quantile(known.numpy(), 0.95):.2f}",
        f"{len(points) / found.seconds:.0f}", f"{found.peak_mb:.0f}", f"{found.seconds:.3f}",
        f"{100 * (1 - len(known) / len(error)):.3f}",
    ]  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def commit() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def machine() -> str:
    """With the load: seconds mean little where others compute on the same cores."""
    info = Path("/proc/cpuinfo")
    names = info.read_text().split("model name") if info.exists() else []
    name = names[1].splitlines()[0].strip("\t: ") if len(names) > 1 else platform.machine()
    return f"{name}, {os.cpu_count()} cores, 2 threads, load {os.getloadavg()[0]:.0f}"


def show(made: dict[str, object]) -> None:
    speed = int(str(made["points_per_second"]))
    per_camera = speed * int(str(made["cameras"]))
    print(
        f"{made['cameras']:>2} cameras  {made['method']:23} mean {made['mean_mm']:>6}  median {made['median_mm']:>6}  "
        f"p95 {made['p95_mm']:>7} mm  {speed:>9,} points/s ({per_camera:>10,} detections/s)  "
        f"{made['peak_mb']:>4} MB  unknown {made['unknown_percent']} %  of {made['points']} points"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--frames", type=int, default=12_000, help="of 17 joints")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cameras", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers-python", default=sys.executable, help="a Python that has the peers")
    parser.add_argument("--peers-seconds", type=float, default=10.0, help="for each peer and ring; 0: none")
    parser.add_argument("--no-save", action="store_true", help="print only")
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    for views in chosen.cameras:
        of = scene(views, chosen.frames, chosen.seed)
        rows = [row(of, n, measured(w, chosen.repeats), chosen.seed) for n, w in our_methods(of).items()]
        for peer in PEERS if chosen.peers_seconds > 0 else ():
            if (found := theirs(of, peer, chosen.peers_python, chosen.peers_seconds)) is not None:
                rows.append(row(of, peer, found, chosen.seed))
        for made in rows:
            show(made)
            if not chosen.no_save:
                append_rows(RESULTS, COLUMNS, [made])


if __name__ == "__main__":
    main()
