"""A run's folder: whose it is, and what may be made of it."""

import json
from dataclasses import replace

import pytest

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.training.checkpoint import Checkpoint
from coview.training.recipe import Recipe, to_plain
from coview.training.run_folder import (
    CHECKPOINT,
    RECIPE,
    RECORD,
    WEIGHTS,
    check_apart,
    clear,
    difference,
    opened,
)

TINY = Recipe(method=CanonPoseConfig(width=8), data=SyntheticConfig(instants=10, subjects=1), steps=4)


@pytest.fixture
def folder(tmp_path):
    """As a finished run of TINY leaves it, as far as this file looks."""
    (tmp_path / RECIPE).write_text(json.dumps(to_plain(TINY)))
    (tmp_path / RECORD).write_text("{}")
    return tmp_path


def test_a_run_of_before_a_setting_existed_is_that_of_its_default(folder):
    plain = json.loads((folder / RECIPE).read_text())
    del plain["accumulate"], plain["init"]
    (folder / RECIPE).write_text(json.dumps(plain))
    assert difference(folder, TINY) == ""
    assert difference(folder, replace(TINY, accumulate=2)) == "accumulate is 1 there and 2 now"
    assert difference(folder, replace(TINY, init="x")) == "init is empty there and x now"


def test_runs_of_different_methods_differ_in_the_method_and_not_in_all_of_its_settings(folder):
    words = difference(folder, replace(TINY, method=SupervisedLiftingConfig()))
    assert words == "method is canonpose there and supervised_lifting now"


def test_a_start_that_failed_is_no_run(folder):
    (folder / RECORD).unlink()
    assert difference(folder, replace(TINY, steps=9)) == ""


def test_a_damaged_recipe_is_a_difference(folder):
    (folder / RECIPE).write_text("{")
    assert difference(folder, TINY) == f"its {RECIPE} is damaged"


def test_opening_refuses_another_recipes_run_and_finds_the_checkpoint(folder):
    assert opened(TINY, folder, overwrite=False) is None
    with pytest.raises(ValueError, match="holds a run of another recipe: steps is 4 there and 9 now"):
        opened(replace(TINY, steps=9), folder, overwrite=False)
    assert opened(replace(TINY, steps=9), folder, overwrite=True) is None
    Checkpoint(2, 0.0, {}, {}).save(folder / CHECKPOINT)
    found = opened(TINY, folder, overwrite=False)
    assert found is not None
    assert found.step == 2


def test_clearing_leaves_what_is_not_of_the_run(folder):
    (folder / WEIGHTS).write_bytes(b"")
    (folder / "notes.txt").write_text("mine")
    clear(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_a_run_is_not_built_on_itself(tmp_path):
    with pytest.raises(ValueError, match=r"init names .*, the folder that this run is to be written to"):
        check_apart(replace(TINY, init=str(tmp_path)), tmp_path)
    check_apart(replace(TINY, init=str(tmp_path / "other")), tmp_path)
