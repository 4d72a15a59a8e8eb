"""Cameras from people who stand and talk, sit or hardly move: right, refused or wrong, and which clocks are found.

    OMP_WAIT_POLICY=passive python benchmarks/resting_people.py [--first 0] [--cases 40]

A case is a random room: two to four people, each of whom talks, sits, hardly moves or walks about, three to five
cameras in a ring, 150 to 400 frames, 2 to 5 px noise, 5 % of joints 80 px off. In every third case some cameras begin
late, up to 10 s. Nothing is told: people are matched and time offsets found as `coview calibrate people` does it, then
the cameras are calibrated with their lenses given. Right is a centre error below 2 % of the rig's diameter (mean over
cameras, after the best similarity), refused is NotDeterminedError or that nobody is matched, anything else is wrong.
Clocks are right within 3 frames; "missed" are offsets of which these people show nothing, so that the cameras are
taken to be on time. CPU seconds of one thread. Settings were chosen on cases from 1000 on. Rows go to
results/resting_people.csv.
"""

import argparse
import random
import time
from datetime import date
from pathlib import Path

import torch
from calibration_scenes import side_by_side

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.capture.association.association import tracked_detections
from coview.capture.association.time_offset import associate_in_time
from coview.data.synthetic.crowd import Crowd, generated_crowd
from coview.data.synthetic.recordings import DetectorNoise
from coview.geometry.alignment import similarity_alignment
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.self_calibrate import self_calibrate
from coview.metrics.identity import identity_score

RESULTS = Path(__file__).resolve().parents[1] / "results" / "resting_people.csv"
COLUMNS = (
    *("date", "commit", "machine", "case", "kinds", "views", "frames", "fps", "offsets", "found", "clocks"),
    *("accuracy", "calibration", "error_percent", "cpu_s_association", "cpu_s_calibration"),
)
# share of the rig's diameter, and frames
RIGHT, IN_TIME = 0.02, 3.0


def room(seed: int) -> tuple[Crowd, float, tuple[float, ...], list[str]]:
    """One case: what the cameras saw, the frame rate, frames by which each began late, and what everybody does."""
    chance = random.Random(seed * 7919 + 13)
    people, views = chance.choice([2, 3, 4, 4]), chance.choice([3, 4, 5])
    frames, fps = chance.choice([150, 200, 300, 400]), chance.choice([25.0, 30.0])
    style = chance.choice(["talk", "sit", "still", "each", "one walks"])
    if style == "each":
        kinds = [chance.choice(["talk", "sit", "still", "mixed"]) for _ in range(people)]
    elif style == "one walks":
        kinds = [*(chance.choice(["sit", "talk"]) for _ in range(people - 1)), "mixed"]
    else:
        kinds = [style] * people
    offsets = [0.0] * views
    if seed % 3 == 0:
        most = min(10 * fps, frames - 3 * fps) / 2
        for view in chance.sample(range(1, views), chance.choice([1, 1, 2, views - 1])):
            offsets[view] = chance.uniform(-most, most) if chance.random() < 0.7 else chance.uniform(-3, 3)
    noise = DetectorNoise(
        sigma=chance.choice([2.0, 3.0, 5.0]), outlier_rate=0.05, outlier_px=80.0, missing_rate=0.02
    )
    crowd = generated_crowd(
        people, views, frames, fps=fps, noise=noise, distance=chance.uniform(0.7, 1.2),
        radius=chance.uniform(4.5, 6.5), kind=tuple(kinds), time_offsets=tuple(offsets), seed=seed,
    )  # fmt: skip
    return crowd, fps, tuple(offsets), kinds


def row(seed: int) -> dict[str, object]:
    """One case, calibrated once."""
    crowd, fps, offsets, kinds = room(seed)
    joints, confidence = crowd.detections.joints, crowd.detections.confidence
    began = time.process_time()
    told, found = associate_in_time(tracked_detections(joints, confidence), fps)
    matched = time.process_time()
    calibration, error = calibrated(crowd, fps, told.ids, found)
    done = time.process_time()
    apart = float((found - torch.tensor(offsets)).abs().max())
    missed = float(found.abs().max()) == 0
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine("cpu"),
        "case": seed,
        "kinds": " ".join(kinds),
        "views": len(joints),
        "frames": joints.shape[1],
        "fps": fps,
        "offsets": " ".join(f"{each:.1f}" for each in offsets),
        "found": " ".join(f"{each:.1f}" for each in found.tolist()),
        "clocks": "right" if apart <= IN_TIME else "missed" if missed else "wrong",
        "accuracy": round(identity_score(told.ids, crowd.who).accuracy, 4),
        "calibration": calibration,
        "error_percent": error,
        "cpu_s_association": round(matched - began, 1),
        "cpu_s_calibration": round(done - matched, 1),
    }


def calibrated(crowd: Crowd, fps: float, ids: torch.Tensor, found: torch.Tensor) -> tuple[str, str]:
    """Right, refused or wrong; and the mean error of the camera centres in per cent of the rig's diameter."""
    if int(ids.max()) < 1:
        return "refused", ""
    pixels, weights = side_by_side(crowd.detections.joints, crowd.detections.confidence, ids)
    names = tuple(f"camera {view}" for view in range(len(crowd.cameras)))
    truth = crowd.cameras.to(torch.float64)
    try:
        done = self_calibrate(
            truth, pixels, weights, names=names, fps=fps, focal="given", time_offset=found / fps
        )
    except NotDeterminedError as reason:
        print(reason, flush=True)
        return "refused", ""
    centres = done.refined.cameras.centres
    fit = similarity_alignment(centres[None], truth.centres[None])
    error = float((fit.apply(centres[None])[0] - truth.centres).norm(dim=-1).mean())
    share = error / float(torch.cdist(truth.centres, truth.centres).max())
    return "right" if share < RIGHT else "wrong", f"{100 * share:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in range(options.first, options.first + options.cases):
        measured = row(seed)
        print({key: measured[key] for key in COLUMNS[3:]}, flush=True)
        append_rows(options.out, COLUMNS, [measured])


if __name__ == "__main__":
    main()
