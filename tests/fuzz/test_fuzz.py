"""A few damaged files for every reader, the same in every run; `make fuzz` tries many more, guided by coverage."""

import importlib.util
import random
import resource
import sys
import zlib
from pathlib import Path

import pytest

# damaged files per reader
INPUTS = 12
MEMORY_MB = 1024


def module(name):
    """A file beside this one; pytest imports tests without their folder on the path."""
    spec = importlib.util.spec_from_file_location(f"fuzz_{name}", Path(__file__).with_name(f"{name}.py"))
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


mutations, targets = module("mutations"), module("targets")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return targets.targets(tmp_path_factory.mktemp("fuzz"))


def test_whole_files_are_read(found):
    refused = {name: said for name, target in found.items() if (said := target.feed(target.seed))}
    mostly = {name for name in found if name.startswith(("others/", "keypoints/any"))}
    assert refused.keys() <= mostly | set(targets.INCOMPLETE), refused


def test_every_format_is_among_them(found):
    formats = {name.split("/")[1] for name in found if name.startswith("calibration/")}
    assert formats >= {form.key for form in targets.FORMATS}
    assert {f"keypoints/any{ending}" for ending in targets.ENDINGS} <= found.keys()


def test_damaged_files_end_in_named_errors_within_a_gigabyte(found):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, target in found.items():
        chance = random.Random(zlib.crc32(name.encode()))
        for number in range(INPUTS):
            data = mutations.mutated(target.seed, chance)
            try:
                said = target.feed(data)
            except Exception as error:
                error.add_note(f"{name}, damaged file {number}: {data[:200]!r}")
                raise
            assert "Traceback" not in said
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_MB * 1024


def test_mutations_keep_the_form_of_a_file():
    chance = random.Random(0)
    changed = {mutations.mutated(b'{"frames": [1, 2], "fps": 25.0}', chance)[:1] for _ in range(200)}
    assert b"{" in changed
    assert mutations.mutated(b"", chance) is not None
