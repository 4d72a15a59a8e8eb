"""Feed damaged files to every reader: only named errors, within 1 GB of memory and 5 seconds each.

    python tests/fuzz/fuzz.py                        every target in turn until one fails, guided by coverage (atheris)
    python tests/fuzz/fuzz.py --seconds 120          for two minutes altogether
    python tests/fuzz/fuzz.py --target motion/trc    one of them

What fails is kept in --out and is run again by `--again FILE --target NAME`. Each target is a process of its own:
atheris ends it at the first failure.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# of a process, with torch in it
MEMORY_MB = 1024
SECONDS = 5


def main() -> int:
    asked = _arguments()
    if asked.again:
        return _again(asked)
    if asked.run:
        return _fuzz(asked)
    names = [asked.target] if asked.target else _names()
    failed, begin = [], time.monotonic()
    while not failed:
        each = asked.seconds / len(names) if asked.seconds else 60
        for name in names:
            command = [
                sys.executable,
                __file__,
                "--run",
                "--target",
                name,
                "--seconds",
                str(max(1, round(each))),
            ]
            done = subprocess.run([*command, "--out", str(asked.out), "--seed", str(asked.seed)], check=False)
            failed += [name] if done.returncode else []
        if asked.seconds and time.monotonic() - begin > asked.seconds:
            break
        asked.seed += 1
    for name in failed:
        sys.stdout.write(f"FAILED {name}: see {asked.out}\n")
    return len(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--target", help="default: all")
    parser.add_argument("--seconds", type=float, default=0, help="of all targets together; default: for ever")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "coview-fuzz")
    parser.add_argument("--again", type=Path, help="an input that failed")
    parser.add_argument("--run", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _names() -> list[str]:
    from targets import targets

    with tempfile.TemporaryDirectory() as root:
        return sorted(targets(Path(root)))


def _again(asked: argparse.Namespace) -> int:
    from targets import targets

    with tempfile.TemporaryDirectory() as root:
        said = targets(Path(root))[asked.target].feed(asked.again.read_bytes())
    sys.stdout.write(f"{said or 'read without an error'}\n")
    return 0


def _fuzz(asked: argparse.Namespace) -> int:
    """One target in this process, which atheris ends."""
    import atheris

    with atheris.instrument_imports(
        include=["coview.formats", "coview.capture.importing", "coview.data.mocap"]
    ):
        from mutations import mutated
        from targets import targets

    with tempfile.TemporaryDirectory() as root:
        target = targets(Path(root))[asked.target]
        corpus, kept = Path(root) / "corpus", asked.out / asked.target.replace("/", "_")
        corpus.mkdir()
        kept.mkdir(parents=True, exist_ok=True)
        (corpus / "whole").write_bytes(target.seed)

        def change(data: bytes, most: int, seed: int) -> bytes:
            chance = random.Random(seed)
            return (atheris.Mutate(data, most) if chance.random() < 0.2 else mutated(data, chance))[:most]

        limits = [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SECONDS}", f"-max_total_time={asked.seconds:.0f}"]
        limits += [
            "-max_len=65536",
            f"-seed={asked.seed}",
            f"-artifact_prefix={kept}/",
            "-print_final_stats=1",
            "-verbosity=0",
        ]
        atheris.Setup([sys.argv[0], *limits, str(corpus)], target.feed, custom_mutator=change)
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
