"""Volumetric triangulation at paper size on a processor, beside a plain implementation with the same weights.

    OMP_WAIT_POLICY=passive python benchmarks/learnable_triangulation.py [--part volumetric unprojection]
        [--threads 2] [--rounds 2] [--repeats 2] [--depth 152] [--size 384] [--cells 64]

One instant, 4 views, float32, softmax aggregation, the released numerics; random weights, with the statistics
of BatchNorm from one pass. The plain one
(plain_learnable_triangulation.py) is eager PyTorch under `inference_mode`, like ours; "coview" is the method as
`eval()` leaves it, "coview folded" after `networks.folding.folded(method, in_place=True)`. All answer the same
joints (difference_mm, the largest). Every variant runs in processes of its own, in turns; seconds are the
best wall-clock of all passes, cpu_seconds the best processor time of all threads: the number to read where
others compute on the same cores. peak_mb is the peak resident memory above the process with its libraries imported,
weights and first pass included; forward_mb that above the process with the model ready. Ratios are the plain
one's seconds over the row's, and the row's memory over the plain one's. The C library is told to give every
freed block of 1 MB and more back at once, to all variants, so that the peak is what they need. Appends rows to
results/learnable_triangulation.csv. Targets: 1.5 times as fast in at most half the memory; the unprojection
alone 4 times as fast.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from plain_learnable_triangulation import PlainVolumetricTriangulation, plain_unproject
from torch import Tensor

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.methods.shared.image_method import IMAGENET_MEAN, IMAGENET_STD
from coview.methods.volumetric_triangulation import VolumetricTriangulation, VolumetricTriangulationConfig
from coview.networks.folding import folded
from coview.representations.unprojection import unproject
from coview.representations.volumes import cuboid
from coview.sample import MultiView
from coview.skeletons import LEARNABLE_17

RESULTS = Path(__file__).resolve().parents[1] / "results" / "learnable_triangulation.csv"
COLUMNS = [
    "date",
    "commit",
    "machine",
    "seed",
    "part",
    "method",
    "depth",
    "pixels",
    "views",
    "cells",
    "seconds",
]
COLUMNS += ["ratio", "cpu_seconds", "cpu_ratio", "peak_mb", "peak_ratio", "forward_mb", "forward_ratio"]
COLUMNS += ["model_mb", "prepare_s", "difference_mm"]
VIEWS, SEED = 4, 0
PLAIN = "plain twin"
VARIANTS = {
    "volumetric": (PLAIN, "coview", "coview folded"),
    "unprojection": (PLAIN, "coview reference", "coview"),
}


# --- the scene -----------------------------------------------------------------------------------


def config(settings: argparse.Namespace) -> VolumetricTriangulationConfig:
    return VolumetricTriangulationConfig(
        depth=settings.depth, size=settings.size, cells=settings.cells, released_numerics=True
    )


def cameras(size: int) -> Cameras:
    """Of crops: 4 around the person, who fills most of each."""
    return ring_cameras(VIEWS, focal=1.6 * size, size=(size, size)).reshape(1, VIEWS)


def batch(size: int) -> MultiView:
    generator = torch.Generator().manual_seed(SEED)
    coarse = torch.rand(VIEWS, 3, size // 16, size // 16, generator=generator)
    images = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[None]
    base = torch.tensor([[0.1, -0.2, 0.9]])
    return MultiView(LEARNABLE_17, images=images, cameras=cameras(size), base_point=base)


def save_weights(settings: argparse.Namespace, folder: Path) -> None:
    """Random, with BatchNorm's statistics from a pass over smaller images and fewer cells."""
    torch.manual_seed(SEED)
    small = argparse.Namespace(depth=settings.depth, size=128, cells=32)
    method = VolumetricTriangulation(config(small), LEARNABLE_17).train()
    for layer in method.modules():
        if isinstance(layer, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            layer.momentum = None  # the mean of all passes; there is one
    with torch.no_grad():
        method(batch(128))
    torch.save(method.state_dict(), folder / "weights.pt")


# --- one variant in its own process --------------------------------------------------------------


def resident_mb() -> float:
    """What this process holds now, after freed memory went back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    forget_peak()
    return peak_mb("cpu")


def plain_volumetric(settings: argparse.Namespace, folder: Path) -> Callable[[], Tensor]:
    model = PlainVolumetricTriangulation(settings.depth, cells=settings.cells).eval()
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    given = batch(settings.size)

    def answer() -> Tensor:
        mean, spread = (torch.tensor(each)[:, None, None] for each in (IMAGENET_MEAN, IMAGENET_STD))
        in_metres = given.cameras.pixels_from_world
        projections = torch.cat([in_metres[..., :3] / 1000, in_metres[..., 3:]], dim=-1)
        images = (given.images.flip(2) - mean) / spread
        return model(images, projections, 1000 * given.base_point)[0]

    return answer


def our_volumetric(settings: argparse.Namespace, folder: Path) -> Callable[[], Tensor]:
    method = VolumetricTriangulation(config(settings), LEARNABLE_17).eval()
    method.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    if settings.child == "coview folded":
        method = folded(method, in_place=True)
    given = batch(settings.size)
    return lambda: 1000 * method(given).joints3d


def unprojection(settings: argparse.Namespace, _: Path) -> Callable[[], Tensor]:
    side = settings.size // 4
    generator = torch.Generator().manual_seed(SEED)
    features = torch.randn(1, VIEWS, 32, side, side, generator=generator)
    projections = cameras(side).pixels_from_world
    points = cuboid(batch(64).base_point, 2.5, settings.cells)
    if settings.child == PLAIN:
        return lambda: plain_unproject(features, projections, points)
    reference = settings.child == "coview reference"
    return lambda: unproject(features, projections, points, "softmax", released_numerics=reference)


def measured(settings: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Runs the variant named by `settings.child`; its answer is left in the folder."""
    torch.set_num_threads(settings.threads)
    torch.arange(1 << 20).float().sqrt().sum()  # starts the threads
    before = resident_mb()
    began = time.perf_counter()
    plain = plain_volumetric if settings.child == PLAIN else our_volumetric
    answer = (unprojection if settings.part[0] == "unprojection" else plain)(settings, folder)
    prepared = time.perf_counter() - began
    ready = resident_mb()
    wall, processor = [], []
    with torch.inference_mode():
        for _ in range(1 + settings.repeats):
            start, used = time.perf_counter(), time.process_time()
            found = answer()
            wall.append(time.perf_counter() - start)
            processor.append(time.process_time() - used)
    peak = peak_mb("cpu")
    torch.save(found.clone(), folder / "answer.pt")
    return {
        "seconds": min(wall[1:]),
        "cpu_seconds": min(processor[1:]),
        "peak_mb": peak - before,
        "forward_mb": peak - ready,
        "model_mb": ready - before,
        "prepare_s": prepared,
    }


# --- all of them ---------------------------------------------------------------------------------


def in_own_process(
    name: str, part: str, settings: argparse.Namespace, folder: Path
) -> tuple[dict[str, float], Tensor]:
    words = [sys.executable, __file__, "--child", name, "--part", part, "--folder", str(folder)]
    for option in ("threads", "repeats", "depth", "size", "cells"):
        words += [f"--{option}", str(getattr(settings, option))]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{name} ({part}) failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]), torch.load(folder / "answer.pt", weights_only=True)


