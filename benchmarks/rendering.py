"""Pictures per second of rendered people: capsules and mesh, by size.

    OMP_WAIT_POLICY=passive python benchmarks/rendering.py [--scenes 256] [--mesh-file FILE] [--dry]

Everything that training waits for is in it: motion, crops, clothes, occluders, drawing, reading back; nothing is
read from or written to the cache. The first picture (compiling shaders) is not. cpu_ms is the processor
time of a picture, of all threads, which other programs on the same cores disturb less than the seconds.
Appends rows to results/rendering.csv. Target: 300 images/s of capsules at 128 px on two cores.
"""

import argparse
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

from coview.bench.machine import commit, forget_peak, machine, peak_mb
from coview.bench.results import append_rows
from coview.data.rendering.dataset import VERSION, RenderedConfig
from coview.data.rendering.mesh_body import mesh_file

RESULTS = Path(__file__).resolve().parents[1] / "results" / "rendering.csv"
COLUMNS = ["date", "commit", "machine", "seed", "body", "size", "views", "images", "seconds", "images_per_s"]
COLUMNS += ["cpu_ms", "peak_mb", "hidden_share", "notes"]
TARGET = 300.0


def measured(config: RenderedConfig) -> dict[str, object]:
    """One row: the training pictures of `config`, made once."""
    replace(config, scenes=8, subjects=1).rendered("train")
    forget_peak()
    before = peak_mb("cpu")
    began, busy = time.perf_counter(), time.process_time()
    made = config.rendered("train")
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    images = config.scenes * config.views
    values = [
        date.today().isoformat(), commit(), machine("cpu"), config.seed, config.body, config.size, config.views,
        images, f"{seconds:.2f}", f"{images / seconds:.0f}", f"{1000 * busy / images:.2f}",
        f"{peak_mb('cpu') - before:.0f}", f"{made.hidden_share:.3f}", f"data version {VERSION}",
    ]  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=256)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--mesh-file", type=Path, default=None)
    parser.add_argument("--dry", action="store_true", help="write no rows")
    given = parser.parse_args()
    plain = RenderedConfig(scenes=given.scenes, subjects=max(1, given.scenes // 20), cache=False)
    cases = [replace(plain, size=size) for size in given.sizes]
    if mesh_file(given.mesh_file).is_file():
        few = max(8, given.scenes // 4)
        cases += [replace(case, body="mesh", mesh_file=given.mesh_file, scenes=few) for case in cases]
    else:
        print(f"no mesh is measured: {mesh_file(given.mesh_file)} is not there (--mesh-file names another)")
    rows = [measured(case) for case in cases]
    if not given.dry:
        append_rows(RESULTS, COLUMNS, rows)
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items() if key not in COLUMNS[:4]))
    reached = float(str(rows[0]["images_per_s"]))
    print(f"target {TARGET:.0f} images/s of capsules at {given.sizes[0]} px: {reached >= TARGET}")


if __name__ == "__main__":
    main()
