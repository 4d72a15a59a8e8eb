from pathlib import Path

import pytest

from coview.cli.recording import calibrate, import_


def test_what_import_found_odd_is_said(tmp_path, capsys, shared_data: Path):
    import_(shared_data / "pose2sim_single" / "balancing", tmp_path / "beam")
    said = capsys.readouterr()
    assert "cam01        100 frames, 1080×1920, video" in said.out
    assert "the calibration is for 1088×1920 pixels, the video has 1080×1920" in said.err


def test_a_board_must_be_described(tmp_path):
    with pytest.raises(ValueError, match=r"--from board needs --board, e.g. --board charuco:7x5"):
        calibrate(tmp_path, source="board")
