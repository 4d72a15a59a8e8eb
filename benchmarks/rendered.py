"""RANSAC, algebraic and volumetric triangulation on rendered people, against the number of views.

    OMP_WAIT_POLICY=passive python benchmarks/rendered.py --seed 0 [--threads 1] [--out runs/rendered]

Trainings one after another: heat maps from 2D labels (RANSAC), once for all seeds; then for each seed algebraic without
and with learnt confidences and volumetric with softmax, which all begin with the weights of the first, as in the
paper. In training the cuboid stands where RANSAC sees the pelvis, in the test where the algebraic method with
confidences does, with the same views; for a single view, where it truly is. People, motions, clothes and rigs of the
test are never trained on. Runs are resumed and skipped. Rows go to results/rendered.csv; relative errors are to the
pelvis, whose own zero is part of the mean of 17, as in the paper.
"""

import argparse
import csv
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from coview.bench.machine import commit, machine, peak_mb
from coview.data.base import InMemory
from coview.formats.io.text import read_json
from coview.methods.shared.base import Method, WorldPose
from coview.metrics.joint_error import joint_error
from coview.recipes.rendered import algebraic_rendered, ransac_rendered, volumetric_rendered
from coview.sample import MultiView
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

RESULTS = Path(__file__).resolve().parents[1] / "results" / "rendered.csv"
METHODS = ("ransac", "algebraic_plain", "algebraic", "volumetric")
PUBLISHED = {
    "ransac": 27.4,
    "algebraic_plain": 26.9,
    "algebraic": 22.6,
    "volumetric": 20.8,
}  # mm, H36M, relative
VIEWS = range(1, 9)
KEY = ("method", "seed", "scenery", "size", "cells", "steps", "views")


def recipes(arguments: argparse.Namespace, folder: Path) -> dict[str, Recipe]:
    """The four, made small."""
    size = arguments.size
    small = {"size": size, "trunk": arguments.trunk, "deconv": arguments.deconv}
    data = replace(
        ransac_rendered.recipe.data,
        scenes=arguments.scenes,
        validation_scenes=arguments.tests,
        size=size,
        test_views=max(VIEWS),
        scenery=arguments.scenery,
    )
    common = {"data": data, "seed": arguments.seed}
    begin = {"init": str(heatmaps_folder(arguments))}
    heatmaps, algebraic, volumetric = (
        replace(module.recipe, **common, method=replace(module.recipe.method, **small))
        for module in (ransac_rendered, algebraic_rendered, volumetric_rendered)
    )
    volume = {"cells": arguments.cells, "levels": 3, "width": arguments.width, "front_kernel": 3}
    steps = dict(zip(METHODS, arguments.steps, strict=True))
    made = {
        "ransac": replace(heatmaps, seed=0),
        "algebraic_plain": replace(algebraic, **begin, method=replace(algebraic.method, confidences=False)),
        "algebraic": replace(algebraic, **begin),
        "volumetric": replace(
            volumetric,
            **begin,
            base_from=heatmaps_folder(arguments),
            method=replace(volumetric.method, **volume),
        ),
    }
    return {name: replace(recipe, steps=steps[name]) for name, recipe in made.items()}


def heatmaps_folder(arguments: argparse.Namespace) -> Path:
    """Of the run that all seeds begin with."""
    return arguments.heatmaps or arguments.out / f"{arguments.size}" / "ransac"


def of_views(batch: MultiView, views: torch.Tensor, base: torch.Tensor | None = None) -> MultiView:
    """What some of the cameras see."""
    return MultiView(
        batch.skeleton, images=batch.images[:, views], cameras=batch.cameras[:, views], base_point=base
    )


