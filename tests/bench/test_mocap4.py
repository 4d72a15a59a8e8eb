import csv
import json
import sys
from dataclasses import replace

import pytest

from coview import recipes
from coview.bench import mocap4
from coview.bench.mocap4 import COST, Settings, is_mirrored, plan, run_mocap4
from coview.bench.results import read_rows
from coview.data.mocap.mocap4 import DETECTED
from coview.data.synthetic.recordings import EXACT
from coview.methods.canonpose import CanonPose
from coview.training.run import train


@pytest.fixture
def settings(motion, tiny, tmp_path) -> Settings:
    return Settings(
        recipes=(tiny,),
        inputs=("detected",),
        seeds=(0,),
        out=tmp_path / "runs",
        results=tmp_path / "results" / "mocap4.csv",
        folder=motion,
    )


def run(settings: Settings) -> tuple[list[str], list[str]]:
    """Failures, and what was told."""
    lines: list[str] = []
    return run_mocap4(settings, lines.append), lines


def trained(monkeypatch) -> list[int]:
    """Seeds of the trainings that will be begun."""
    seeds = []

    def counted(recipe, out, **options):
        seeds.append(recipe.seed)
        return train(recipe, out, **options)

    monkeypatch.setattr(mocap4, "train", counted)
    return seeds


def test_a_bench_from_plan_to_table(settings, tiny):
    failures, lines = run(replace(settings, inputs=("exact", "detected"), seeds=(0, 1)))
    assert failures == []
    rows = read_rows(settings.results)
    assert [(row["seed"], row["input"], row["ring"]) for row in rows] == [
        (seed, kind, ring)
        for seed in "01"
        for kind in ("exact", "detected")
        for ring in ("same", "near", "far")
    ]
    for row in rows:
        assert row["recipe"] == tiny
        assert (row["width"], row["steps"], row["batch"], row["instants"]) == ("8", "3", "4", "20")
        assert row["precision"] == "32"
        assert float(row["n_mpjpe_mm"]) > 50
        assert float(row["seconds"]) > 0
        assert 50 < float(row["peak_mb"]) < 20_000
        assert row["machine"].startswith("cpu: ")
        assert row["joints"].startswith("16 joints of h36m_17 but the root")
        assert "least-squares scaled" in row["alignment"]
        assert row["mirrored"] in ("yes", "no")
        assert row["mirror_flipped"] in ("yes", "no")
        assert 0 <= float(row["pss_100"]) <= 100 >= float(row["pss_50"])
        assert row["jdr_all_before"] == ""  # this method refines nothing
    assert {row["coverage_percent"] for row in rows if row["input"] == "exact"} == {"100.000"}
    assert lines[0].startswith(f"[1/4] {tiny} exact seed 0: ")
    assert "to go" in lines[0]
    assert "to go" not in lines[3]


def test_finished_runs_are_not_trained_again_and_rows_not_doubled(settings, monkeypatch):
    run(settings)
    before = settings.results.read_bytes()
    seeds = trained(monkeypatch)
    monkeypatch.setattr(mocap4, "measure", None)  # nor measured
    _, lines = run(settings)
    assert seeds == []
    assert settings.results.read_bytes() == before
    assert "was there" in lines[0]


def test_a_lost_table_is_made_again_from_the_runs(settings, monkeypatch):
    run(settings)
    before = read_rows(settings.results)
    settings.results.unlink()
    seeds = trained(monkeypatch)
    run(settings)
    assert seeds == []
    assert read_rows(settings.results) == before


def test_rows_from_before_the_structure_score_are_measured_again(settings, monkeypatch):
    run(settings)
    before = read_rows(settings.results)
    columns = [name for name in before[0] if not name.startswith("pss_")]
    with settings.results.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(before)
    seeds = trained(monkeypatch)
    run(settings)
    assert seeds == []
    assert read_rows(settings.results) == before


def test_rows_of_a_changed_recipe_are_replaced(settings, tiny, monkeypatch):
    run(settings)
    before = read_rows(settings.results)
    module = sys.modules[tiny]
    monkeypatch.setattr(module, "recipe", replace(module.recipe, learning_rate=0.05))
    with pytest.raises(ValueError, match=r"with other settings: the recipe was changed since.*--overwrite"):
        run(settings)
    run(replace(settings, overwrite=True))
    after = read_rows(settings.results)
    assert len(after) == len(before) == 3
    assert after[0]["n_mpjpe_mm"] != before[0]["n_mpjpe_mm"]
    seeds = trained(monkeypatch)
    run(replace(settings, overwrite=True))
    assert seeds == []  # overwriting concerns changed recipes alone


