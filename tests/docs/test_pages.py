"""What the pages say can be done can be done: commands, flags, recipes, tables."""

import re
import shlex
from pathlib import Path

import pytest
import tyro

from coview import recipes
from coview.cli import main
from coview.cli.learning import _recipe_name, _take

ROOT = Path(__file__).parents[2]
PAGES = [
    *(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
    *(ROOT / "README.md", ROOT / "CONTRIBUTING.md"),
]
METHODS = [
    page
    for page in (ROOT / "docs" / "methods").glob("*.md")
    if page.stem not in ("index", "needs", "pseudo_labels")
]
SECTIONS = [
    "## What it learns from",
    "## What it needs",
    "## Train it in one command",
    "## Results",
    "## What differs from the paper",
]
# flags of `coview train` itself; the others are the recipe's
OWN = {"--data": 1, "--init": 1, "--out": 1, "--overwrite": 0}
NO_HELP = {"calib", "data", "calibrate"}  # groups: the next word is a command


def commands() -> list[tuple[str, tuple[str, ...]]]:
    """Every `coview …` line of the code blocks in the pages: where, and its words."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S):
            lines = block.replace("\\\n", " ").splitlines()
            words = [shlex.split(line, comments=True) for line in lines if line.startswith("coview ")]
            found += [(str(page.relative_to(ROOT)), tuple(line[1:])) for line in words]
    return sorted(set(found))


def of_a_recipe(words: tuple[str, ...]) -> bool:
    """Whether the flags of a command are those of a recipe."""
    return words[0] == "train" or (words[0] == "evaluate" and "--init" in words)


def tried(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What `coview … --help` prints."""
    with pytest.raises(SystemExit) as ended:
        main._run([*arguments, "--help"])
    assert ended.value.code in (0, None), arguments
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("page", "words"),
    [line for line in commands() if not of_a_recipe(line[1])],
    ids=lambda value: str(value)[:60],
)
def test_commands_and_flags_in_the_pages_exist(page, words, capsys):
    name = list(words[: 2 if words[0] in NO_HELP else 1])
    assert words[0] in main.COMMANDS, f"{page}: no command {words[0]}"
    shown = tried(name, capsys)
    for flag in (word for word in words if word.startswith("--")):
        assert re.search(rf"{flag}\b", shown), f"{page}: coview {' '.join(name)} has no {flag}"


@pytest.mark.parametrize(
    ("page", "words"),
    [line for line in commands() if of_a_recipe(line[1])],
    ids=lambda value: str(value)[:60],
)
def test_recipes_and_their_flags_in_the_pages_exist(page, words):
    if any("my_package" in word for word in words):
        return
    session = "SESSION" if "--data" in words else None
    given = list(words[1:]) if words[0] == "train" else _take(list(words[1:]), {"--init": None})[1]
    name, rest = _recipe_name(given, session)
    own: list[str] = []
    while rest:
        word = rest.pop(0)
        if word in OWN:
            rest = rest[OWN[word] :]
        else:
            own.append(word)
    recipe = recipes.load(name)
    assert tyro.cli(type(recipe), default=recipe, args=own), f"{page}: {' '.join(words)}"


@pytest.mark.parametrize("page", METHODS, ids=lambda page: page.stem)
def test_method_pages_have_one_structure(page):
    headings = [line for line in page.read_text().splitlines() if line.startswith("## ")]
    assert [heading for heading in headings if heading in SECTIONS] == SECTIONS


def test_every_table_of_results_is_on_the_page_of_measurements():
    page = (ROOT / "docs" / "results" / "measurements.md").read_text()
    missing = [path.name for path in (ROOT / "results").glob("*.csv") if f"`{path.name}`" not in page]
    assert not missing, f"name them in docs/results/measurements.md: {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Sphinx checks those between pages; this also those of README and CONTRIBUTING, and those out of the site."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists() or target.endswith("public_api.rst"), (
                f"{page.name}: {target}"
            )


def test_files_that_the_code_refers_to_are_there():
    for path in (ROOT / "src").rglob("*.py"):
        for target in re.findall(r"docs/[\w/]+\.(?:md|bib)", path.read_text()):
            assert (ROOT / target).is_file(), f"{path.name} names {target}"
