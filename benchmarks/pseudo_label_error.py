"""How far pseudo-labels of mocap4 are from the truth: by cameras, way of triangulation and number of views.

    OMP_WAIT_POLICY=passive python benchmarks/pseudo_label_error.py [--folder PREPARED] [--seeds 0 1 2]

All training instants, `detected`; P-MPJPE in mm, mean over the joints that are known. Nobody trains on anything here.
Rows are added to results/pseudo_label_error.csv; docs/methods/pseudo_labels.md quotes them.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.data.mocap.mocap4 import Mocap4Config
from coview.data.pseudo_labels.labels import PseudoConfig, pseudo_labels
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.metrics.joint_error import p_joint_error

RESULTS = Path(__file__).resolve().parents[1] / "results" / "pseudo_label_error.csv"
COLUMNS = ["date", "commit", "machine", "cameras", "points", "prior", "views", "seed", "instants"]
COLUMNS += ["p_mpjpe_mm", "unknown_percent", "refused"]
PAIRS = PseudoConfig(cameras="epipolar", triangulation="pairs")
SETTINGS = {
    "people": PseudoConfig(cameras="people"),
    "people, no prior": PseudoConfig(cameras="people", prior=0),
    "given": PseudoConfig(cameras="given"),
    "epipolar, pairs": PAIRS,
    "given, pairs": replace(PAIRS, cameras="given"),
}
VIEWS = {"4": (0, 1, 2, 3), "3": (0, 1, 2), "2 (a quarter turn apart)": (0, 1), "2 (opposite)": (0, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    for seed in given.seeds:
        data = Mocap4Config(folder=given.folder, seed=seed).train()
        every = data[: len(data)]
        for name, config in SETTINGS.items():
            for words, views in VIEWS.items():
                if len(views) < 4 and name != "people":
                    continue
                seen = every.replaced(
                    cameras=every.cameras[:, list(views)],
                    joints2d=every.joints2d[:, list(views)],
                    confidence=every.confidence[:, list(views)],
                )
                error, unknown, refused = "", "", ""
                try:
                    made = pseudo_labels(seen, config)
                    error = f"{float(p_joint_error(made.joints3d, every.joints3d).nanmean()):.2f}"
                    unknown = f"{100 * float(made.joints3d.isnan().any(dim=-1).float().mean()):.2f}"
                except NotDeterminedError as reason:
                    refused = str(reason)
                values = [date.today().isoformat(), commit(), machine("cpu"), config.cameras, config.method]
                values += [
                    str(config.prior),
                    words,
                    str(seed),
                    str(len(every.joints3d)),
                    error,
                    unknown,
                    refused,
                ]
                append_rows(RESULTS, COLUMNS, [dict(zip(COLUMNS, values, strict=True))])
                print(name, words, seed, error, unknown, refused, flush=True)


if __name__ == "__main__":
    main()
