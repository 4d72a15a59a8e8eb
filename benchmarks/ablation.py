"""What each of our choices buys on mocap4 `detected`: our CanonPose with one choice taken back at a time.

    OMP_WAIT_POLICY=passive python benchmarks/ablation.py [--seeds 0] [--steps 1500] [--threads 1] [--only NAME ...]

Needs the prepared motion (`coview data prepare cmu_mocap SOURCE`). Nothing is chosen by these rows: the
choices were made on held-out training clips before. Runs are resumed and skipped like those of
`coview bench mocap4`. Rows go to results/ablation.csv; `make docs` puts them into docs/results/mocap4_results.md. The
rows with fusion and with the second pass are those of `self_fusion_s1_mocap4` and `self_fusion_mocap4`.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch

from coview.bench.mocap4 import Settings, run_mocap4
from coview.data.augment import Augment
from coview.recipes.mocap4 import canonpose_mocap4
from coview.training.recipe import Recipe

RESULTS = Path(__file__).resolve().parents[1] / "results" / "ablation.csv"
OURS = canonpose_mocap4.recipe
TAKEN_BACK: dict[str, dict[str, object]] = {
    "orthographic": {"projection": "orthographic", "learn_focal": False},
    "assumed_focal": {"learn_focal": False},
    "axis_angle": {"rotation": "axis_angle"},
    "no_camera_term": {"camera_weight": 0.0},
    "no_confidences": {"use_confidence": False},
    "placed_by_root": {"centring": "root"},
    "one_side": {"flip_test": False},
}


def variants() -> dict[str, Recipe]:
    """Names to recipes, ours first."""
    single = {name: replace(OURS, method=replace(OURS.method, **back)) for name, back in TAKEN_BACK.items()}
    return {"ours": OURS, **single, "no_mirroring": replace(OURS, augment=Augment())}


def named(recipes: dict[str, Recipe]) -> tuple[str, ...]:
    """The recipes as modules, because that is how `coview bench` is told about recipes from elsewhere."""
    for name, recipe in recipes.items():
        module = ModuleType(f"ablation.{name}")
        module.recipe = recipe
        sys.modules[f"ablation.{name}"] = module
    return tuple(f"ablation.{name}" for name in recipes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=1500, help="half of the recipe's, for seven trainings")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(variants()), default=list(variants()))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    chosen = {name: recipe for name, recipe in variants().items() if name in arguments.only}
    failures = run_mocap4(
        Settings(
            recipes=named(chosen),
            inputs=("detected",),
            seeds=tuple(arguments.seeds),
            steps=arguments.steps,
            out=Path("runs/ablation"),
            results=RESULTS,
        ),
        print,
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
