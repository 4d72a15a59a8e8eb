"""Does coview notice what is wrong? 300 seeded corruptions of recordings, each through all stages, and intact ones.

    OMP_WAIT_POLICY=passive python benchmarks/corrupted.py [--runs 300] [--intact 30] [--seed 0]

Every run writes the files that a user would have (2D joints per camera, a calibration beside them), corrupts one
thing (`corruptions.py`), and runs `coview import`, `calibrate file` or `people`, `reconstruct` and `export` as a user
types them. The result is compared with the truth:

    right       the joints are within 40 mm (mean; in the world of the file, or after a similarity without a file)
    warned      they are not, or the worlds differ, and coview said so: judged poor, or a note that the intact run lacks
    nearly      they are within 60 mm and nothing was said
    refused     an error that a user can mend, before anything wrong was written
    silent      wrong, and nothing was said
    traceback   an error of coview itself
    blamed      a camera was named as wrong, and it is not the one that was corrupted

"intact" are recordings of other kinds that must not be refused. Seeds of development: 1000 and up; judged: below.
Appends one row per class and kind to results/corrupted.csv.
"""

import argparse
import contextlib
import io
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from corruptions import INTACT, Corruption, Take, every_corruption, room, write

from coview.bench.machine import commit, machine
from coview.bench.results import append_rows
from coview.cli.ending import BUG, ended
from coview.cli.main import _run
from coview.formats.motion.poses3d import Poses3D
from coview.geometry.alignment import similarity_alignment

RESULTS = Path(__file__).resolve().parent.parent / "results" / "corrupted.csv"
RIGHT, NEARLY = 0.040, 0.060  # metres
FOUND = 0.5  # share of the joints that a result must have
CLASSES = ("right", "warned", "nearly", "refused", "silent", "traceback", "blamed")
_CAMERA = re.compile(r"cam\d\d")


@dataclass(frozen=True)
class Outcome:
    """What happened to one recording."""

    name: str
    kind: str
    seed: int
    what: str
    error_mm: float
    words: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--intact", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--quiet", action="store_true", help="print only what is not right, warned or refused"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for kind, outcomes in (("corrupted", corrupted), ("intact", intact)):
        count = options.runs if kind == "corrupted" else options.intact
        done = []
        for outcome in outcomes(count, options.seed, options.only):
            done.append(outcome)
            if not options.quiet or outcome.what not in ("right", "warned", "refused"):
                print(line(outcome), flush=True)
        rows += [row | {"set": kind} for row in table(done)]
    for row in rows:
        print(row)
    if not options.only:
        made = {
            "date": date.today().isoformat(),
            "commit": commit(),
            "machine": machine("cpu"),
            "seed": options.seed,
        }
        columns = ["date", "commit", "machine", "seed", "set", "kind", "runs", *CLASSES, "cpu_s"]
        append_rows(options.results, columns, [made | row for row in rows])


def line(outcome: Outcome) -> str:
    measured = f"{outcome.what:9s} {outcome.error_mm:8.1f} mm {outcome.seconds:5.1f} s"
    return f"{measured}  {outcome.kind}: {outcome.name} (seed {outcome.seed})  {outcome.words}"


def table(outcomes: list[Outcome]) -> list[dict]:
    rows = []
    for kind in [*dict.fromkeys(each.kind for each in outcomes), "all"]:
        of_kind = [each for each in outcomes if kind in (each.kind, "all")]
        counted = Counter(each.what for each in of_kind)
        seconds = sum(each.seconds for each in of_kind)
        rows.append(
            {"kind": kind, "runs": len(of_kind)}
            | {c: counted[c] for c in CLASSES}
            | {"cpu_s": f"{seconds:.0f}"}
        )
    return rows


def corrupted(runs: int, seed: int, only: str):
    """The corruptions in turn, each time on another recording."""
    chosen = [each for each in every_corruption() if only in each.name]
    intact_words: dict[str, set[str]] = {}
    for number in range(runs):
        corruption = chosen[number % len(chosen)]
        at = 10_000 * seed + number
        for route in {corruption.route} - intact_words.keys():
            intact_words[route] = sentences(run(room(10_000 * seed), route)[1])
        yield judged(corruption, at, intact_words[corruption.route])


