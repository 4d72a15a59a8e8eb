"""MCSS beside its baseline on mocap4 `detected`: how much few labels lose, and what views that agree give back.

    OMP_WAIT_POLICY=passive python benchmarks/mcss.py [--labels 0.01 ...] [--seeds 0] [--held-out WHO]

Needs the prepared motion (`coview data prepare cmu_mocap SOURCE`; --folder says where, if elsewhere). Both train the
same network on the same batches and the same labels; what views teach weighs nothing in the baseline. "lifting" is
the encoder of ours that finds a pose first (`McssLifting`), with a baseline of its own. `--labels` are s1, s15, s156,
all: the instants of the first one, two, three, all subjects; or shares, of one subject's instants as in the literature
(s1:0.01; 496 pictures there) or of all (0.01). Errors are of canonical poses, every camera a test of its own: on the
test clips, whose people and kinds of motion are all new, and on the validation clips: other takes of kinds that mostly
train too (two thirds walk), of the same people. With --held-out, on these training subjects instead, which is how
settings were chosen. Rows are added to results/mcss.csv. Targets: at 1 % the N-MPJPE at least 25 % below the
baseline's, more with fewer labels; never rising from split to split.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import get_args

import torch

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.data.base import InMemory
from coview.data.label_budget import ShownLabels, Split
from coview.data.mocap.mocap4 import Mocap4Config
from coview.recipes.mocap4 import mcss_lifting_mocap4, mcss_mocap4
from coview.training.evaluation.evaluate import evaluate
from coview.training.recipe import Recipe
from coview.training.run import train
from coview.training.run_folder import EVALUATION, RECORD

RESULTS = Path(__file__).resolve().parents[1] / "results" / "mcss.csv"
_HARDEST = {"negatives": "hardest", "semi_hard": 1.0, "margin": 1.0, "metric_weight": 2.0}
_LABELS_ALONE = {"across": 0.0, "agreement": 0.0, "limb_weight": 0.0}
METHODS: dict[str, tuple[Recipe, dict[str, float | str]]] = {
    "baseline": (mcss_mocap4.recipe, {"metric_weight": 0.0}),
    "mcss": (mcss_mocap4.recipe, {}),
    "mcss_hardest": (mcss_mocap4.recipe, _HARDEST),
    "lifting_baseline": (mcss_lifting_mocap4.recipe, _LABELS_ALONE),
    "mcss_lifting": (mcss_lifting_mocap4.recipe, {}),
}
MEASURED = ["canonical_n_mpjpe_mm", "canonical_mpjpe_mm", "p_mpjpe_mm"]
MEASURED += [f"retrieval_{kind}_mm_at_{k}" for kind in ("pa_mpjpe", "least") for k in (1, 5, 10, 20)]
MEASURED += ["retrieval_chance_mm", *(f"hit_percent_at_{k}" for k in (1, 5, 10, 20))]
COLUMNS = ["date", "commit", "machine", "method", "split", "share", "labelled", "tested_on", "seed", "steps"]
COLUMNS += [*MEASURED, "embedding_spread", "seconds", "peak_mb"]


def asked(words: str) -> ShownLabels:
    """The name of a split, with a share of it after a colon or all of it; or a share of all."""
    split, _, share = words.partition(":")
    if split in get_args(Split):
        return ShownLabels(split=split, share=float(share or 1))  # type: ignore[arg-type]
    return ShownLabels(share=float(words))


def labelled(recipe: Recipe) -> int:
    """Instants that show their labels."""
    data = recipe.data.train()
    assert isinstance(data, InMemory)
    shown = recipe.labels.shown(data.only(frozenset({"joints3d", "subject"})))
    assert isinstance(shown, InMemory)
    return int(shown.instants.labelled.sum())


def measured(name: str, recipe: Recipe) -> list[dict[str, str]]:
    """One training, and a row for each part of the data that it is tested on."""
    forget_peak()
    data = recipe.data
    assert isinstance(data, Mocap4Config)
    with tempfile.TemporaryDirectory() as folder:
        run = train(recipe, Path(folder) / "run", progress=False)
        peak, record = peak_mb("cpu"), json.loads((run / RECORD).read_text())
        found = {" ".join(data.held_out) or data.split: json.loads((run / EVALUATION).read_text())["metrics"]}
        if not data.held_out:
            found["val"] = evaluate(run, replace(data, split="val"))
    always = {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine("cpu"),
        "method": name,
        "split": recipe.labels.split,
        "share": f"{recipe.labels.share:g}",
        "labelled": str(labelled(recipe)),
        "seed": str(recipe.seed),
        "steps": str(recipe.steps),
        "embedding_spread": str(record["facts"]["embedding_spread"]),
        "seconds": f"{record['seconds']:.1f}",
        "peak_mb": f"{peak:.0f}",
    }
    return [
        always | {"tested_on": where} | {key: f"{errors[key]:.2f}" for key in MEASURED if key in errors}
        for where, errors in found.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", default=["0.01"])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=["baseline", "mcss"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="default: the recipe's")
    parser.add_argument("--held-out", nargs="+", default=[])
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = replace(mcss_mocap4.recipe.data, folder=given.folder, held_out=tuple(given.held_out))
    data = replace(data, split="held_out" if given.held_out else "test")
    for seed in given.seeds:
        for words in given.labels:
            for name in given.methods:
                own, changes = METHODS[name]
                recipe = replace(
                    own,
                    method=replace(own.method, **changes),
                    data=data,
                    labels=asked(words),
                    seed=seed,
                    steps=given.steps or own.steps,
                    device="cpu",
                )
                for row in measured(name, recipe):
                    append_rows(RESULTS, COLUMNS, [row])
                    errors = {key: row.get(key) for key in MEASURED[:4]}
                    print(name, words, seed, row["tested_on"], errors, row["seconds"], flush=True)


if __name__ == "__main__":
    main()
