"""Every flag of every command and of every recipe says what it is for.

tyro takes the help of a flag from the `Args:` section of a function or from the comment above a field. A comment behind
a field is lost where the formatter wraps the line, and nobody notices until a user asks for `--help`.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import tyro

from coview import recipes
from coview.cli import calib, calibration, data
from coview.cli.main import COMMANDS, OWN_ARGUMENTS
from coview.training.recipe import Recipe

pytestmark = pytest.mark.filterwarnings("ignore:get_parser")
GROUPS = {"data": data, "calib": calib, "calibrate": calibration}


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Every argument of a parser and of its subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice in action.choices.values():
                yield from actions(choice)
        else:
            yield action


def unexplained(parser: argparse.ArgumentParser) -> list[str]:
    """Arguments whose help is empty or states only a default: `(default: 4)`, `(required)`."""
    found = []
    for action in actions(parser):
        words = str(action.help or "").strip()
        if not words or words.startswith("("):
            found.append(action.option_strings[-1] if action.option_strings else action.dest)
    return found


def commands(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[..., Any]]:
    """Every command by its name, those of two words too; `train` has the flags of its recipe."""
    found = {name: command for name, command in COMMANDS.items() if name not in OWN_ARGUMENTS}
    for name, module in GROUPS.items():

        def keep(group: str, inner: dict[str, Callable[..., Any]], *_: object) -> None:
            found.update({f"{group} {word}": command for word, command in inner.items()})

        monkeypatch.setattr(module, "run_group", keep)
        COMMANDS[name]([])
    return found


def test_every_group_is_looked_into():
    assert {"train", *GROUPS} == OWN_ARGUMENTS


def test_every_flag_of_every_command_has_help(monkeypatch):
    every = commands(monkeypatch)
    assert {"import", "calibrate people", "calib convert", "data prepare", "bench"} <= every.keys()
    missing = {name: unexplained(tyro.extras.get_parser(command)) for name, command in every.items()}
    assert not {name: flags for name, flags in missing.items() if flags}


@pytest.mark.parametrize("name", recipes.names())
def test_every_flag_of_a_recipe_has_help(name):
    parser = tyro.extras.get_parser(Recipe, default=recipes.load(name))
    assert sum(1 for _ in actions(parser)) > 30
    assert unexplained(parser) == []


def test_a_flag_without_help_is_found():
    parser = argparse.ArgumentParser()
    parser.add_argument("--told", help="What it is for. (default: 4)")
    parser.add_argument("--untold", help="(default: 4)")
    parser.add_argument("--silent")
    assert unexplained(parser) == ["--untold", "--silent"]
