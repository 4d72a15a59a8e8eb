"""Weakly supervised 2.5D lifting on mocap4: which terms it takes, and how far it is from what labels would teach.

    OMP_WAIT_POLICY=passive python benchmarks/weak_25d.py [--input exact] [--only views ...] [--seeds 0] [--steps 3000]

Each variant is the recipe `weak25d_mocap4` with one thing changed, trained on the training clips with given lenses.
Rows for: the instants it learnt from (every eighth), and the test clips on the ring it learnt on. `mpjpe_mm` takes
the size as predicted, by mean limbs; `n_mpjpe_mm` gives every pose its best size: the difference is what sizes
cost. Variants whose method claims no size have no `mpjpe_mm`. Rows go to results/weak_25d.csv.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from coview import recipes
from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.body.limb_lengths import LimbLengths
from coview.data.base import InMemory
from coview.data.mocap.mocap4 import INPUTS, Mocap4Config
from coview.representations.relative_depth import Placing
from coview.training.evaluation.scoring import score
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    *("date", "commit", "machine", "variant", "input", "seed", "width", "steps", "split", "instants"),
    *("mpjpe_mm", "n_mpjpe_mm", "p_mpjpe_mm", "pss_50", "mirror_flipped", "seconds", "peak_mb"),
)
HELD_OUT = ("cmu08", "cmu49", "cmu55")  # of the training clips, where settings are chosen
EVERY = 8  # instants of training that are scored


def variants() -> dict[str, Recipe]:
    """Name to recipe; "truth" and "supervised_mocap4" are what labels teach the same network, and the usual one."""
    own: Recipe = recipes.load("weak25d_mocap4")
    method = own.method

    def but(**changes: object) -> Recipe:
        return replace(own, method=replace(method, **changes))

    usual = recipes.load("supervised_mocap4")
    return {
        "views": own,
        "truth": but(taught_by="truth"),
        "supervised_mocap4": replace(usual, steps=own.steps),
        "agreement alone": but(limb_weight=0.0),
        "limbs alone": but(agreement=0.0),
        "placed by the torso": but(placing=Placing(by="torso")),
        "as published: torso, depth not held": but(
            placing=Placing(by="torso", least_share=0.0, detach_depth=False)
        ),
        "limbs of Human3.6M": but(limbs=LimbLengths()),
        "limbs of Human3.6M, without neck, head, hip, shoulder": but(
            limbs=LimbLengths(neck=0.0, head=0.0, hip=0.0, shoulder=0.0)
        ),
    }


def measured(name: str, recipe: Recipe, run: Path, noise: str) -> list[dict[str, object]]:
    """Trained, unless it is there already; a row per set of instants."""
    forget_peak()
    train(recipe, run, progress=False)
    memory = peak_mb("cpu")
    loaded = load_run(run)
    data = recipe.data
    assert isinstance(data, Mocap4Config)
    training = data.train()
    sets = {
        "train": InMemory(training[torch.arange(0, len(training), EVERY)]),
        data.split: data.validation(),
    }
    rows = []
    for split, instants in sets.items():
        numbers = score(loaded.method, instants)
        rows.append(
            {
                "date": date.today().isoformat(),
                "commit": commit(),
                "machine": machine("cpu"),
                "variant": name,
                "input": noise,
                "seed": recipe.seed,
                "width": getattr(recipe.method, "width", ""),
                "steps": recipe.steps,
                "split": split,
                "instants": len(instants),
                "mirror_flipped": loaded.record["facts"].get("mirror_flipped", ""),
                "seconds": loaded.record["seconds"],
                "peak_mb": round(memory),
                **{key: round(numbers[key], 2) for key in COLUMNS if key in numbers},
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = variants()
    parser.add_argument("--only", nargs="*", default=list(known), choices=list(known))
    parser.add_argument("--input", default="exact", choices=list(INPUTS))
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--held-out", action="store_true", help="train without some subjects, test on them")
    parser.add_argument("--out", type=Path, default=Path("runs/weak_25d"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = Mocap4Config(noise=INPUTS[arguments.input])
    if arguments.held_out:
        data = replace(data, held_out=HELD_OUT, split="held_out")
    for seed in arguments.seeds:
        for name in arguments.only:
            recipe = replace(known[name], data=data, seed=seed, steps=arguments.steps)
            stem = "".join(letter if letter.isalnum() else "_" for letter in name)
            run = arguments.out / f"{stem}_{arguments.input}_{data.split}_{seed}_{arguments.steps}"
            rows = measured(name, recipe, run, arguments.input)
            for row in rows:
                print(
                    name, row["split"], *(f"{key} {row.get(key, '')}" for key in COLUMNS[10:14]), flush=True
                )
            append_rows(ROOT / "results" / "weak_25d.csv", COLUMNS, rows)


if __name__ == "__main__":
    main()
