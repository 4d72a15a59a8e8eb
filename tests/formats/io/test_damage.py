"""Whatever a damaged file makes a reader raise, the user meets one error that names the file."""

from pathlib import Path

import pytest

from coview.errors import InputError, MissingFileError
from coview.formats.io.damage import in_words, reader, reading


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (IndexError("list index out of range"), "IndexError: list index out of range"),
        (KeyError("people"), "'people' is missing"),
        (MemoryError(), "more memory than there is"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (ValueError("no number\nand pages more"), "as a TRC file: no number. It is damaged"),
        (OverflowError("too large"), "OverflowError: too large"),
    ],
)
def test_accidents_become_one_error_that_names_the_file(problem, words):
    with pytest.raises(InputError, match=words) as caught, reading(Path("some/file.trc"), "a TRC file"):
        raise problem
    assert str(caught.value).startswith("some/file.trc cannot be read as a TRC file")
    assert caught.value.__cause__ is problem


@pytest.mark.parametrize(
    "meant", [MissingFileError("no file x."), KeyboardInterrupt(), PermissionError(13, "no", "x")]
)
def test_what_is_said_on_purpose_passes(meant):
    with pytest.raises(type(meant)) as caught, reading(Path("x"), "anything"):
        raise meant
    assert caught.value is meant


def test_an_error_of_the_system_without_a_file_gets_one():
    with (
        pytest.raises(InputError, match=r"x\.npz cannot be read as an archive.*Invalid argument"),
        reading("x.npz", "an archive"),
    ):
        raise OSError(22, "Invalid argument")


def test_a_decorated_reader_keeps_its_name_and_takes_its_path_by_name_too():
    @reader("a table")
    def read(path, factor=1):
        """Reads."""
        return factor * len(Path(path).name) // 0

    assert (read.__name__, read.__doc__) == ("read", "Reads.")
    for call in (lambda: read(Path("a.csv"), 2), lambda: read(path=Path("a.csv"))):
        with pytest.raises(InputError, match=r"a\.csv cannot be read as a table"):
            call()


def test_words_of_an_error_fit_on_a_line():
    assert "\n" not in in_words(ValueError("a\nb"))
    assert len(in_words(ValueError("a" * 10_000))) < 400
