from pathlib import Path

import pytest

from coview.bench import mocap4
from coview.cli import bench as command


def test_options_reach_the_bench_and_without_results_no_table_is_made(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(mocap4, "run_mocap4", lambda settings, tell: asked.append(settings) or [])
    command.bench(
        "mocap4",
        recipes=("a", "b"),
        inputs=("exact", "double"),
        views=(2, 3),
        seeds=(3,),
        rings=("far",),
        out=tmp_path / "runs",
        results=tmp_path / "none.csv",
        folder=tmp_path,
        steps=5,
        width=8,
        device="cpu",
        overwrite=True,
    )
    (settings,) = asked
    assert settings == mocap4.Settings(
        recipes=("a", "b"),
        inputs=("exact", "double"),
        views=(2, 3),
        seeds=(3,),
        rings=("far",),
        out=tmp_path / "runs",
        results=tmp_path / "none.csv",
        folder=tmp_path,
        steps=5,
        width=8,
        device="cpu",
        overwrite=True,
    )
    assert capsys.readouterr().out == ""


def test_defaults_are_those_of_the_library(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(mocap4, "run_mocap4", lambda settings, tell: asked.append(settings) or [])
    monkeypatch.chdir(tmp_path)
    command.bench("mocap4")
    assert asked == [mocap4.Settings()]


def test_failed_runs_end_in_an_error_after_the_table(monkeypatch, tmp_path, capsys):
    def fails(settings: mocap4.Settings, tell) -> list[str]:
        tell("[1/1] a")
        Path(settings.results).write_text("recipe,input,seed,ring,width,steps,batch,parameters\n")
        return ["a exact seed 0: the loss is nan"]

    monkeypatch.setattr(mocap4, "run_mocap4", fails)
    with pytest.raises(SystemExit) as ended:
        command.bench("mocap4", results=tmp_path / "r.csv")
    assert ended.value.code == 1
    written = capsys.readouterr()
    assert written.out.startswith("# Results of mocap4")
    assert written.err.splitlines() == ["[1/1] a", "1 of the runs failed:", "a exact seed 0: the loss is nan"]


def test_an_unknown_benchmark_is_named():
    with pytest.raises(LookupError, match=r"no benchmark 'mocap5'. Known: mocap4"):
        command.bench("mocap5")
