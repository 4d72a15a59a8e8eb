import os
import sys

import pytest

from coview import __version__
from coview.cli.ending import BUG, FAILED, STOPPED, USAGE, UsageError, ended, message
from coview.errors import InputError, MissingFileError


def raising(error: BaseException):
    def command() -> None:
        raise error

    return command


def test_a_command_that_ends_well_is_zero(capsys):
    assert ended(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error", [InputError("the lens is broken."), MissingFileError("the lens is broken.")]
)
def test_a_mistake_is_one_line(error, capsys, monkeypatch):
    monkeypatch.delenv("COVIEW_TRACEBACK", raising=False)
    assert ended(raising(error)) == FAILED
    assert capsys.readouterr() == ("", "error: the lens is broken.\n")


def test_the_traceback_is_there_for_those_who_ask(capsys, monkeypatch):
    monkeypatch.setenv("COVIEW_TRACEBACK", "1")
    assert ended(raising(InputError("the lens is broken."))) == FAILED
    assert "Traceback" in capsys.readouterr().err


def test_a_command_line_that_cannot_be_understood_has_its_own_code(capsys):
    assert ended(raising(UsageError("--late is now --time-offset."))) == USAGE
    assert "error: --late" in capsys.readouterr().err


def test_the_system_names_its_file(capsys, tmp_path):
    assert ended(lambda: (tmp_path / "none.txt").read_text()) == FAILED  # type: ignore[arg-type, return-value]
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.txt'}: No such file or directory\n"
    assert message(PermissionError(13, "Permission denied", b"/a")) == "/a: Permission denied"
    assert message(OSError("no space left")) == "no space left"
    full = message(OSError(28, "No space left on device", "/a/b.toml"))
    assert full.startswith("no space left on the disk while writing /a/b.toml. Nothing was lost")
    assert message(OSError(30, "Read-only file system", "/a")).startswith(
        "/a cannot be written: that disk is read-only"
    )


@pytest.mark.parametrize("error", [IndexError("list index out of range"), ValueError("math domain error")])
def test_anything_else_is_our_error_and_says_where_to_report_it(error, capsys):
    assert ended(raising(error)) == BUG
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert str(error) in said
    assert f"an error in coview {__version__}" in said
    assert "coview doctor" in said


def test_ctrl_c_is_no_error(capsys):
    assert ended(raising(KeyboardInterrupt())) == STOPPED
    assert "run the same command again" in capsys.readouterr().err


def test_a_reader_that_left_is_no_error(capfd):
    kept = os.dup(sys.stdout.fileno())
    try:
        assert ended(raising(BrokenPipeError())) == FAILED
    finally:
        os.dup2(kept, sys.stdout.fileno())
        os.close(kept)
    assert capfd.readouterr().err == ""
