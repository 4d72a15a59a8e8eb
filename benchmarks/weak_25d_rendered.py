"""Weakly supervised 2.5D on rendered people: what each term of its loss does on pictures.

    OMP_WAIT_POLICY=passive python benchmarks/weak_25d_rendered.py [--only heat views limbs pseudo] [--detector RUN]

A quarter of the training instants show their 2D joints. A 2D network learns from these alone, and every variant of
`weak25d_rendered` begins with its weights: heat maps only (L_H), with agreeing views (+ L_MC), with the lengths of
limbs (+ L_B), and with what the 2D network sees in the other pictures (+ L_R). --detector begins with a finished 2D
network instead; --notes should say which labels taught it. Every view of every test scene counts
by itself; people, motions and clothes of the test were never trained on. `mean` is the training poses' mean, turned
into each camera: what an answer must beat. Finished runs are kept. Rows go to results/weak_25d_rendered.csv.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch
from epipolar_pose import mean_pose

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.data.batching import Mixed
from coview.recipes.rendered import ransac_rendered, weak25d_rendered
from coview.training.evaluation.evaluate import evaluate
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

RESULTS = Path(__file__).resolve().parents[1] / "results" / "weak_25d_rendered.csv"
METRICS = ("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm", "pss_50")
COLUMNS = ["date", "commit", "machine", "terms", "seed", "size", "steps", "heatmap_steps", "instants"]
COLUMNS += [*METRICS, "train_seconds", "peak_mb", "notes"]
TERMS = {
    "heat": "L_H",
    "views": "L_H + L_MC",
    "limbs": "L_H + L_MC + L_B",
    "pseudo": "L_H + L_MC + L_B + L_R",
}


def recipes(given: argparse.Namespace) -> dict[str, Recipe]:
    """The 2D network under "ransac", and each variant."""
    own = weak25d_rendered.recipe
    data = replace(own.data, scenes=given.scenes, validation_scenes=given.tests)
    heatmaps = replace(
        ransac_rendered.recipe,
        data=data,
        labels=own.labels,
        batching=Mixed(share=0.875),  # pictures without labels teach it nothing
        steps=given.heatmap_steps,
    )
    detector = given.detector or given.out / "ransac"
    common = replace(own, data=data, steps=given.steps, seed=given.seed, init=str(detector))
    weights = own.method
    variants = {
        "heat": replace(common, method=replace(weights, agreement=0.0, limb_weight=0.0)),
        "views": replace(common, method=replace(weights, limb_weight=0.0)),
        "limbs": common,
        "pseudo": replace(common, joints2d_from=detector),
    }
    return {"ransac": heatmaps} | {name: variants[name] for name in given.only}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(TERMS), default=list(TERMS))
    parser.add_argument("--out", type=Path, default=Path("runs/weak_25d_rendered"))
    parser.add_argument(
        "--detector", type=Path, help="a finished 2D run to begin with; default: trained here"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=5000, help="to train on, four views each")
    parser.add_argument("--tests", type=int, default=400, help="scenes to test on, four views each")
    parser.add_argument("--heatmap-steps", type=int, default=3000, help="of the 2D network")
    parser.add_argument("--steps", type=int, default=2500, help="of each variant")
    parser.add_argument("--notes", default="", help="kept with every row")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    made = recipes(given)
    heatmaps = made.pop("ransac")
    detector = load_run(given.detector or train(heatmaps, given.out / "ransac"))
    first = next(iter(made.values()))
    always = {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine("cpu"),
        "seed": given.seed,
        "size": first.method.size,
        "instants": given.tests,
        "notes": given.notes,
    }
    append_rows(RESULTS, COLUMNS, [always | {"terms": "mean"} | _shown(mean_pose(first.data))])
    for name, recipe in made.items():
        forget_peak()
        run = train(recipe, given.out / name)
        record = load_run(run).record
        row = always | {
            "terms": TERMS[name],
            "steps": record["steps"],
            "heatmap_steps": detector.record["steps"],
            "train_seconds": record["seconds"],
            "peak_mb": round(peak_mb("cpu")),
        }
        row |= _shown(evaluate(run))
        append_rows(RESULTS, COLUMNS, [row])
        print("  ".join(f"{key}={row.get(key, '')}" for key in ("terms", *METRICS)), flush=True)


def _shown(metrics: dict[str, float]) -> dict[str, float]:
    return {name: round(metrics[name], 2) for name in METRICS if name in metrics}


if __name__ == "__main__":
    main()
