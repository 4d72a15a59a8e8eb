"""The command that measures methods against each other."""

import sys
from pathlib import Path
from typing import Literal

from coview.cli.arguments import File, Folder, OptionalFolder
from coview.cli.say import say
from coview.errors import UnknownNameError


def bench(
    name: str,
    /,
    *,
    recipes: tuple[str, ...] = (),
    inputs: tuple[Literal["exact", "half", "detected", "double"], ...] = ("exact", "detected"),
    views: tuple[int, ...] = (4,),
    seeds: tuple[int, ...] = (0, 1, 2),
    rings: tuple[Literal["same", "near", "far"], ...] = ("same", "near", "far"),
    out: Folder = Path("runs/bench"),
    results: File = Path("results/mocap4.csv"),
    folder: OptionalFolder = None,
    steps: int | None = None,
    width: int | None = None,
    device: Literal["auto", "cpu", "cuda", "mps"] | None = None,
    overwrite: bool = False,
) -> None:
    """Train recipes on a benchmark, several times, and measure them on cameras they know and do not know.

    Runs that are finished are not trained again; an interrupted bench goes on when it is started again.

    Args:
        name: Which benchmark: mocap4, which docs/results/mocap4.md defines.
        recipes: Which; default: all recipes whose name ends in _mocap4.
        inputs: 2D joints without error, with those of a detector, or with half or twice its errors in pixels.
        views: Numbers of cameras that training sees, 2 to 8; one run each. The tests stay as they are.
        seeds: Of weights and batches; one run each.
        rings: Cameras of the test: those of the training, a nearer and higher ring, a farther and lower one.
        out: Folder of the runs.
        results: Table to write rows to; a row of the same recipe, input, seed, ring, width, steps and
            views is replaced.
        folder: Motion prepared by `coview data prepare cmu_mocap`; default: where that command puts it.
        steps: Of each training; default: each recipe's own.
        width: Of the networks; default: each recipe's own.
        device: Where to compute; default: each recipe's own.
        overwrite: Train again where `out` holds runs of a recipe that was changed since.
    """
    if name != "mocap4":
        raise UnknownNameError(f"no benchmark '{name}'. Known: mocap4.")
    from coview.bench.mocap4 import Settings, run_mocap4
    from coview.report.benchmark import table

    settings = Settings(
        recipes, inputs, views, seeds, rings, out, results, folder, steps, width, device, overwrite
    )  # fmt: skip
    failures = run_mocap4(settings, _now)
    if results.is_file():
        say(table(results))
    if failures:
        sys.stderr.write(f"{len(failures)} of the runs failed:\n" + "\n".join(failures) + "\n")
        sys.exit(1)


def _now(line: str) -> None:
    """To stderr at once: the table alone goes to stdout."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
