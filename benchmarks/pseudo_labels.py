"""Pseudo-labels: seconds and memory for many instants of four views, and whether a kill costs only what was missing.

    OMP_WAIT_POLICY=passive python benchmarks/pseudo_labels.py [--instants 1000000] [--workers 2] [--no-kill] [--dry]

A generated person walks in the ring of mocap4 (four cameras, 17 joints), seen by its detector (`DETECTED`); where
there are more instants than motion, its noise is drawn anew. Extrinsics are NaN: the cameras are found. The clock
runs from the call to the labels, with everything written to a folder on this disk. mm: P-MPJPE on 20 000 instants.
Then the same in a process that is killed (SIGKILL) when a third of the pieces lies there, and started again: pieces
that were made again, which must be those that were missing, and whether the answer is the same to the bit. Memory is
of this process beyond the data; cpu_s, the processor time of all threads, is disturbed less by other programs. Appends
to results/pseudo_labels.csv. Target: 1 M instants in 60 s on two quiet cores.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.body.procedural_motion import random_motion
from coview.data.mocap.mocap4 import DETECTED
from coview.data.pseudo_labels.labels import PseudoConfig, PseudoLabels, pseudo_labels, usable_cores
from coview.data.synthetic.recordings import detect, ring_cameras
from coview.metrics.joint_error import p_joint_error
from coview.sample import MultiView
from coview.skeletons import H36M_17

RESULTS = Path(__file__).resolve().parents[1] / "results" / "pseudo_labels.csv"
COLUMNS = [
    "date",
    "commit",
    "machine",
    "seed",
    "cameras",
    "views",
    "joints",
    "instants",
    "workers",
    "seconds",
    "cpu_s",
]
COLUMNS += ["instants_per_s", "peak_mb", "mm", "unknown_percent", "killed_at", "made_again", "same"]
MOTION = 50_000  # instants of different poses; more would take longer to make than to measure
TARGET = 1_000_000 / 60


def recording(instants: int, seed: int) -> MultiView:
    """What the detector saw, and no extrinsics."""
    poses = torch.cat(
        [random_motion(500, fps=10.0, seed=seed + who) for who in range(min(instants, MOTION) // 500 + 1)]
    )
    cameras = ring_cameras(4)
    pixels, confidence, truth = [], [], []
    for start in range(0, instants, MOTION):
        some = poses[: min(MOTION, instants - start)]
        seen, trust = detect(some, cameras, DETECTED, seed + start)
        pixels.append(seen)
        confidence.append(trust)
        truth.append(some)
    nowhere = replace(cameras, cam_from_world=torch.full((4, 3, 4), torch.nan))
    return MultiView(
        H36M_17,
        cameras=nowhere.expand(instants, 4),
        joints2d=torch.cat(pixels),
        confidence=torch.cat(confidence),
        joints3d=torch.cat(truth),
    )


def timed(
    seen: MultiView, config: PseudoConfig, folder: Path, workers: int
) -> tuple[PseudoLabels, float, float, float]:
    """The labels, seconds, processor seconds of all threads, and megabytes beyond what was there before."""
    forget_peak()
    before, began, busy = peak_mb("cpu"), time.perf_counter(), time.process_time()
    made = pseudo_labels(seen, config, folder=folder, workers=workers)
    return made, time.perf_counter() - began, time.process_time() - busy, peak_mb("cpu") - before


def killed(instants: int, seed: int, config: PseudoConfig, folder: Path, workers: int, total: int) -> int:
    """Pieces that lay there when the process that made them was killed; a third of them at least."""
    again = (
        f"--only --instants {instants} --seed {seed} --workers {workers} --cameras {config.cameras} --folder"
    )
    running = subprocess.Popen([sys.executable, __file__, *again.split(), str(folder)])
    while running.poll() is None and len(pieces(folder)) < max(1, total // 3):
        time.sleep(0.01)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    return len(pieces(folder))


def pieces(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*/labels_*.safetensors")}


def same(one: PseudoLabels, other: PseudoLabels) -> bool:
    names = ("joints3d", "covariance", "inliers")
    pairs = [(getattr(one, name).nan_to_num(), getattr(other, name).nan_to_num()) for name in names]
    return all(torch.equal(a, b) for a, b in pairs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instants", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cameras", choices=["people", "epipolar"], default="people")
    parser.add_argument("--no-kill", action="store_true", help="measure, and kill nothing")
    parser.add_argument("--dry", action="store_true", help="write no rows")
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    seen, config = recording(given.instants, given.seed), PseudoConfig(cameras=given.cameras)
    if given.only:
        pseudo_labels(seen, config, folder=given.folder, workers=given.workers)
        return
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        made, seconds, busy, peak = timed(seen, config, Path(first), given.workers)
        total, at, again, equal = len(pieces(Path(first))), "", "", ""
        if not given.no_kill:
            folder = Path(second)
            at = str(killed(given.instants, given.seed, config, folder, given.workers, total))
            before = pieces(folder)
            resumed, *_ = timed(seen, config, folder, given.workers)
            again = str(sum(before.get(name) != stamp for name, stamp in pieces(folder).items()))
            equal = str(same(made, resumed))
    error = p_joint_error(made.joints3d[:20_000], seen.joints3d[:20_000])
    unknown = 100 * float(made.joints3d.isnan().any(dim=-1).float().mean())
    values = [
        date.today().isoformat(), commit(), machine("cpu"), given.seed, given.cameras, 4, 17, given.instants,
        given.workers, f"{seconds:.1f}", f"{busy:.1f}", f"{given.instants / seconds:.0f}", f"{peak:.0f}",
        f"{float(error.nanmean()):.2f}", f"{unknown:.2f}", at and f"{at} of {total}", again, equal,
    ]  # fmt: skip
    row = dict(zip(COLUMNS, values, strict=True))
    if not given.dry:
        append_rows(RESULTS, COLUMNS, [row])
    print("  ".join(f"{key}={value}" for key, value in row.items() if key not in COLUMNS[:4]))
    print(f"target {TARGET:.0f} instants/s on two quiet cores: {given.instants / seconds >= TARGET}")


if __name__ == "__main__":
    main()
