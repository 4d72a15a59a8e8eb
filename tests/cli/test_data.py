import subprocess
import sys

import pytest

from coview.cli.data import data
from coview.data.mocap.clips import read_clips


def test_prepare_and_check(shared_data, tmp_path, capsys):
    out = tmp_path / "out"
    data(["prepare", "cmu_mocap", str(shared_data / "mocap_cmu" / "raw_samples"), "--out", str(out)])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(
        "cmu_02_01        train    172 frames at 60 fps; 120 fps, assumed: AMC states no rate"
    )
    assert "unit cmu, the unit in which this person is 1.57 m tall" in said[3]
    assert "the missing bone `thorax` was put back (112 mm" in said[3]
    assert (
        said[-2]
        == "split           subjects 11, 131, 135 test, all others train; nobody is in both; val is empty"
    )
    assert said[-1] == f"prepared        4 of 4 takes   {out}"
    data(["check", "cmu_mocap", str(out)])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("split  clips people minutes")
    assert [line.split()[:3] for line in said[1:3]] == [["train", "3", "2"], ["test", "1", "1"]]
    assert said[-1] == f"verdict: sound   {out}"


def test_the_default_folder_and_a_prepared_source(shared_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    raw = shared_data / "mocap_cmu" / "raw_samples"
    data(["prepare", "cmu_mocap", str(raw)])
    assert len(read_clips(tmp_path / "cmu_mocap", "train")) == 3
    data(["prepare", "cmu_mocap", str(tmp_path / "cmu_mocap"), "--out", str(tmp_path / "copy")])
    data(["prepare", "cmu_mocap", str(tmp_path / "cmu_mocap"), "--out", str(tmp_path / "copy")])
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == [
        f"verified and copied   {tmp_path / 'copy'}",
        f"verified, and already there   {tmp_path / 'copy'}",
    ]


def test_faults_end_with_exit_code_1(shared_data, tmp_path, capsys):
    raw, out = tmp_path / "raw", tmp_path / "out"
    raw.mkdir()
    for name in ("02.asf", "02_03.amc"):
        (raw / name).write_bytes((shared_data / "mocap_cmu" / "raw_samples" / name).read_bytes())
    (raw / "02_04.amc").write_text(":DEGREES\n1\nroot 0 0")
    with pytest.raises(SystemExit) as ended:
        data(["prepare", "cmu_mocap", str(raw), "--out", str(out)])
    assert ended.value.code == 1
    assert "cmu_02_04        not used: " in capsys.readouterr().out
    meta = (out / "meta.json").read_text()
    (out / "meta.json").write_text(meta.replace('"frames": 87', '"frames": 88'))
    with pytest.raises(SystemExit) as ended:
        data(["check", "cmu_mocap", str(out)])
    assert ended.value.code == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith("fault  cmu_02_03: shape (87, 19, 3), meta.json says (88, 19, 3)")
    assert said[-1] == f"verdict: 1 faults   {out}"


@pytest.mark.parametrize("fps", ["0", "nan", "-1", "2000"])
def test_a_rate_that_is_none_is_refused_at_the_start(tmp_path, fps):
    with pytest.raises(ValueError, match=r"--fps .* is no rate"):
        data(["prepare", "cmu_mocap", str(tmp_path), "--out", str(tmp_path / "out"), "--fps", fps])


def test_help_is_there_and_does_not_wait_for_torch():
    program = (
        "import sys\nfrom coview.cli.data import data\n"
        "try: data([])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "• prepare" in done.stdout
    assert "• check" in done.stdout


# --- Human3.6M ---------------------------------------------------------------------------------------


def test_human36m_is_prepared_and_its_missing_pictures_are_counted(human36m_npy, tmp_path, capsys):
    out = tmp_path / "out"
    data(["prepare", "human36m", str(human36m_npy), "--out", str(out)])
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "instants        6 of S1, S9 in 4 views",
        "without a view  1",
        f"prepared        {out / 'human36m.npz'}",
    ]
    assert said.err.startswith(f"note: no pictures in {out} yet")
    with pytest.raises(SystemExit) as ended:
        data(["check", "human36m", str(out)])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert [line.split() for line in said.out.splitlines()[1:3]] == [
        ["S1", "train", "1", "3", "0", "100.0%", "0.1%", "12"],
        ["S9", "test", "1", "3", "1", "100.0%", "0.1%", "11"],
    ]
    assert "fault  23 pictures are missing in 8 folders, e.g. " in said.out
    assert said.out.endswith(f"verdict: 1 faults   {out}\n")
    assert "note: train: 3 instants: no preparation that is known" in said.err


def test_human36m_takes_no_settings_of_motion(human36m_npy, tmp_path):
    with pytest.raises(ValueError, match=r"--fps: Human3\.6M's labels are millimetres at 50 Hz"):
        data(["prepare", "human36m", str(human36m_npy), "--out", str(tmp_path / "x"), "--fps", "30"])
    assert not (tmp_path / "x").exists()


def test_human36m_has_a_default_folder(human36m_npy, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COVIEW_DATA", str(tmp_path))
    data(["prepare", "human36m", str(human36m_npy)])
    assert (tmp_path / "human36m" / "human36m.npz").is_file()
    with pytest.raises(SystemExit):
        data(["check", "human36m"])
    assert str(tmp_path / "human36m") in capsys.readouterr().out
