import subprocess
import sys

import pytest

from coview.cli.data import data
from coview.data.mocap import read_clips


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