def compared(part: str, settings: argparse.Namespace, folder: Path) -> list[dict[str, str]]:
    """One row per variant: the best seconds of all rounds, the highest memory."""
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS[part]}
    answers: dict[str, Tensor] = {}
    for _ in range(settings.rounds):
        for name, results in runs.items():
            result, answers[name] = in_own_process(name, part, settings, folder)
            results.append(result)
            print(f"{part}, {name}: " + ", ".join(f"{key} {value:.2f}" for key, value in result.items()))
    best = {
        name: {key: (max if key.endswith("_mb") else min)(run[key] for run in results) for key in results[0]}
        for name, results in runs.items()
    }
    plain = best[PLAIN]
    rows = []
    for name, values in best.items():
        row = {key: f"{value:.3f}" if "mb" not in key else f"{value:.0f}" for key, value in values.items()}
        row |= {
            f"{short}ratio": f"{plain[key] / values[key]:.2f}"
            for short, key in (("", "seconds"), ("cpu_", "cpu_seconds"))
        }
        row |= {
            f"{kind}_ratio": f"{values[f'{kind}_mb'] / plain[f'{kind}_mb']:.2f}"
            for kind in ("peak", "forward")
        }
        same = part == "volumetric" or name != "coview"  # by default, unprojection masks what is not seen
        gap = (answers[name] - answers[PLAIN]).abs().max().item()
        rows.append(row | {"method": name, "difference_mm": f"{gap:.2e}" if same else ""})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="processes per variant, in turns")
    parser.add_argument("--repeats", type=int, default=2, help="timed passes in each process, after one more")
    parser.add_argument("--depth", type=int, default=152, choices=[50, 152])
    parser.add_argument("--size", type=int, default=384, help="pixels")
    parser.add_argument("--cells", type=int, default=64)
    parser.add_argument("--child", help="(one variant, in this process)")
    parser.add_argument("--folder", type=Path, help="(where the parent left the weights)")
    settings = parser.parse_args()
    if settings.child:
        print(json.dumps(measured(settings, settings.folder)))
        return
    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as folder:
        for part in settings.part:
            if part == "volumetric":
                save_weights(settings, Path(folder))
            shared = {"date": date.today().isoformat(), "commit": commit(), "machine": machine("cpu")}
            shared |= {
                "seed": str(SEED),
                "part": part,
                "depth": str(settings.depth) if part == "volumetric" else "",
            }
            shared |= {"pixels": str(settings.size), "views": str(VIEWS), "cells": str(settings.cells)}
            rows = [shared | row for row in compared(part, settings, Path(folder))]
            append_rows(RESULTS, COLUMNS, rows)
            for row in rows:
                print(
                    {
                        key: row[key]
                        for key in ("method", "seconds", "ratio", "cpu_ratio", "peak_ratio", "difference_mm")
                    }
                )


if __name__ == "__main__":
    main()
