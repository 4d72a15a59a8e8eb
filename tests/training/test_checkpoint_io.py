"""The format of checkpoints, and Lightning's restoring from it; killing and resuming are in test_run."""

import json
from dataclasses import replace

import pytest
import torch
from lightning import Trainer
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.training.checkpoint import Checkpoint
from coview.training.checkpoint_io import RUN, SafetensorsIO, fast_forwarded
from coview.training.history import History
from coview.training.recipe import Recipe
from coview.training.run import load_run, train

RECIPE = Recipe(
    method=CanonPoseConfig(width=4),
    data=SyntheticConfig(instants=16, validation_instants=4, subjects=1),
    steps=12,
    batch_size=8,
    log_every=2,
    validate_every=5,
    resolve_ambiguity_at=(0.5, 1.0),
    device="cpu",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return train(RECIPE, tmp_path_factory.mktemp("runs") / "whole", progress=False)


def interrupted(recipe, out, monkeypatch, step):
    """A run told to stop in its forward pass after so many updates; its checkpoint."""
    original, calls = CanonPose.losses, []

    def losses(self, predicted, batch):
        calls.append(1)
        if len(calls) == step * recipe.accumulate + 1:
            raise KeyboardInterrupt
        return original(self, predicted, batch)

    with monkeypatch.context() as patched:
        patched.setattr(CanonPose, "losses", losses)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, out, progress=False)
    return out / "checkpoint.safetensors"


def test_the_file_is_as_it_was_before_lightning_wrote_it(tmp_path, monkeypatch):
    """Names of tensors and words of 0.1.0: runs that it began go on, and it can go on with ours."""
    path = interrupted(RECIPE, tmp_path / "run", monkeypatch, step=7)
    with safe_open(path, framework="pt") as file:
        names, words = set(file.keys()), file.metadata()
    weights = RECIPE.method.build(RECIPE.data.skeleton)
    learnt = range(len(list(weights.parameters())))
    assert names == {f"weights/{name}" for name in weights.state_dict()} | {
        f"optimiser/{number}/{name}" for number in learnt for name in ("step", "exp_avg", "exp_avg_sq")
    }
    state = json.loads(words["state"])
    assert set(words) == {"state"}
    assert set(state) == {"step", "seconds", "facts"}
    assert state["step"] == 7
    assert state["facts"]["mirror_views"] == 64


def test_lightning_gets_back_what_it_gave(tmp_path):
    given = {
        "global_step": 3,
        "epoch": 0,
        "state_dict": {"method.weight": torch.ones(2)},
        "optimizer_states": [{"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": []}],
        RUN: {"seconds": 1.5, "facts": {"flipped": True}},
    }
    plugin, path = SafetensorsIO(), tmp_path / "c.safetensors"
    plugin.save_checkpoint(given, path)
    found = plugin.load_checkpoint(path)
    assert torch.equal(found["state_dict"]["method.weight"], torch.ones(2))
    assert found["optimizer_states"] == [{"state": {0: {"step": torch.tensor(3.0)}}}]
    assert (found["global_step"], found[RUN]) == (3, given[RUN])
    plugin.remove_checkpoint(path)
    assert not path.exists()


@pytest.mark.parametrize("step", [1, 5, 6, 11])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_run_that_goes_on_is_the_run_that_was_not_interrupted(tmp_path, monkeypatch, step, accumulate):
    """Bit for bit; and it validates and is revised at the same steps."""
    recipe = replace(RECIPE, accumulate=accumulate)
    uninterrupted = train(recipe, tmp_path / "whole", progress=False)
    assert Checkpoint.load(interrupted(recipe, tmp_path / "run", monkeypatch, step)).step == step
    train(recipe, tmp_path / "run", progress=False)
    a, b = (load_file(run / "weights.safetensors") for run in (uninterrupted, tmp_path / "run"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert load_run(tmp_path / "run").record["facts"] == load_run(uninterrupted).record["facts"]
    rows = [History.load(run / "history.csv").rows for run in (uninterrupted, tmp_path / "run")]
    for name in ("step", "validation/n_mpjpe_mm", "learning_rate"):
        assert [row.get(name) for row in rows[1]] == [row.get(name) for row in rows[0]]


def test_a_checkpoint_of_a_step_that_revises_holds_the_revision(tmp_path, monkeypatch):
    original = CanonPose.resolve_ambiguity
    monkeypatch.setattr(
        CanonPose, "resolve_ambiguity", lambda self, seen: original(self, seen) | {"revised": True}
    )
    path = interrupted(RECIPE, tmp_path / "run", monkeypatch, step=6)
    assert Checkpoint.load(path).facts["revised"]


def test_a_checkpoint_of_another_optimiser_goes_on_with_the_recipe_s_settings(tmp_path, whole, monkeypatch):
    """Nothing but the moments is taken from the file: rates and decay are what the recipe says."""
    path = interrupted(RECIPE, tmp_path / "run", monkeypatch, step=7)
    held = Checkpoint.load(path)
    save_file(
        {f"weights/{n}": w for n, w in held.weights.items()}
        | {f"optimiser/{n}": w for n, w in held.optimiser.items()},
        path,
        metadata={"state": json.dumps({"step": 7, "seconds": 2.5, "facts": held.facts, "later": "ignored"})},
    )
    train(RECIPE, tmp_path / "run", progress=False)
    a, b = (load_file(run / "weights.safetensors") for run in (whole, tmp_path / "run"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert load_run(tmp_path / "run").record["seconds"] > 2.5


def test_the_loop_is_where_lightning_would_have_it():
    """Counters of this version's own loops; where these names go, no run can go on."""
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, max_steps=20)
    loop = trainer.fit_loop
    loop.load_state_dict(fast_forwarded(loop.state_dict(), 7, 3))
    assert trainer.global_step == 7
    assert loop.epoch_loop.batch_idx == 20
    assert trainer.current_epoch == 0
