"""Who is who among several people: right numbers, switches and time, before and after a calibration.

    OMP_WAIT_POLICY=passive python benchmarks/association.py [--cases 2x4 3x4 4x8] [--seeds 3] [--frames 500]

A case is people x cameras: generated people who walk among each other (`coview.data.synthetic.crowd`: 3 px
noise, 5 % of joints 80 px off, whole people overlooked in 5 % of frames and wherever somebody hides them,
another order every frame). `late` adds clocks up to 2 s apart, told to a frame or so. The accuracy is the share
of detections that carry the right person's number, one number per person in all cameras and frames; a switch is
a change of that number from one detection of a person in a camera to the next. Seconds are of the CPU, so that
other work does not count. Rows go to results/association.csv.
"""

import argparse
import random
import time
from datetime import date
from pathlib import Path

import torch

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.capture.association.association import associate_calibrated, associate_uncalibrated
from coview.data.synthetic.crowd import Crowd, generated_crowd
from coview.metrics.identity import identity_score

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    *("date", "commit", "machine", "people", "views", "frames", "when", "late", "seed", "detections"),
    *("accuracy", "switches", "found_people", "unassigned", "cpu_s_per_1000_frames"),
)


def row(
    crowd: Crowd, when: str, late: tuple[float, ...] | None, told: tuple[float, ...] | None
) -> dict[str, object]:
    """One case, associated once."""
    joints, confidence = crowd.detections.joints, crowd.detections.confidence
    begin = time.process_time()
    if when == "before":
        found = associate_uncalibrated(joints, confidence, time_offsets=told)
    else:
        found = associate_calibrated(joints, crowd.cameras, confidence, time_offsets=told)
    seconds = time.process_time() - begin
    score = identity_score(found.ids, crowd.who)
    return {
        "date": date.today().isoformat(),
        "commit": commit(),
        "machine": machine("cpu"),
        "people": len(crowd.joints3d),
        "views": len(joints),
        "frames": joints.shape[1],
        "when": when,
        "late": "no" if late is None else "up to 2 s",
        "detections": int((crowd.who > 0).sum()),
        "accuracy": round(score.accuracy, 5),
        "switches": score.switches,
        "found_people": score.people,
        "unassigned": round(score.unassigned, 5),
        "cpu_s_per_1000_frames": round(1000 * seconds / joints.shape[1], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", nargs="*", default=["2x4", "3x4", "3x6", "4x6", "4x8"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument(
        "--time-offset", type=int, nargs="*", default=[0, 1], help="0: in step, 1: up to 2 s late"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "association.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for case in arguments.cases:
        people, views = (int(part) for part in case.split("x"))
        for seed in arguments.seeds:
            for clocks in arguments.time_offset:
                chance = random.Random(seed)
                late = (0.0, *(chance.uniform(-50, 50) for _ in range(views - 1))) if clocks else None
                told = None if late is None else (0.0, *(each + chance.uniform(-1, 1) for each in late[1:]))
                crowd = generated_crowd(people, views, arguments.frames, time_offsets=late, seed=seed)
                for when in ("before", "after"):
                    measured = {**row(crowd, when, late, told), "seed": seed}
                    print({key: measured[key] for key in COLUMNS[3:]}, flush=True)
                    append_rows(arguments.out, COLUMNS, [measured])


if __name__ == "__main__":
    main()