def test_interrupted_and_resumed(settings, monkeypatch):
    """Ctrl-C in the second run: the first has its rows; started again, only the second is trained."""
    many = replace(settings, seeds=(0, 1))

    def interrupted(recipe, out, **options):
        if recipe.seed == 1:
            raise KeyboardInterrupt
        return train(recipe, out, **options)

    monkeypatch.setattr(mocap4, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(many)
    assert [row["seed"] for row in read_rows(settings.results)] == ["0", "0", "0"]
    seeds = trained(monkeypatch)
    run(many)
    assert seeds == [1]
    assert [row["seed"] for row in read_rows(settings.results)] == ["0", "0", "0", "1", "1", "1"]


def test_ctrl_c_within_a_training_goes_on_there_and_says_so(settings, monkeypatch):
    original, calls = CanonPose.losses, []

    def interrupted(self, predicted, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, predicted, batch)

    monkeypatch.setattr(CanonPose, "losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(settings)
    assert not settings.results.exists()
    run(settings)
    assert len(calls) == 3 + 1  # two steps were kept, the third was done again
    assert all("went on after an interruption" in row["notes"] for row in read_rows(settings.results))


def test_interrupted_between_training_and_its_notes(settings):
    """What was not noted is blank, not made up."""
    run(replace(settings, rings=("same",)))
    settings.results.unlink()
    (folder,) = (path.parent for path in settings.out.rglob(COST))
    (folder / COST).unlink()
    run(replace(settings, rings=("same",)))
    (row,) = read_rows(settings.results)
    assert row["peak_mb"] == row["machine"] == ""
    assert "not noted" in row["notes"]


def test_one_run_that_fails_does_not_end_the_others(settings, monkeypatch):
    def fails(recipe, out, **options):
        if recipe.seed == 0:
            raise RuntimeError("the loss is nan")
        return train(recipe, out, **options)

    monkeypatch.setattr(mocap4, "train", fails)
    failures, lines = run(replace(settings, seeds=(0, 1), rings=("far",)))
    assert len(failures) == 1
    assert failures[0].endswith("detected seed 0: the loss is nan")
    assert lines[0] == f"[1/2] {failures[0]}"
    assert [row["seed"] for row in read_rows(settings.results)] == ["1"]


def test_the_plan_changes_noise_and_seed_alone(settings, tiny):
    recipe = sys.modules[tiny].recipe
    exact, detected = plan(replace(settings, inputs=("exact", "detected"), seeds=(7,)))
    assert exact.recipe == replace(
        recipe, data=replace(recipe.data, noise=EXACT, folder=settings.folder), seed=7
    )
    assert detected.data.noise == DETECTED
    assert detected.data.seed == 0  # the same pixels for every run
    (other,) = plan(replace(settings, steps=9, width=16))
    assert (other.recipe.steps, other.width, other.folder.name) == (9, 16, "detected_seed0_width16_steps9")


def test_cameras_of_training_make_runs_and_rows_of_their_own(settings, monkeypatch):
    tested = []
    measured = mocap4.measure
    monkeypatch.setattr(mocap4, "measure", lambda *a, **o: tested.append((a[1], o)) or measured(*a, **o))
    failures, lines = run(replace(settings, views=(4, 2), rings=("same", "far")))
    assert failures == []
    rows = read_rows(settings.results)
    assert [(row["views"], row["ring"]) for row in rows] == [
        ("4", "same"),
        ("4", "far"),
        ("2", "same"),
        ("2", "far"),
    ]
    assert rows[0]["n_mpjpe_mm"] != rows[2]["n_mpjpe_mm"]
    assert rows[0]["instants"] == rows[2]["instants"]
    (four, rates), _, (two, none), _ = tested
    assert two is four  # the same test for every run
    assert four.instants.joints2d.shape[1] == 4
    assert (rates, none) == ({"rates": True}, {"rates": False})
    assert "seed 0 from 2 cameras: " in lines[1]
    names = {path.name for path in settings.out.glob("*/*")}
    assert names == {"detected_seed0_width8_steps3", "detected_seed0_width8_steps3_views2"}
    seeds = trained(monkeypatch)
    run(replace(settings, views=(2, 4), rings=("same", "far")))
    assert seeds == []


def test_errors_in_pixels_are_halved_and_doubled(settings):
    jobs = plan(replace(settings, inputs=("exact", "half", "detected", "double")))
    assert [job.data.noise.sigma for job in jobs] == [0.0, 2.5, 5.0, 10.0]
    assert [job.data.noise.outlier_px for job in jobs[1:]] == [30.0, 60.0, 120.0]
    rates = {(j.data.noise.outlier_rate, j.data.noise.missing_rate, j.data.noise.swap_rate) for j in jobs[1:]}
    assert rates == {(0.04, 0.02, 0.02)}


def test_by_default_every_recipe_of_the_benchmark_runs(monkeypatch, tiny):
    recipe = sys.modules[tiny].recipe
    monkeypatch.setattr(recipes, "names", lambda: ["a_mocap4", "b_demo", "c_mocap4"])
    monkeypatch.setattr(recipes, "load", lambda name: recipe)
    assert [job.name for job in plan(Settings(seeds=(0,), inputs=("exact",)))] == ["a_mocap4", "c_mocap4"]


def test_mirrored_is_what_lies_in_a_wrong_world():
    assert is_mirrored({"mirrored_percent": 93.0, "opposite_percent": 0.0})
    assert is_mirrored({"mirrored_percent": 20.0, "opposite_percent": 71.0})
    assert is_mirrored({"mirrored_percent": 20.0, "opposite_percent": 1.0}) is False
    assert is_mirrored({"mirrored_percent": float("nan"), "mpjpe_mm": 30.0}) is None


# --- mistakes, all of them before any training ----------------------------------------------------


def test_data_that_was_not_prepared(settings, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no prepared motion in .*`coview data prepare cmu_mocap"):
        run(replace(settings, folder=tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": ("perfect",)}, r"no input 'perfect'. Known: exact, half, detected, double"),
        ({"views": (2, 2)}, r"views are different numbers of cameras, at least one number; got \(2, 2\)"),
        ({"views": ()}, r"at least one number; got \(\)"),
        ({"views": (4, 9)}, r"views is the number of training cameras, 2 to 8, got 9"),
        ({"rings": ("around",)}, r"no ring 'around'. Known: same, near, far"),
        ({"seeds": (1, 1)}, r"different whole numbers from 0 up, at least one; got \(1, 1\)"),
        ({"seeds": ()}, r"at least one; got \(\)"),
        ({"steps": 0}, r"steps must be at least 1, got 0. Leave it out for each recipe's own"),
        ({"width": 0}, r"width must be at least 1, got 0"),
        ({"recipes": ("canonpoze_mocap4",)}, r"no recipe 'canonpoze_mocap4'. Known: "),
        ({"recipes": ("canonpose_demo",)}, r"'canonpose_demo' learns from SyntheticConfig"),
    ],
)
def test_unknown_names_are_named(settings, change, message):
    with pytest.raises((ValueError, LookupError), match=message):
        run(replace(settings, **change))
    assert not settings.out.exists()


def test_a_results_file_that_is_something_else_is_not_touched(settings):
    settings.results.parent.mkdir()
    settings.results.write_text("date,seconds\n2026-01-01,3\n")
    with pytest.raises(ValueError, match=r"is no table of the benchmark: it has no column recipe"):
        run(settings)
    assert settings.results.read_text().startswith("date,seconds")


def test_a_results_path_that_cannot_be_written_is_refused_before_any_training(settings, tmp_path):
    with pytest.raises(ValueError, match=r"is a folder"):
        run(replace(settings, results=tmp_path))
    assert not settings.out.exists()


def test_a_device_that_is_not_there(settings, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"'cuda' is not on this machine"):
        run(replace(settings, device="cuda"))
    assert not settings.out.exists()


def test_a_start_that_failed_is_no_run_of_other_settings(settings):
    (job,) = plan(settings)
    job.folder.mkdir(parents=True)
    (job.folder / "recipe.json").write_text('{"learning_rate": 9}')
    assert not plan(settings)[0].stale
    (job.folder / "checkpoint.safetensors").write_bytes(b"")
    assert plan(settings)[0].stale


def test_what_a_run_took_is_noted_beside_it(settings):
    run(replace(settings, rings=("same",)))
    (cost,) = settings.out.rglob(COST)
    noted = json.loads(cost.read_text())
    assert set(noted) == {"date", "commit", "machine", "peak_mb", "notes"}
    assert noted["notes"] == ""


def test_poses_of_another_frame_are_no_part_of_the_benchmark():
    assert "mcss_mocap4" in recipes.names()
    assert not {job.name for job in plan(Settings())} & {"mcss_mocap4"}
    with pytest.raises(ValueError, match=r"'mcss_mocap4' predicts canonical poses, .*benchmarks/mcss\.py"):
        plan(Settings(recipes=("mcss_mocap4",)))
