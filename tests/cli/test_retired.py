import pytest

from coview.cli.calibration import board, file, people
from coview.cli.ending import UsageError
from coview.cli.group import flags_of
from coview.cli.reconstruction import reconstruct
from coview.cli.recording import associate
from coview.cli.retired import RETIRED, flags_with_values, in_todays_form, refuse_retired

FUNCTIONS = {
    ("calibrate", "people"): (people,),
    ("calibrate", "board"): (board,),
    ("calibrate",): (people, board, file),
    ("associate",): (associate,),
    ("reconstruct",): (reconstruct,),
}


def refused(line: str) -> str:
    with pytest.raises(UsageError) as caught:
        refuse_retired(line.split())
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("reconstruct s --trust 0.2", "`--trust` is now `--min-confidence`"),
        ("reconstruct s --trust=0.2", "`--trust` is now `--min-confidence`"),
        ("associate s --late cam02 12", "`--late` is now `--time-offset`"),
        ("calibrate people s --fit-focal no", "`--fit-focal no` is now `--fit-focal fixed`"),
        ("calibrate people s --fit_clock=no", "`--fit-clock no` is now `--fit-clock fixed`"),
        ("calibrate people s --file a.toml", "`--file` is now `--intrinsics`"),
        ("calibrate file s --file a.toml", "is now `CALIBRATION, right after the session`"),
        ("train coview_session --pseudo.trust 0.2", "`--pseudo.trust` is now `--pseudo.min-confidence`"),
        ("train r --data.reference True", "`--data.reference` is now `--data.released-numerics`"),
    ],
)
def test_an_old_flag_names_the_new_one(line, new):
    assert new in refused(line)


@pytest.mark.parametrize(
    ("line", "old"),
    [
        ("calibrate people s --fit-focal fixed", "calibrate people s --fit-focal no"),
        ("calibrate people s --min-confidence 0.2", "calibrate people s --trust 0.2"),
        ("export s --trust 0.2", "reconstruct s --trust 0.2"),
        ("train r --data.trust 1", "train r --pseudo.trust 1"),
        ("", "associate --late"),
    ],
)
def test_what_is_not_retired_passes_and_its_like_that_is_does_not(line, old):
    refuse_retired(line.split())
    assert "is now" in refused(old)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("s --from people --stature 1.8", "coview calibrate people s --stature 1.8"),
        ("s --from=board --board b.toml --lenses f", "coview calibrate board s --board b.toml --intrinsics-videos f"),
        ("--from file s --file c.toml", "coview calibrate file s c.toml"),
        (
            "s --from people --trust 0.2 --fit-focal=no --file c.toml",
            "coview calibrate people s --min-confidence 0.2 --fit-focal fixed --intrinsics c.toml",
        ),
    ],
)  # fmt: skip
def test_the_old_form_of_calibrate_is_run_and_told_in_full_how_to_write_it_today(old, new):
    arguments, note = in_todays_form(f"calibrate {old}".split())
    assert ["coview", *arguments] == new.split()
    assert note.endswith(f"it is now: {new}")


def test_other_command_lines_are_left_as_they_are():
    assert in_todays_form(["reconstruct", "s", "--from", "x"]) == (["reconstruct", "s", "--from", "x"], "")
    assert in_todays_form(["calibrate", "people", "s"]) == (["calibrate", "people", "s"], "")


def test_every_new_name_exists_and_no_old_one_does():
    for command, functions in FUNCTIONS.items():
        known = set().union(*map(flags_of, functions))
        for old, new in RETIRED[command].items():
            assert new.split()[0] in known
            assert " " in old or old not in known


def test_flags_and_what_follows_them():
    assert list(flags_with_values(["s", "--a_b", "1", "--c=2", "--d"])) == [
        ("--a-b", "1"),
        ("--c", "2"),
        ("--d", ""),
    ]
