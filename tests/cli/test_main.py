import os
import subprocess
import sys

import pytest

from coview.cli.main import COMMANDS


def coview(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "coview.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
    )


def test_help_names_every_command():
    text = coview("--help").stdout
    assert all(f"• {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"train"}))
def test_every_command_explains_every_option(name):
    done = coview(name, "--help")
    assert done.returncode == 0
    assert "Args:" not in done.stdout  # the docstring was understood


def test_a_mistake_is_one_line_and_not_a_traceback(tmp_path):
    done = coview("reconstruct", tmp_path / "nothing")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: no session at")
    assert "Traceback" not in done.stderr


def test_the_traceback_is_there_for_those_who_ask(tmp_path):
    done = coview("reconstruct", tmp_path / "nothing", COVIEW_TRACEBACK="1")
    assert "Traceback" in done.stderr


def test_doctor_says_what_is_there():
    done = coview("doctor")
    assert done.returncode == 0
    assert "torch" in done.stdout
