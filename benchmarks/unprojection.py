"""Unprojection beside the plain way: every view sampled into a volume, the volumes stacked and joined.

    OMP_WAIT_POLICY=passive python benchmarks/unprojection.py [--threads 2] [--repeats 7]

Paper size: 4 views, 32 channels, maps of 96 × 96, 64³ voxels of a cube of 2.5 m, float32; the crops see about
2.2 m, so that a view sees 0.83 of the voxels. The plain one projects with a matrix product, samples all views
in one call of `grid_sample`, and joins the stacked volumes; both have the released numerics ("coview": the
default mode) and must agree to 1e-3 for features of size 1 (float32 coordinates; the twins of the tests are
closer). Each method has its own process. seconds is the median; cpu_s the processor time of the same pass,
which says more where others compute on the same cores. Ratios are over the plain one. The peak memory is
beyond that of the inputs. Appends rows to results/unprojection.csv. Target: a ratio of 4 for softmax, forward.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.data.synthetic.recordings import ring_cameras
from coview.representations.heatmaps import cells_from_world
from coview.representations.unprojection import unproject
from coview.representations.volumes import cuboid

RESULTS = Path(__file__).resolve().parents[1] / "results" / "unprojection.csv"
COLUMNS = ["date", "commit", "machine", "method", "device", "aggregate", "pass", "seconds", "ratio"]
COLUMNS += ["cpu_s", "cpu_ratio", "peak_mb"]
VIEWS, CHANNELS, CELLS, VOXELS, SIDE = 4, 32, 96, 64, 2.5
PLAIN, RELEASED, DEFAULT = "plain", "coview reference", "coview"


@dataclass(frozen=True)
class Case:
    """One method in one setting."""

    method: str
    device: str
    aggregate: str
    backward: bool
    threads: int
    repeats: int


@dataclass(frozen=True)
class Measured:
    """What a process answers."""

    seconds: float
    cpu: float
    peak_mb: float
    machine: str


def scene(device: str) -> tuple[Tensor, Tensor, Tensor]:
    cameras = ring_cameras(VIEWS, start_angle=0.3, size=(384, 384), focal=384 * 5 / 2.2)
    projections = cells_from_world(cameras.pixels_from_world, (4.0, 4.0), half_pixel=False).float()
    features = torch.randn(VIEWS, CHANNELS, CELLS, CELLS, generator=torch.Generator().manual_seed(0))
    points = cuboid(torch.tensor([0.0, 0.0, 1.0]), SIDE, VOXELS)
    return features.to(device), projections.to(device), points.to(device)


def plainly(features: Tensor, projections: Tensor, points: Tensor, aggregate: str) -> Tensor:
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1).flatten(0, 2)
    image = homogeneous @ projections.mT
    behind = image[..., 2] <= 0
    places = image[..., :2] / torch.where(image[..., 2:] == 0, 1.0, image[..., 2:])
    grid = (2 * (places / CELLS - 0.5))[:, None]
    volumes = functional.grid_sample(features, grid, align_corners=True)[:, :, 0]
    volumes = volumes.masked_fill(behind[:, None], 0.0).view(VIEWS, CHANNELS, VOXELS, VOXELS, VOXELS)
    if aggregate == "softmax":
        return (volumes.softmax(dim=0) * volumes).sum(dim=0)
    return volumes.sum(dim=0) if aggregate == "sum" else volumes.amax(dim=0)


def work(case: Case) -> Callable[[], object]:
    features, projections, points = scene(case.device)
    features.requires_grad_(case.backward)

    def forward() -> Tensor:
        if case.method == PLAIN:
            return plainly(features, projections, points, case.aggregate)
        kind = case.aggregate
        return unproject(features, projections, points, kind, released_numerics=case.method == RELEASED)  # type: ignore[arg-type]

    pull = torch.ones(CHANNELS, VOXELS, VOXELS, VOXELS, device=case.device)
    return (lambda: forward().backward(pull)) if case.backward else forward


def measure(case: Case) -> Measured:
    torch.set_num_threads(case.threads)
    run, seconds, cpu = work(case), [], []
    forget_peak()
    held = peak_mb(case.device)
    run()
    peak = peak_mb(case.device) - held
    for _ in range(case.repeats):
        begun, begun_cpu = now(case.device), time.process_time()
        run()
        seconds.append(now(case.device) - begun)
        cpu.append(time.process_time() - begun_cpu)
    return Measured(statistics.median(seconds), statistics.median(cpu), peak, machine(case.device))


def now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def check_same(device: str) -> None:
    given = scene(device)
    for aggregate in ("softmax", "sum", "max"):
        ours = unproject(*given, aggregate, released_numerics=True)  # type: ignore[arg-type]
        away = float((ours - plainly(*given, aggregate)).abs().max())
        assert away < 1e-3, f"{aggregate}: {away} apart"


def row(case: Case, found: Measured, plain: Measured) -> dict[str, object]:
    values = [
        date.today().isoformat(), commit(), found.machine, case.method, case.device, case.aggregate,
        "forward and backward" if case.backward else "forward", f"{found.seconds:.3f}",
        f"{plain.seconds / found.seconds:.2f}", f"{found.cpu:.3f}", f"{plain.cpu / found.cpu:.2f}",
        f"{found.peak_mb:.0f}",
    ]  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--aggregates", nargs="+", default=["softmax", "sum", "max"])
    parser.add_argument("--dry", action="store_true", help="write no rows")
    given = parser.parse_args()
    for device in ["cpu"] + (["cuda"] if torch.cuda.is_available() else []):
        check_same(device)
        for aggregate in given.aggregates:
            for backward in (False, True):
                rest = (device, aggregate, backward, given.threads, given.repeats)
                cases = [Case(method, *rest) for method in (PLAIN, RELEASED, DEFAULT)]
                found = []
                for case in cases:  # a fresh process each
                    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                        found.append(pool.submit(measure, case).result())
                rows = [row(case, each, found[0]) for case, each in zip(cases, found, strict=True)]
                if not given.dry:
                    append_rows(RESULTS, COLUMNS, rows)
                for line in rows:
                    print("  ".join(f"{key}={line[key]}" for key in COLUMNS[3:]), flush=True)


if __name__ == "__main__":
    main()