@torch.no_grad()
def errors(methods: dict[str, Method], test: InMemory, count: int) -> dict[str, tuple[float, float, float]]:
    """Absolute and pelvis-relative MPJPE in mm, and the share of joints found, with `count` views of the eight."""
    root, sums = test.skeleton.root_index, {}
    generator = torch.Generator().manual_seed(count)
    for batch in test.batches(16):
        views = torch.randperm(batch.images.shape[1], generator=generator)[:count].sort().values
        truth = batch.joints3d
        base = truth[:, root]
        found: dict[str, WorldPose] = {}
        for name in METHODS:
            if name == "volumetric" and count > 1:
                base = found["algebraic"].joints3d[:, root]
            if name == "volumetric" or count > 1:
                found[name] = methods[name](of_views(batch, views, base))
        for name, pose in found.items():
            relative = joint_error(pose.joints3d - pose.joints3d[:, root, None], truth - truth[:, root, None])
            sums.setdefault(name, []).append(torch.stack([joint_error(pose.joints3d, truth), relative]))
    return {
        name: (
            *(float(torch.cat(parts, dim=1)[k].nanmean()) for k in (0, 1)),
            float(torch.cat(parts, dim=1)[0].isfinite().float().mean()),
        )
        for name, parts in sums.items()
    }


def put(rows: list[dict[str, object]]) -> None:
    """Into the table; a row with the same key is replaced."""
    held = list(csv.DictReader(RESULTS.open(newline=""))) if RESULTS.is_file() else []
    table = {tuple(str(row[name]) for name in KEY): row for row in [*held, *rows]}
    names = list(rows[0])
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(table.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/rendered"))
    parser.add_argument("--heatmaps", type=Path, help="a finished run to begin with, instead of training one")
    parser.add_argument("--only", choices=METHODS, help="train this one and measure nothing yet")
    parser.add_argument("--notes", default="", help="kept with every row")
    parser.add_argument("--size", type=int, default=128, help="pixels of a crop's side")
    parser.add_argument(
        "--scenery", choices=("varied", "studio"), default="studio", help="anywhere, or one room"
    )
    parser.add_argument("--scenes", type=int, default=5000, help="to train on, four views each")
    parser.add_argument("--tests", type=int, default=160, help="scenes to test on, eight views each")
    parser.add_argument("--trunk", type=int, default=32, help="channels of the ResNet's first stage")
    parser.add_argument("--deconv", type=int, default=64, help="channels of the deconvolutions")
    parser.add_argument("--cells", type=int, default=24, help="of the cuboid along a side")
    parser.add_argument("--width", type=int, default=16, help="channels of the volume's network")
    parser.add_argument("--steps", type=int, nargs=4, default=[3000, 1000, 1000, 1200], metavar="N")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = arguments.out / f"{arguments.size}" / f"seed{arguments.seed}"
    made = recipes(arguments, folder)
    folders = {name: folder / name for name in METHODS} | {"ransac": heatmaps_folder(arguments)}
    for name, recipe in made.items():
        if arguments.only in (None, name) and not (name == "ransac" and arguments.heatmaps):
            train(recipe, folders[name])
    if arguments.only:
        return
    methods = {name: load_run(folders[name]).method for name in METHODS}
    records = {name: read_json(folders[name] / "run.json") for name in METHODS}
    test = made["ransac"].data.validation()
    rows: list[dict[str, object]] = []
    for count in VIEWS:
        for name, (absolute, relative, found) in errors(methods, test, count).items():
            rows.append(
                {
                    "date": date.today().isoformat(),
                    "commit": commit(),
                    "machine": machine("cpu"),
                    "method": name,
                    "seed": arguments.seed,
                    "scenery": arguments.scenery,
                    "size": arguments.size,
                    "cells": arguments.cells if name == "volumetric" else "",
                    "steps": records[name]["steps"],
                    "scenes": arguments.scenes,
                    "views": count,
                    "mpjpe_mm": round(absolute, 2),
                    "mpjpe_relative_mm": round(relative, 2),
                    "found_percent": round(100 * found, 2),
                    "parameters": records[name]["parameters"],
                    "train_seconds": records[name]["seconds"],
                    "peak_mb": round(peak_mb("cpu")),
                    "published_relative_mm": PUBLISHED[name] if count == 4 else "",
                    "notes": arguments.notes,
                }
            )
        print(count, {row["method"]: row["mpjpe_mm"] for row in rows if row["views"] == count})
    put(rows)


if __name__ == "__main__":
    main()
