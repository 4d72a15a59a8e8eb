import pytest

from coview.cli.calibration import board, calibrate, file, people
from coview.cli.ending import UsageError
from coview.cli.group import flags_of
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration, write_calibration
from coview.formats.session.session import Session


def test_each_source_has_its_own_flags():
    assert "--distance" in flags_of(people) - flags_of(board) - flags_of(file)
    assert "--board" in flags_of(board) - flags_of(people) - flags_of(file)
    assert "--units" in flags_of(file) - flags_of(people) - flags_of(board)


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ("file s --distance a b 1.8", "people"),
        ("board s --board b --units m", "file"),
        ("people s --origin-frame 3", "board"),
    ],
)
def test_a_flag_of_another_source_is_refused(line, owner):
    with pytest.raises(UsageError, match=f"belongs to `coview calibrate {owner}`"):
        calibrate(line.split())


def test_a_board_must_be_described(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        calibrate(["board", str(tmp_path)])
    assert left.value.code == 2
    assert "--board" in capsys.readouterr().err


def test_a_session_alone_is_told_the_three_ways():
    with pytest.raises(UsageError, match=r"'session' is none of people, board, file"):
        calibrate(["session"])


def test_cameras_of_a_file_from_the_command_line(tmp_path, capsys):
    truth = generate(tmp_path / "take", seed=6, minutes=0.05)
    session = Session.load(tmp_path / "take")
    write_calibration(Calibration(session.camera_names, truth.cameras), tmp_path / "given.toml")
    calibrate(["file", str(session.path), str(tmp_path / "given.toml")])
    said = capsys.readouterr().out
    assert "cam_1           " in said
    assert "px median residual of the" in said
    assert said.endswith(f"calibration     {session.calibration_path}\n")
