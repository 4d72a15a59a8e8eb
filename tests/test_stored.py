"""What coview 0.1.0 wrote still loads, predicts and evaluates, with the same numbers (stored/v0_1_0/README.md)."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from coview import recipes
from coview.formats.session.session import Session
from coview.training.evaluation.evaluate import evaluate
from coview.training.prediction.predict import predict
from coview.training.recipe import Recipe, differences, from_plain, to_plain
from coview.training.run import load_run, train

STORED = Path(__file__).parent / "stored" / "v0_1_0"
RUNS = sorted(path.name for path in (STORED / "runs").iterdir())
PREDICTED = sorted(path.stem for path in (STORED / "predictions").iterdir())
RECIPES = sorted(path.stem for path in (STORED / "recipes").iterdir())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the old files that a test may write to, as the current folder: recipes name `session`."""
    shutil.copytree(STORED, tmp_path / "kept")
    monkeypatch.chdir(tmp_path / "kept")
    return tmp_path / "kept"


def test_the_session_loads(kept: Path):
    session = Session.load(kept / "session")
    assert [camera.name for camera in session.cameras] == ["cam_1", "cam_2", "cam_3", "cam_4"]
    assert session.detections().joints.shape[1] == 120
    assert len(session.calibration().cameras) == 4


@pytest.mark.parametrize("name", PREDICTED)
def test_a_run_predicts_what_it_did(kept: Path, name: str):
    predict(kept / "runs" / name, kept / "session", camera="cam_2", out=kept / "new")
    with np.load(kept / "new" / "cam_2.npz") as new, np.load(kept / "predictions" / f"{name}.npz") as old:
        assert set(old) <= set(new)
        for key in old:
            if old[key].dtype.kind == "f":
                np.testing.assert_allclose(new[key], old[key], rtol=1e-5, atol=1e-5, err_msg=key)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_evaluates_as_it_did(kept: Path, name: str):
    old = json.loads((kept / "runs" / name / "evaluation.json").read_text())["metrics"]
    new = evaluate(kept / "runs" / name, out=kept / "new.json")
    for key, value in old.items():
        if value is not None:
            assert new[key] == pytest.approx(value, rel=1e-5, abs=1e-4), key


@pytest.mark.parametrize("name", RUNS)
def test_a_finished_run_is_recognised_as_its_recipe(kept: Path, name: str):
    """Training again with the same recipe finds the finished run and leaves it alone."""
    run = kept / "runs" / name
    before = (run / "weights.safetensors").read_bytes()
    train(load_run(run).recipe, run)
    assert (run / "weights.safetensors").read_bytes() == before


@pytest.mark.parametrize("name", RECIPES)
def test_an_old_recipe_means_what_it_meant(name: str):
    """Settings are compared with the recipe of today's package: a default may change there only with a reason here."""
    old = from_plain(json.loads((STORED / "recipes" / f"{name}.json").read_text()), Recipe)
    assert differences(to_plain(old), to_plain(recipes.load(name))) == ""
