"""EpipolarPose on rendered people: what the lack of labels costs, and what the refinement unit gains.

    OMP_WAIT_POLICY=passive python benchmarks/epipolar_pose.py [--teachers truth given people] [--threads 1]

A 2D network learns from 2D labels (RANSAC's heat maps), and EpipolarPose begins with its weights. Its teachers, one
run each: the truth; poses triangulated from the 2D network's joints with the extrinsics given, as EpipolarPose's own
pipeline finds them ("epipolar"), or found from the people. Then a refinement unit on each run's poses, taught by 3D
labels as published and, where the run had none, by the same pseudo-labels. Every view of every test scene counts
by itself; people, motions and clothes of the test were never trained on. `mean` is the training poses' mean, turned
into each camera: what an answer must beat. Finished runs are kept. Rows go to results/epipolar_pose.csv.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch

from coview.bench.machine import commit, machine, peak_mb
from coview.bench.results import append_rows
from coview.data.pseudo_labels.config import PseudoConfig
from coview.data.rendering.dataset import RenderedConfig
from coview.formats.io.text import read_json
from coview.methods.refinement_unit import RefinementUnitConfig
from coview.methods.shared.base import CameraPoses
from coview.recipes.mocap4 import refinement_unit
from coview.recipes.rendered import epipolar_pose_rendered, ransac_rendered
from coview.sample import MultiView
from coview.training.evaluation.evaluate import evaluate
from coview.training.evaluation.scoring import Score, truth_for
from coview.training.recipe import Recipe
from coview.training.run import train

RESULTS = Path(__file__).resolve().parents[1] / "results" / "epipolar_pose.csv"
METRICS = ("n_mpjpe_mm", "p_mpjpe_mm", "n_pck_150", "pss_50", "pss_100")
COLUMNS = ["date", "commit", "machine", "model", "teacher", "seed", "size", "cells", "steps", "instants"]
COLUMNS += [*METRICS, "labels_p_mpjpe_mm", "labels_known", "train_seconds", "peak_mb", "notes"]
TEACHERS = ("truth", "given", "epipolar", "people")


def recipes(arguments: argparse.Namespace) -> dict[str, Recipe]:
    """The 2D network, and EpipolarPose by each teacher."""
    data = replace(
        epipolar_pose_rendered.recipe.data, scenes=arguments.scenes, validation_scenes=arguments.tests
    )
    heatmaps = replace(ransac_rendered.recipe, data=data, steps=arguments.heatmap_steps)
    detector = arguments.out / "ransac"
    method = replace(epipolar_pose_rendered.method, cells=arguments.cells)
    common = replace(
        epipolar_pose_rendered.recipe,
        data=data,
        method=method,
        steps=arguments.steps,
        seed=arguments.seed,
        init=str(detector),
    )
    made = {"ransac": heatmaps}
    for teacher in arguments.teachers:
        labels = PseudoConfig(cameras="none" if teacher == "truth" else teacher)
        made[teacher] = replace(
            common,
            method=replace(method, taught_by="truth" if teacher == "truth" else "pseudo"),
            pseudo=labels if teacher == "truth" else replace(labels, detector=detector),
        )
    return made


def unit(recipe: Recipe, first: Path, by: str, steps: int) -> Recipe:
    """The refinement unit on the poses of the run `first`, taught by the truth or by the labels of that run."""
    return replace(
        refinement_unit.recipe,
        method=RefinementUnitConfig(width=256, taught_by=by),
        data=recipe.data,
        first_from=first,
        pseudo=recipe.pseudo if by == "pseudo" else PseudoConfig(cameras="none"),
        steps=steps,
        seed=recipe.seed,
    )


@torch.no_grad()
def mean_pose(data: RenderedConfig) -> dict[str, float]:
    """Metrics of the mean of all training poses as their cameras see them, said of every view."""
    batch = data.train().only(frozenset({"joints3d", "cameras"}))[:]
    mean = _in_cameras(batch).flatten(0, 1).mean(dim=0)
    test = data.validation().only(frozenset({"joints3d", "cameras"}))[:]
    score = Score(test.skeleton)
    score.update(CameraPoses(joints3d=mean.expand(*_in_cameras(test).shape)), test)
    return score.compute()


def _in_cameras(batch: MultiView) -> torch.Tensor:
    nothing = CameraPoses(joints3d=torch.empty(0, 0, len(batch.skeleton), 3))
    return truth_for(nothing, batch)


def row(
    arguments: argparse.Namespace, model: str, teacher: str, metrics: dict[str, float], **more: Any
) -> dict:
    known = {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine("cpu"),
        "model": model,
        "teacher": teacher,
        "seed": arguments.seed,
        "size": epipolar_pose_rendered.method.size,
        "cells": arguments.cells if model == "epipolar_pose" else "",
        "instants": arguments.tests,
        "peak_mb": round(peak_mb("cpu")),
        "notes": arguments.notes,
    }
    known |= {name: metrics[name] for name in METRICS if name in metrics} | more
    return {name: known.get(name, "") for name in COLUMNS}


def of_run(folder: Path) -> dict[str, Any]:
    """Steps, seconds and, where there were pseudo-labels, how far these are from the truth."""
    record = read_json(folder / "run.json")
    facts = {"steps": record["steps"], "train_seconds": record["seconds"]}
    path = folder / "pseudo_labels.json"
    if path.is_file():
        labels = read_json(path)
        facts |= {"labels_p_mpjpe_mm": labels["p_mpjpe_mm"], "labels_known": labels["known_share"]}
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--teachers", nargs="+", choices=TEACHERS, default=["truth", "given", "people"])
    parser.add_argument("--out", type=Path, default=Path("runs/epipolar"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=5000, help="to train on, four views each")
    parser.add_argument("--tests", type=int, default=400, help="scenes to test on, four views each")
    parser.add_argument("--cells", type=int, default=16, help="layers of the volume")
    parser.add_argument("--heatmap-steps", type=int, default=3000, help="of the 2D network")
    parser.add_argument("--steps", type=int, default=2000, help="of EpipolarPose")
    parser.add_argument("--unit-steps", type=int, default=3000, help="of the refinement unit; 0: none")
    parser.add_argument("--notes", default="", help="kept with every row")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    made = recipes(arguments)
    train(made.pop("ransac"), arguments.out / "ransac")
    rows = [row(arguments, "mean", "", mean_pose(next(iter(made.values())).data))]
    for teacher, recipe in made.items():
        folder = train(recipe, arguments.out / teacher)
        rows.append(row(arguments, "epipolar_pose", teacher, evaluate(folder), **of_run(folder)))
        report(rows[-1])
        for by in ("truth",) if teacher == "truth" else ("truth", "pseudo"):
            if not arguments.unit_steps:
                continue
            second = train(
                unit(recipe, folder, by, arguments.unit_steps), arguments.out / f"{teacher}_unit_{by}"
            )
            name = f"refinement_unit by {by}"
            rows.append(row(arguments, name, teacher, evaluate(second), **of_run(second)))
            report(rows[-1])
    append_rows(RESULTS, COLUMNS, rows)


def report(made: dict[str, Any]) -> None:
    print("  ".join(f"{name}={made[name]}" for name in ("model", "teacher", *METRICS, "labels_p_mpjpe_mm")))


if __name__ == "__main__":
    main()
