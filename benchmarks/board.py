"""Calibration from boards on real recordings, beside the calibrations that came with them.

    OMP_WAIT_POLICY=passive python benchmarks/board.py [--out runs/board]

Caliscope's four webcams with a ChArUco board: distances between triangulated corners against the print, for our cameras
(read at one time, as the clocks found say; and frame by frame) and for Caliscope's own calibration, which was made with
other videos of each lens. Odd seconds judge cameras found from even ones. Pose2Sim's checkerboards: focal lengths
beside Qualisys'. Rows go to results/board.csv.
"""

import argparse
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.cameras import Cameras
from coview.capture.board.calibrate import board_recording, calibrate_from_board
from coview.capture.board.observations import detect_boards
from coview.capture.board.solve import BoardRecording, distance_errors, solve_boards
from coview.capture.board.videos import board_folders, find_films
from coview.formats.calibration.board import read_board
from coview.formats.calibration.calibration import read_calibration
from coview.geometry.bundle.board_scene import BoardObservations

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    *("date", "commit", "machine", "recording", "cameras_from", "judged_on", "seconds", "fit_median_px"),
    *("distance_rmse_mm", "distances", "focal_px", "focal_sigma_px", "clock_ms", "notes"),
)


def row(recording: str, source: str, judged: str, **values: object) -> dict[str, object]:
    """One line of the table."""
    told = {"date": date.today().isoformat(), "commit": commit(), "machine": machine("cpu")}
    return {**told, "recording": recording, "cameras_from": source, "judged_on": judged, **values}


def judged(cameras: Cameras, clocks: Tensor, recording: BoardRecording) -> dict[str, object]:
    """Distances between triangulated corners against the print."""
    errors = distance_errors(cameras, clocks, recording)
    return {
        "distance_rmse_mm": round(1000 * float(errors.square().mean().sqrt()), 3),
        "distances": len(errors),
    }


def among(recording: BoardRecording, parity: int) -> BoardRecording:
    """Every other second of the recording: neighbours stay together, so that motion can be told."""
    chosen = (recording.times[recording.seen.instant] % 2 >= 1) == bool(parity)
    seen: BoardObservations = recording.seen.where(chosen)
    return BoardRecording(recording.names, recording.sizes, recording.board, seen, recording.times)


def caliscope(project: Path, out: Path) -> list[dict[str, object]]:
    """Four webcams at 6 Hz."""
    board, name = read_board(str(project / "charuco.toml")), "caliscope_charuco4cam"
    films = find_films(board_folders(project)[0])
    seen = {camera: detect_boards(film, board, 200, out) for camera, film in films.items()}
    recording, _, _ = board_recording(board, tuple(films), seen, {}, board_folders(project)[0])
    theirs = read_calibration(project / "camera_array.toml")
    zero = torch.zeros(len(films), dtype=torch.float64)
    begin = time.perf_counter()
    found = solve_boards(recording)
    took = round(time.perf_counter() - begin, 1)
    clocks, sigma = found.adjusted.scene.clocks, found.adjusted.column_sigma
    ours = {
        "seconds": took,
        "fit_median_px": " ".join(f"{float(found.residuals(v).median()):.2f}" for v in range(len(films))),
        "focal_px": " ".join(f"{f:.1f}" for f in found.cameras.focal[:, 0].tolist()),
        "focal_sigma_px": " ".join(f"{s:.1f}" for s in (sigma[:, 6] * found.cameras.focal[:, 0]).tolist()),
        "clock_ms": " ".join(f"{1000 * c:.1f}" for c in clocks.tolist()),
    }
    focal = " ".join(f"{f:.1f}" for f in theirs.cameras.focal[:, 0].tolist())
    rows = [
        row(
            name,
            "coview",
            "same frames, read at one time",
            **ours,
            **judged(found.cameras, clocks, recording),
        ),
        row(name, "coview", "same frames, frame by frame", **judged(found.cameras, zero, recording)),
        row(name, "Caliscope", "frame by frame", focal_px=focal, **judged(theirs.cameras, zero, recording)),
        row(
            name,
            "Caliscope",
            "read at one time",
            **judged(theirs.cameras, clocks, recording),
            notes="clocks: coview's",
        ),
    ]
    given = solve_boards(recording, theirs.cameras)
    medians = " ".join(f"{float(given.residuals(v).median()):.2f}" for v in range(len(films)))
    shifted = given.adjusted.scene.clocks
    told = {"fit_median_px": medians, "clock_ms": " ".join(f"{1000 * c:.1f}" for c in shifted.tolist())}
    rows.append(
        row(
            name,
            "coview, Caliscope's lenses",
            "same frames, read at one time",
            **told,
            **judged(given.cameras, shifted, recording),
        )
    )
    half = solve_boards(among(recording, 0))
    numbers = judged(half.cameras, half.adjusted.scene.clocks, among(recording, 1))
    return [*rows, row(name, "coview, even seconds", "odd seconds, read at one time", **numbers)]


def pose2sim(folder: Path, out: Path) -> list[dict[str, object]]:
    """Lenses from six or seven pictures each."""
    begin = time.perf_counter()
    done = calibrate_from_board(
        out / "pose2sim", "checkerboard:8x5:0.06", intrinsics_videos=folder / "calib_images" / "intrinsics"
    )
    took = round(time.perf_counter() - begin, 1)
    theirs = read_calibration(folder / "calibration" / "Calib_qualisys.toml").cameras.focal[:, 0].tolist()
    ours = {
        "seconds": took,
        "fit_median_px": " ".join(f"{fit.median_px:.2f}" for fit in done.fits),
        "focal_px": " ".join(f"{f:.1f}" for f in done.calibration.cameras.focal[:, 0].tolist()),
        "focal_sigma_px": " ".join(f"{s:.1f}" for s in done.calibration.focal_sigma.values()),
    }
    return [
        row("pose2sim_single checkerboards", "coview", "same pictures", **ours),
        row("pose2sim_single checkerboards", "Qualisys", "", focal_px=" ".join(f"{f:.1f}" for f in theirs)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--out", type=Path, default=Path("runs/board"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = caliscope(arguments.data / "caliscope_charuco4cam", arguments.out)
    rows += pose2sim(arguments.data / "pose2sim_single", arguments.out)
    for each in rows:
        print(*(f"{key}={each[key]}" for key in COLUMNS[3:] if each.get(key) not in (None, "")))
    append_rows(ROOT / "results" / "board.csv", COLUMNS, rows)


if __name__ == "__main__":
    main()