def judged(corruption: Corruption, seed: int, usual: set[str]) -> Outcome:
    draw = np.random.default_rng(seed)
    take, guilty = corruption.change(room(seed), draw)
    began = time.process_time()
    code, words, error = run(take, corruption.route)
    what, said = classified(code, words, error, guilty, usual)
    return Outcome(
        corruption.name, corruption.kind, seed, what, 1000 * error, said, time.process_time() - began
    )


def intact(runs: int, seed: int, only: str):
    """Recordings of other kinds, by both routes in turn: only "right" and "warned" are good."""
    kinds = [name for name in INTACT if only in name] if only else list(INTACT)
    for number in range(runs if kinds else 0):
        name = kinds[number % len(kinds)]
        route = ("file", "people")[number // len(kinds) % 2]
        take = room(10_000 * seed + 5000 + number, **INTACT[name])
        began = time.process_time()
        code, words, error = run(take, route)
        what, said = classified(code, words, error, (), set())
        yield Outcome(
            name, route, 10_000 * seed + 5000 + number, what, 1000 * error, said, time.process_time() - began
        )


def run(take: Take, route: str) -> tuple[int, str, float]:
    """Exit code of the first command that failed, everything that was said, and the error in metres (NaN: none)."""
    folder = Path(tempfile.mkdtemp())
    session, said = folder / "session", []
    calibrate = ["calibrate", route, str(session), *take.calibrate_flags]
    if route == "people":
        calibrate += ["--stature", "1.75"]
    stages = [
        ("import", ["import", str(folder / "recording"), str(session)]),
        ("calibrate", calibrate),
        ("reconstruct", ["reconstruct", str(session)]),
        ("export", ["export", str(session), "--to", "csv"]),
    ]
    code = 0
    try:
        write(take, folder / "recording", calibration=route == "file")
        for name, arguments in stages:
            code, words = command(arguments)
            said.append(words)
            if code:
                break
            if name in take.after:
                take.after[name](session)
        return code, "\n".join(said), float("nan") if code else error_of(session, take.truth, route)
    finally:
        shutil.rmtree(folder)


def command(arguments: list[str]) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = ended(lambda: _run(arguments))
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return code, out.getvalue()


def error_of(session: Path, truth: np.ndarray, route: str) -> float:
    """Mean distance of person 1's joints to the truth, metres; infinite where too few are there."""
    try:
        found = Poses3D.load(session / "joints3d.npz").points.double()
    except ValueError:
        return float("inf")
    wanted = torch.from_numpy(truth).double()
    frames = min(len(found), len(wanted))
    found, wanted = found[:frames], wanted[:frames]
    there = found.isfinite().all(dim=-1)
    if float(there.double().mean()) < FOUND or frames < 0.9 * len(truth):
        return float("inf")
    found, wanted = found[there], wanted[there]
    if route == "people":
        found = similarity_alignment(found, wanted).apply(found)
    return float((found - wanted).norm(dim=-1).mean())


def classified(
    code: int, words: str, error: float, guilty: tuple[str, ...], usual: set[str]
) -> tuple[str, str]:
    new = sorted(sentences(words) - usual)
    said = " / ".join(new)[:400]
    if code == BUG:
        return "traceback", words[-300:]
    named = {
        name
        for line in new
        if "judgement" in line or "error" in line
        for name in _CAMERA.findall(blame(line))
    }
    if named and guilty and not named & set(guilty):
        return "blamed", said
    if code:
        return "refused", said
    if error <= RIGHT:
        return "right", said
    if new:
        return "warned", said
    return ("nearly" if error <= NEARLY else "silent"), said


def blame(line: str) -> str:
    """What of a line says that a camera is wrong: what it lists of all cameras does not."""
    return line if "does not agree" in line or "fit" in line else ""


def sentences(words: str) -> set[str]:
    """What was said about quality: notes, errors, and judgements other than good; numbers left out."""
    lines = [line for line in words.splitlines() if line.startswith(("note:", "error:", "judgement"))]
    return {re.sub(r"\d+\.\d+", "#", line) for line in lines if not re.fullmatch(r"judgement\s+good", line)}


if __name__ == "__main__":
    sys.exit(main())
