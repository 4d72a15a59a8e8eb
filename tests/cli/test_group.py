import pytest

from coview.cli.ending import UsageError
from coview.cli.group import flags_of, run_group


def walk(path: str, /, *, speed: float = 1.0, long_way: bool = False) -> None:
    """Go on foot.

    Args:
        path: Where.
        speed: In metres per second.
        long_way: Around the hill.
    """
    print(path, speed, long_way)  # noqa: T201


def fly(path: str, /, *, height: float = 100.0, speed: float = 1.0) -> None:
    """Go by air.

    Args:
        path: Where.
        height: In metres.
        speed: In metres per second.
    """


def go(*arguments: str) -> None:
    run_group("go", {"walk": walk, "fly": fly}, "Move.", arguments)


def test_the_command_runs_with_its_own_flags(capsys):
    go("walk", "home", "--speed", "2", "--long-way")
    assert capsys.readouterr().out == "home 2.0 True\n"


def test_without_a_word_it_says_what_there_is(capsys):
    with pytest.raises(SystemExit) as left:
        go()
    assert left.value.code == 0
    assert "walk" in capsys.readouterr().out


def test_a_flag_of_another_command_is_refused_in_words():
    with pytest.raises(
        UsageError, match=r"--height belongs to `coview go fly`; `coview go walk` has no use for it"
    ):
        go("walk", "home", "--height", "3")
    with pytest.raises(UsageError, match=r"--long-way belongs to `coview go walk`"):
        go("fly", "home", "--long_way")


def test_a_word_that_is_no_command_is_told_what_there_is():
    with pytest.raises(UsageError, match=r"'home' is none of walk, fly. Write `coview go walk\|fly"):
        go("home")


def test_a_flag_that_nobody_knows_is_left_to_the_parser(capsys):
    with pytest.raises(SystemExit) as left:
        go("walk", "home", "--depth", "3")
    assert left.value.code == 2
    assert "--depth" in capsys.readouterr().err


def test_flags_are_the_keyword_arguments():
    assert flags_of(walk) == {"--speed", "--long-way"}
