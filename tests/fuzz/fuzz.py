"""Feed damaged files to every reader: only named errors, within 1 GB of memory and 5 seconds each.

    python tests/fuzz/fuzz.py                        every target in turn until one fails, guided by coverage (atheris)
    python tests/fuzz/fuzz.py --seconds 120          for two minutes altogether
    python tests/fuzz/fuzz.py --runs 300             the same inputs on any machine, with patience for a busy one
    python tests/fuzz/fuzz.py --target motion/trc    one of them, or of those whose names begin so

What fails is kept in --out and is run again by `--again FILE --target NAME`. Each target has a process of its own,
which atheris ends at its first failure; Linux only.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

# of a process, with torch in it
MEMORY_MB = 1024
SECONDS = 5
# where the inputs are counted: on a shared machine a process may be stopped for long
PATIENCE = 60
# of a target at a time, where there is no end
ROUND = 60.0


def main() -> int:
    asked, parent = _arguments(), os.getpid()
    if asked.again:
        return _again(asked)
    import atheris

    with atheris.instrument_imports(
        include=["coview.formats", "coview.capture.importing", "coview.data.mocap"]
    ):
        from targets import targets
    root = tempfile.mkdtemp()
    try:
        found = targets(Path(root))
        names = [name for name in sorted(found) if name.startswith(asked.target)]
        each, failed = asked.seconds / len(names) if asked.seconds else ROUND, []
        while not failed:
            for name in names:
                process = os.fork()
                if process == 0:
                    _fuzz(found[name], each, asked)
                    os._exit(0)
                failed += [name] if os.waitpid(process, 0)[1] else []
            asked.seed += 1
            if asked.seconds or asked.runs:
                break
    finally:
        if os.getpid() == parent:  # atheris lets a process end in its own way
            shutil.rmtree(root)
    for name in failed:
        sys.stdout.write(f"FAILED {name}: see {asked.out / name.replace('/', '_')}\n")
    return len(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--target", default="", help="names that begin so; default: all")
    parser.add_argument(
        "--seconds", type=float, default=0, help="of all targets together; default: until one fails"
    )
    parser.add_argument("--runs", type=int, default=0, help="inputs of each target; default: as time allows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "coview-fuzz")
    parser.add_argument("--again", type=Path, help="an input that failed")
    return parser.parse_args()


def _again(asked: argparse.Namespace) -> int:
    from targets import targets

    with tempfile.TemporaryDirectory() as root:
        said = targets(Path(root))[asked.target].feed(asked.again.read_bytes())
    sys.stdout.write(f"{said or 'read without an error'}\n")
    return 0


def _fuzz(target: Any, seconds: float, asked: argparse.Namespace) -> None:
    """One target in this process, which atheris ends; its code is that of libFuzzer."""
    import atheris
    from mutations import mutated

    corpus, kept = (
        target.folder.parent / f"corpus_{target.folder.name}",
        asked.out / target.name.replace("/", "_"),
    )
    for folder in (corpus, kept):
        folder.mkdir(parents=True, exist_ok=True)
    (corpus / "whole").write_bytes(target.seed)

    def change(data: bytes, most: int, seed: int) -> bytes:
        chance = random.Random(seed)
        return (atheris.Mutate(data, most) if chance.random() < 0.2 else mutated(data, chance))[:most]

    def feed(data: bytes) -> None:
        try:
            target.feed(data)
        except Exception:
            (kept / f"crash-{zlib.crc32(data):08x}").write_bytes(data)
            raise

    sys.stdout.write(f"{target.name}\n")
    sys.stdout.flush()
    limits = [
        f"-rss_limit_mb={MEMORY_MB}",
        f"-timeout={PATIENCE if asked.runs else SECONDS}",
        f"-runs={asked.runs}" if asked.runs else f"-max_total_time={max(1, round(seconds))}",
    ]
    limits += [
        "-max_len=65536",
        f"-seed={asked.seed}",
        f"-artifact_prefix={kept}/",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], feed, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
