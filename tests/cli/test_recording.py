from pathlib import Path

from coview.cli.recording import import_


def test_what_import_found_odd_is_said(tmp_path, capsys, shared_data: Path):
    import_(shared_data / "pose2sim_single" / "balancing", tmp_path / "beam")
    said = capsys.readouterr()
    assert "cam01        100 frames, 1080×1920, video" in said.out
    assert "the calibration is for 1088×1920 pixels, the video has 1080×1920" in said.err
