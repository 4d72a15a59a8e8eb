import subprocess
import sys

import pytest

from coview import recipes
from coview.cli import recipe_help
from coview.cli.recipe_help import show_help


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


class Flags:
    """Prints flags as tyro does, and counts how often."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1
        sys.stdout.write(f"flags, time {self.asked}\n")
        raise SystemExit(0)


def test_every_recipe_says_what_it_is_for():
    found = recipes.summaries()
    assert list(found) == recipes.names()
    assert all(about.endswith((".", ":")) or len(about) > 20 for about in found.values())


def test_anything_but_a_question_for_help_goes_on(home):
    flags = Flags()
    assert not show_help("canonpose_synthetic", [], flags)
    assert not show_help("canonpose_synthetic", ["--steps", "3", "--help"], flags)
    assert flags.asked == 0


def test_flags_are_worked_out_once(home, capsys):
    flags = Flags()
    assert show_help("canonpose_synthetic", ["--help"], flags)
    assert show_help("canonpose_synthetic", ["-h"], flags)
    assert flags.asked == 1
    assert capsys.readouterr().out == "flags, time 1\n" * 2


def test_they_are_worked_out_again_where_anything_has_changed(home, monkeypatch):
    flags = Flags()
    show_help("canonpose_synthetic", ["--help"], flags)
    monkeypatch.setenv("COLUMNS", "80")
    show_help("canonpose_synthetic", ["--help"], flags)
    assert flags.asked == 2
    monkeypatch.setattr(recipe_help, "_stamp", lambda: "another version of coview")
    show_help("canonpose_synthetic", ["--help"], flags)
    assert flags.asked == 3


def test_recipes_of_others_and_of_a_session_are_worked_out_every_time(home):
    flags = Flags()
    for _ in range(2):
        show_help("my_package.recipe", ["--help"], flags)
        show_help("canonpose_session", ["--help"], flags, keep=False)
    assert flags.asked == 4


def test_a_home_that_cannot_be_written_to_is_no_harm(home, capsys):
    (home / ".cache").write_text("a file in the way")
    assert show_help("canonpose_synthetic", ["--help"], Flags())
    assert capsys.readouterr().out == "flags, time 1\n"


def test_help_does_not_wait_for_torch():
    program = (
        "import sys\n"
        "from coview.cli.learning import train\n"
        "train(['--help'])\n"
        "assert not {'torch', 'numpy', 'lightning'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "canonpose_synthetic" in done.stdout


def test_flags_of_a_real_recipe(home, capsys):
    from coview.cli.learning import train

    train(["canonpose_synthetic", "--help"])
    first = capsys.readouterr().out
    assert "--learning-rate" in first
    train(["canonpose_synthetic", "--help"])
    assert capsys.readouterr().out == first
