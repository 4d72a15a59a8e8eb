"""Commands in the README, the docs and in messages are written with the flags of today."""

import re
import shlex
from pathlib import Path

import pytest

from coview.cli.bench import bench
from coview.cli.calib import convert, show
from coview.cli.calibration import board, file, people
from coview.cli.data import check, prepare
from coview.cli.group import flags_of
from coview.cli.learning import evaluate, predict
from coview.cli.main import COMMANDS, demo
from coview.cli.reconstruction import export, reconstruct, report
from coview.cli.recording import associate, import_
from coview.cli.retired import flags_with_values, refuse_retired

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [
    path
    for folder in ("src", "benchmarks", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name != "retired.py"
]
FUNCTIONS = {
    ("calib", "convert"): convert,
    ("calib", "show"): show,
    ("calibrate", "people"): people,
    ("calibrate", "board"): board,
    ("calibrate", "file"): file,
    ("data", "prepare"): prepare,
    ("data", "check"): check,
    ("bench",): bench,
    ("demo",): demo,
    ("evaluate",): evaluate,
    ("predict",): predict,
    ("export",): export,
    ("reconstruct",): reconstruct,
    ("report",): report,
    ("associate",): associate,
    ("import",): import_,
}
OLD = re.compile(r"--from[ =](people|board|file)\b|--trust\b|--late\b|--fit-(focal|clock|distortion)[ =]no\b")


def documented(page: Path) -> list[list[str]]:
    """Words of every command: lines of code blocks, and inline code."""
    text = page.read_text("utf-8")
    lines = [
        line.strip() for block in re.findall(r"```\w*\n(.*?)```", text, re.S) for line in block.splitlines()
    ]
    lines += re.findall(r"`(coview [^`\n]+)`", text)
    return [shlex.split(line, comments=True)[1:] for line in lines if re.match(r"coview [a-z]", line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_can_be_typed(page):
    for words in documented(page):
        refuse_retired(words)
        assert words[0] in COMMANDS or "|" in words[0]
        function = FUNCTIONS.get(tuple(words[:2])) or FUNCTIONS.get(tuple(words[:1]))
        # with --init its flags are those of a recipe, as `train` has them
        if function is not None and not (words[0] == "evaluate" and "--init" in words):
            unknown = {flag for flag, _ in flags_with_values(words)} - flags_of(function) - {"--help"}
            assert not unknown, f"coview {' '.join(words)}: there is no {', '.join(unknown)}"


def test_nobody_is_told_an_old_flag():
    found = {str(path.relative_to(ROOT)): OLD.search(path.read_text("utf-8")) for path in [*PAGES, *SOURCES]}
    old = {path: match[0] for path, match in found.items() if match}
    assert not old, "cli/retired.py has the names of today"
