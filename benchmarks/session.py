"""Our own recipe on a real recording, judged on a camera and on seconds that it never saw.

    OMP_WAIT_POLICY=passive python benchmarks/session.py [--init RUN] [--others RUN ...] [--out runs/session]

Trains `coview_session` on three cameras and the first 70 of 100 frames of Pose2Sim's `balancing`; tests on the fourth
camera and the last 30, against the reconstruction from all four cameras with the calibration that came with them
(which is not truth, but an order of magnitude better). Beside it: the mean of the test poses themselves in that
camera's axes, which no model could know, and models of other data (`--others`). Rows go to results/session.csv.
"""

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import torch

from coview import recipes
from coview.bench.machine import commit, machine, peak_mb
from coview.bench.results import append_rows
from coview.capture.calibration.from_people import calibrate_from_file
from coview.capture.importing.import_session import import_session
from coview.capture.reconstruction.reconstruct import reconstruct
from coview.data.session_dataset import RecordedConfig
from coview.formats.io.text import read_json
from coview.formats.session.session import FILE
from coview.metrics.joint_error import n_joint_error, p_joint_error
from coview.training.evaluation.scoring import score
from coview.training.pseudo import FILE as PSEUDO
from coview.training.run import load_run, train

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    *("date", "commit", "machine", "model", "seed", "steps", "seconds", "peak_mb", "instants"),
    *("n_mpjpe_mm", "p_mpjpe_mm", "pss_50", "labels_p_mpjpe_mm", "notes"),
)


def prepared(recording: Path, session: Path) -> RecordedConfig:
    """The recording as a session, reconstructed from all cameras; what is learnt from and tested on."""
    if not (session / FILE).is_file():
        made = import_session(recording, session)
        calibrate_from_file(made)
        reconstruct(made, smooth=6.0)
    cameras = ("cam01", "cam02", "cam03")
    return RecordedConfig((session,), cameras=cameras, test_cameras=("cam04",), validation_share=0.3)


def mean_pose(data: RecordedConfig) -> dict[str, float]:
    """The error of the mean of the test poses, in the camera's axes."""
    test = data.validation()[: len(data.validation())]
    centred = test.joints3d - test.joints3d[:, test.skeleton.root_index, None]
    truth = (centred[:, None] @ test.cameras.rotation.mT)[:, 0]
    mean = truth.nanmean(dim=0).expand_as(truth)
    n_error = n_joint_error(mean, truth, test.skeleton.root_index)
    return {
        "n_mpjpe_mm": float(n_error.nanmean()),
        "p_mpjpe_mm": float(p_joint_error(mean, truth).nanmean()),
    }


def row(
    name: str, numbers: dict[str, float], run: Path | None, data: RecordedConfig, notes: str
) -> dict[str, object]:
    """One line of the table."""
    record = read_json(run / "run.json") if run else {}
    labels = read_json(run / PSEUDO).get("p_mpjpe_mm", "") if run and (run / PSEUDO).is_file() else ""
    measured = {
        key: round(numbers[key], 2) for key in ("n_mpjpe_mm", "p_mpjpe_mm", "pss_50") if key in numbers
    }
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine("cpu"),
        "model": name,
        "seed": load_run(run).recipe.seed if run else "",
        "steps": record.get("steps", ""),
        "seconds": record.get("seconds", ""),
        "peak_mb": round(peak_mb("cpu")),
        "instants": len(data.validation()),
        "labels_p_mpjpe_mm": labels,
        "notes": notes,
        **measured,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/pose2sim_single/balancing")
    parser.add_argument("--out", type=Path, default=Path("runs/session"))
    parser.add_argument("--init", default="", help="a run to begin with, for a second row")
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="runs trained on other data")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--notes", default="")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = prepared(arguments.data, arguments.out / "session")
    rows = [row("mean of the test poses", mean_pose(data), None, data, arguments.notes)]
    own = replace(recipes.load("coview_session"), data=data)
    wanted = {"coview_session": own}
    if arguments.init:
        wanted["coview_session, begun with a run"] = replace(own, init=arguments.init, learning_rate=1e-3)
    for name, recipe in wanted.items():
        run = train(recipe, arguments.out / name.replace(", ", "_").replace(" ", "_"))
        rows.append(row(name, score(load_run(run).method, data.validation()), run, data, arguments.notes))
    for run in arguments.others:
        found = load_run(run)
        name = f"{run.parent.name}/{run.name}"
        rows.append(row(name, score(found.method, data.validation()), run, data, arguments.notes))
    for each in rows:
        print(each["model"], each["n_mpjpe_mm"], each["p_mpjpe_mm"])
    append_rows(ROOT / "results" / "session.csv", COLUMNS, rows)


if __name__ == "__main__":
    main()
