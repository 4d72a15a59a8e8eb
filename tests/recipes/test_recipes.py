"""Every recipe is found, builds, takes a step and reads only what it declared. A new file is picked up by itself."""

from dataclasses import replace

import pytest
import torch

from coview import recipes
from coview.data.recorded import RecordedConfig
from coview.demo import generate
from coview.training.recipe import Recipe, from_plain, to_plain


@pytest.fixture(scope="module")
def instants(tmp_path_factory):
    """A few instants of a session, with everything that any method may want."""
    from coview.capture.calibrate import calibrate_from_people
    from coview.capture.reconstruct import reconstruct

    path = tmp_path_factory.mktemp("session")
    generate(path, seed=0, minutes=0.1)
    calibrate_from_people(path, stature=1.75)
    reconstruct(path)
    return RecordedConfig(sessions=(path,)).train().instants[:16]


@pytest.mark.parametrize("name", recipes.names())
def test_one_step_reads_only_what_is_declared(name, instants):
    recipe = recipes.load(name)
    torch.manual_seed(0)
    method = recipe.method.build(instants.skeleton)
    shown = instants.only(method.needs)
    loss = torch.stack(list(method.losses(method(instants.only(method.inputs)), shown).values())).sum()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())
    for hidden in instants.known - method.needs:
        with pytest.raises(LookupError, match=hidden):
            getattr(shown, hidden)


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_survives_being_written_as_json(name):
    recipe = recipes.load(name)
    assert from_plain(to_plain(recipe), Recipe) == recipe


def test_the_table_of_needs_has_a_row_per_recipe():
    rows = recipes.needs()
    assert [row["recipe"] for row in rows] == recipes.names()
    assert all(
        "joints3d" not in row["reads in training besides"] for row in rows if row["method"] == "CanonPose"
    )


def test_any_dotted_path_is_a_recipe(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("recipe = 3\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text("from coview.recipes.canonpose_synthetic import recipe\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert recipes.load("elsewhere.mine") == recipes.load("canonpose_synthetic")
    with pytest.raises(LookupError, match=r"no module 'elsewhere\.yours'"):
        recipes.load("elsewhere.yours")


def test_recipes_are_frozen_values():
    recipe = recipes.load("canonpose_demo")
    assert replace(recipe, steps=1) != recipe
    with pytest.raises(AttributeError):
        recipe.steps = 1
