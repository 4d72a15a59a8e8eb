"""How long the first use of the public API takes, beside `import torch` itself: fresh interpreters in turn, medians.

Wall-clock seconds, and seconds of the CPU, which other work on the machine changes less.

OMP_WAIT_POLICY=passive python benchmarks/imports.py [--repeats 9]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

PROGRAMS = {
    "import torch": "import torch",
    "import coview": "import coview",
    "coview.triangulate": "import coview; coview.triangulate",
    "coview.mpjpe": "import coview; coview.mpjpe",
    "coview.Session": "import coview; coview.Session",
    "coview.train": "import coview; coview.train",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in PROGRAMS}
    for _ in range(repeats):
        for name, program in PROGRAMS.items():
            taken[name].append(seconds_of(program))
    for name, each in taken.items():
        wall, cpu = (statistics.median(row[kind] for row in each) for kind in (0, 1))
        base = taken["import torch"]
        more_wall, more_cpu = (
            statistics.median(a[kind] - b[kind] for a, b in zip(each, base, strict=True)) for kind in (0, 1)
        )
        print(f"{name:20s} {wall:6.2f} s ({more_wall:+.2f}), CPU {cpu:6.2f} s ({more_cpu:+.2f})")


def seconds_of(program: str) -> tuple[float, float]:
    """Wall-clock and CPU seconds of a program in a fresh interpreter."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, cpu


if __name__ == "__main__":
    main()
