"""How long the first use of the public API takes, beside `import torch` itself: fresh interpreters in turn, medians.

OMP_WAIT_POLICY=passive python benchmarks/imports.py [--repeats 9]
"""

import argparse
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
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(repeats):
        for name, program in PROGRAMS.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True)
            seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        apart = statistics.median(a - b for a, b in zip(taken, seconds["import torch"], strict=True))
        print(f"{name:20s} {statistics.median(taken):6.2f} s, {apart:+6.2f} s against import torch (paired)")


if __name__ == "__main__":
    main()
