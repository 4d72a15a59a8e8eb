"""Do the stated covariances of 3D joints hold? Share of joints whose 95 % ellipsoid holds the truth.

    OMP_NUM_THREADS=1 python benchmarks/coverage.py [--seeds 2] [--first 0] [--noise 0.5 1 3 6]

A session per case, and the stages that a user runs on it: `calibrate file` (the true cameras) and `reconstruct` for
everybody. The room of calibration_scenes.py (four cameras, 1920 × 1080, f = 1400 px), 200 frames at 50 Hz, people who
walk. Noise: Gaussian, per coordinate; `white`: anew in every frame; `repeated`: an autoregressive process with a
correlation time of ten frames, as of detectors that repeat their errors. `refined`: `--refine`. A good covariance
gives 95 % and a mean squared Mahalanobis distance of 3. Appends to results/coverage.csv.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path

import torch
from calibration_scenes import FPS, Recording, crowd, record
from torch import Tensor

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.capture.calibration.from_people import calibrate_from_file
from coview.capture.reconstruction.reconstruct import reconstruct_everybody
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.keypoints.detections import Detections, write_detections
from coview.formats.session.session import Session, SessionCamera
from coview.skeletons import H36M_17

RESULTS = Path(__file__).resolve().parents[1] / "results" / "coverage.csv"
COLUMNS = ["date", "commit", "machine", "noise_px", "repeats", "people", "refined", "seeds", "joints"]
COLUMNS += ["inside_percent", "mahalanobis2", "error_mm", "seconds"]
FRAMES, REPEATED_FRAMES, CHI2_95 = 200, 10.0, 7.8147
JOINTS = len(H36M_17)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.5, 1.0, 3.0, 6.0])
    parser.add_argument("--people", type=int, nargs="+", default=[1, 3])
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seeds = range(options.first, options.first + options.seeds)
    stamp = {"date": date.today().isoformat(), "commit": commit(), "machine": machine("cpu")}
    for noise, repeats, people in product(options.noise, ("white", "repeated"), options.people):
        for row in measured(noise, repeats, people, seeds):
            append_rows(options.results, COLUMNS, [stamp | row])
            print(*row.values(), flush=True)


def measured(noise: float, repeats: str, people: int, seeds: range) -> Iterator[dict[str, object]]:
    """The rows of one kind of noise, without and with `--refine`."""
    common = {"noise_px": noise, "repeats": repeats, "people": people}
    for refined in (False, True):
        began, distances, errors = time.process_time(), [], []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                squared, error = missed(Path(folder) / "session", seed, noise, repeats, people, refined)
            distances.append(squared)
            errors.append(error)
        squared = torch.cat(distances)
        yield common | {
            "refined": "yes" if refined else "no", "seeds": f"{seeds.start}-{seeds.stop - 1}", "joints": len(squared),
            "inside_percent": f"{100 * float((squared < CHI2_95).double().mean()):.1f}",
            "mahalanobis2": f"{float(squared.mean()):.2f}",
            "error_mm": f"{1000 * float(torch.cat(errors).mean()):.2f}",
            "seconds": f"{(time.process_time() - began) / len(seeds):.1f}",
        }  # fmt: skip


def missed(
    folder: Path, seed: int, noise: float, repeats: str, people: int, refined: bool
) -> tuple[Tensor, Tensor]:
    """Squared Mahalanobis distances and errors (m) of all joints of everybody."""
    recordings = filmed(seed, people)
    noisy = [detected(each, seed + 31 * n, noise, repeats) for n, each in enumerate(recordings)]
    session = written(folder, noisy, seed)
    done, _ = reconstruct_everybody(session, refine=refined)
    truth = torch.stack([each.world[:, :JOINTS] for each in recordings])
    squared, errors = [], []
    for one in done:
        points, covariance = one.poses.points.double(), one.poses.covariance.double()
        away = (points - truth).norm(dim=-1).nanmean(dim=(1, 2))
        error = points - truth[int(away.argmin())]
        known = error.isfinite().all(dim=-1) & covariance.isfinite().all(dim=(-1, -2))
        squared.append((error[known] * torch.linalg.solve(covariance[known], error[known])).sum(dim=-1))
        errors.append(error[known].norm(dim=-1))
    return torch.cat(squared), torch.cat(errors)


def filmed(seed: int, people: int) -> list[Recording]:
    """Exact detections of people of whom every two keep half a metre apart."""
    found: list[Recording] = []
    for other in range(seed, seed + 1_000_000, 1000):
        candidate = record(other, frames=FRAMES, noise=0.0)
        ground = candidate.world[:, 0, :2]
        if all(float((ground - each.world[:, 0, :2]).norm(dim=-1).min()) > 0.5 for each in found):
            found.append(candidate)
        if len(found) == people:
            return found
    raise RuntimeError(f"no {people} people found who keep apart")


def detected(exact: Recording, seed: int, noise: float, repeats: str) -> Recording:
    """The recording with noisy detections of the skeleton's joints."""
    generator = torch.Generator().manual_seed(seed + 500_000)
    errors = torch.randn(exact.pixels.shape, generator=generator, dtype=torch.float64)
    if repeats == "repeated":
        alike = math.exp(-1 / REPEATED_FRAMES)
        for frame in range(1, len(errors)):
            errors[frame] = alike * errors[frame - 1] + math.sqrt(1 - alike**2) * errors[frame]
    pixels = (exact.pixels + noise * errors)[:, :, :JOINTS]
    return replace(exact, pixels=pixels, weights=exact.weights[:, :, :JOINTS])


def written(folder: Path, people: list[Recording], seed: int) -> Session:
    """A session with these detections and the true cameras."""
    cameras = people[0].truth
    names = tuple(f"cam_{view + 1}" for view in range(len(cameras)))
    pixels, confidence = crowd(people, seed)
    seen = tuple(SessionCamera(name, (1920, 1080), None, FRAMES) for name in names)
    session = Session(folder, folder.name, FPS, H36M_17, seen, {"source": "generated"})
    write_detections(session.detections_dir, names, Detections(pixels.float(), confidence.float()))
    session.save()
    write_calibration(Calibration(names, cameras, {"source": "the truth"}), folder / "true.toml")
    calibrate_from_file(session, folder / "true.toml")
    return session


if __name__ == "__main__":
    main()
