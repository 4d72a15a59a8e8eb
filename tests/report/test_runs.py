import pytest

from coview.report.runs import find_runs, flat, is_run, read_run


def test_a_run_is_read_generically(new_run):
    run = read_run(new_run())
    assert run.step_name == "step"
    assert set(run.curves) == {"train/view", "validation/n_mpjpe"}
    assert run.curves["train/view"][0] == (0.0, 1.0)
    assert [step for step, _ in run.curves["validation/n_mpjpe"]] == [float(s) for s in range(0, 30, 2)]
    (evaluation,) = run.evaluations
    assert evaluation.numbers == {"n_mpjpe_mm": 61.25, "opposite_percent": None, "per_camera.north": 60.5}
    assert evaluation.meanings["n_mpjpe_mm"].startswith("root-aligned")
    assert evaluation.about == {"data": "synthetic", "instants": 400}
    assert run.record["mirror_flipped"] is True
    assert run.recipe["method.hidden"] == 64


def test_folders_that_are_no_runs_are_left_alone(tmp_path):
    (tmp_path / "models" / "notes").mkdir(parents=True)
    assert find_runs(tmp_path / "models") == ()
    assert find_runs(tmp_path / "nowhere") == ()
    assert not is_run(tmp_path)


def test_odd_curves(tmp_path):
    for name, content in (("empty", ""), ("odd", "step,a\n\nx,1\n1,nan\n2,inf\n3,0.5,9\n4\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.csv").write_text(content)
    empty, odd = find_runs(tmp_path)
    assert empty.curves == {}
    assert odd.curves == {"a": [(3.0, 0.5)]}


def test_plain_numbers_and_several_evaluations(new_run):
    path = new_run()
    (path / "evaluation_far.json").write_text('{"mpjpe_mm": 70, "note": "far ring"}')
    own, far = read_run(path).evaluations
    assert own.name == "evaluation"
    assert (far.name, far.numbers) == ("evaluation_far", {"mpjpe_mm": 70, "note": "far ring"})


def test_a_damaged_evaluation_names_the_file(new_run):
    path = new_run()
    (path / "evaluation.json").write_text('{"n_mpjpe')
    with pytest.raises(ValueError, match=r"evaluation\.json is damaged"):
        read_run(path)


def test_nested_tables_become_dotted_names():
    assert flat({"a": {"b": 1}, "c": [{"d": 2}], "e": [1, 2]}) == {"a.b": 1, "c.0.d": 2, "e": [1, 2]}
