"""`coview calib`: what it prints, writes and refuses."""

import sys

import pytest

from coview.cli.main import main
from coview.formats.calibration.registry import FORMATS

TOML = """[left]
name = "left"
size = [1280, 720]
matrix = [[1000.0, 0.0, 640.0], [0.0, 1000.0, 360.0], [0.0, 0.0, 1.0]]
distortions = [0.1, 0.0, 0.0, 0.0, 0.0]
rotation = [1.5, 0.0, 0.0]
translation = [0.0, 1.0, 3.0]
"""


@pytest.fixture
def rig(tmp_path):
    text = TOML + TOML.replace("left", "right").replace("[0.0, 1.0, 3.0]", "[1.0, 1.0, 3.0]")
    (tmp_path / "a.toml").write_text(text + '[metadata]\nunits = "m"\n')
    return tmp_path / "a.toml"


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["coview", "calib", *map(str, arguments)])
    main()


def test_convert_and_show(rig, tmp_path, monkeypatch, capsys):
    run(monkeypatch, "convert", rig, tmp_path / "b.json")
    out, err = capsys.readouterr()
    assert "b.json   (CMU Panoptic JSON, unit cm)" in out
    assert "read back       within" in out
    assert "turned from z up" in err
    run(monkeypatch, "show", tmp_path / "b.json")
    out, _ = capsys.readouterr()
    assert "right           1280×720 px, f 1000.0 1000.0, c 640.0 360.0, lens 0.1 0 0 0 0" in out


def test_a_mistake_is_one_line(rig, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "convert", rig, tmp_path / "b")
    assert "error: 'b' does not tell a calibration format. Pass --to FORMAT" in capsys.readouterr().err


def test_help_lists_every_format(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "convert", "--help")
    shown = capsys.readouterr().out
    assert all(form.key in shown for form in FORMATS)


def test_cameras_that_do_not_fit_are_not_written(shared_data, tmp_path, monkeypatch, capsys):
    folder = shared_data / "pose2sim_single"
    good = folder / "calibration" / "Calib.qca.txt"
    run(monkeypatch, "convert", good, tmp_path / "good.toml", "--check", folder / "balancing")
    assert "cam01" in capsys.readouterr().out
    text = good.read_text().replace('x="1460.2', 'x="2460.2')
    (tmp_path / "bad.qca.txt").write_text(text)
    with pytest.raises(SystemExit):
        run(
            monkeypatch,
            "convert",
            tmp_path / "bad.qca.txt",
            tmp_path / "bad.toml",
            "--check",
            folder / "balancing",
        )
    assert "error: the cameras do not fit" in capsys.readouterr().err
    assert not (tmp_path / "bad.toml").exists()


def test_what_is_shown_is_of_the_file_itself(rig, tmp_path, monkeypatch, capsys):
    run(monkeypatch, "convert", rig, tmp_path / "b.qca.txt")
    run(monkeypatch, "convert", tmp_path / "b.qca.txt", tmp_path / "c.toml")
    capsys.readouterr()
    run(monkeypatch, "show", tmp_path / "c.toml")  # remembers that it came from millimetres, and is in metres
    assert capsys.readouterr().out.startswith("anipose/Pose2Sim TOML; m, as stated")


def test_the_name_of_a_target_is_free_where_to_tells_its_format(rig, tmp_path, monkeypatch, capsys):
    for form in ("caliscope", "anipose"):
        run(monkeypatch, "convert", rig, tmp_path / form, "--to", form)
        run(monkeypatch, "show", tmp_path / form)
        assert "right" in capsys.readouterr().out or form == "caliscope"


def test_an_inferred_unit_is_said_once(rig, tmp_path, monkeypatch, capsys):
    rig.write_text(rig.read_text().replace('[metadata]\nunits = "m"\n', ""))
    run(monkeypatch, "convert", rig, tmp_path / "b.toml")
    assert capsys.readouterr().err.count("so they were taken for metres") == 1
