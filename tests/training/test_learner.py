from dataclasses import replace

import pytest
import torch

from coview import recipes
from coview.data.augment import Augment
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.shared.base import CameraPoses, Method
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.sample import MultiView
from coview.skeletons import H36M_17
from coview.training.history import History
from coview.training.learner import (
    Diverged,
    Learner,
    Sums,
    ambiguity_steps,
    check_finite,
    learning_rate,
    reseed,
)
from coview.training.recipe import Recipe
from coview.training.run import train

RECIPE = Recipe(
    method=CanonPoseConfig(width=8),
    data=SyntheticConfig(instants=20, subjects=1),
    steps=100,
    learning_rate=1.0,
)


class Peeking(Method[CameraPoses]):
    """Declares 2D joints and reads the truth."""

    inputs = frozenset({"joints2d"})
    supervision = frozenset({"confidence"})

    def forward(self, batch: MultiView) -> CameraPoses:
        _ = batch.confidence  # supervision is for losses, not for predictions
        raise AssertionError

    def losses(self, predicted, batch):
        raise AssertionError


def test_forward_sees_inputs_alone():
    data = RECIPE.data.train()
    learner = Learner(Peeking(), RECIPE, data)
    with pytest.raises(LookupError, match="no 'confidence'"):
        learner(learner.data[torch.arange(2)])


def test_losses_see_inputs_and_supervision_alone():
    data = RECIPE.data.train()
    learner = Learner(Peeking(), RECIPE, data)
    assert learner.data.fields == {"joints2d", "confidence"}
    assert learner.data[torch.arange(2)].fields == {"joints2d", "confidence"}


# --- sums and seeds ----------------------------------------------------------------------------------


def test_sums_are_means_over_steps_whichever_terms_they_had():
    sums = Sums()
    sums.add(("rep", "view"), torch.tensor([1.0, 4.0]))
    sums.add(("rep", "view"), torch.tensor([3.0, 2.0]))
    sums.add(("rep", "fused"), torch.tensor([5.0, 9.0]))  # another stage began
    assert sums.means() == pytest.approx({"loss": 8.0, "rep": 3.0, "view": 2.0, "fused": 3.0})


def test_sums_do_not_change_what_they_were_given():
    first = torch.tensor([1.0])
    sums = Sums()
    sums.add(("rep",), first)
    sums.add(("rep",), first)
    assert first == 1.0


def test_steps_whose_loss_is_not_finite_are_passed_over():
    sums = Sums()
    sums.add(("rep",), torch.tensor([1.0]))
    sums.add(("rep",), torch.tensor([torch.nan]))
    sums.add(("rep",), torch.tensor([3.0]))
    assert sums.means() == pytest.approx({"loss": 2.0, "rep": 2.0})
    none = Sums()
    none.add(("rep",), torch.tensor([torch.inf]))
    assert none.means()["loss"] != none.means()["loss"]


def test_reseeding_draws_what_torch_would():
    torch.manual_seed(7)
    expected = torch.randperm(20)
    reseed(7, torch.device("cpu"))
    assert torch.equal(torch.randperm(20), expected)


def test_a_method_knows_how_far_the_run_is(tmp_path, monkeypatch):
    seen, original = [], CanonPose.losses

    def listening(self, predicted, batch):
        seen.append(self.progress)
        return original(self, predicted, batch)

    monkeypatch.setattr(CanonPose, "losses", listening)
    train(replace(RECIPE, steps=4, device="cpu"), tmp_path / "run")
    assert seen == [0.0, 0.25, 0.5, 0.75]


def test_schedules():
    def rates(**changes):
        recipe = replace(RECIPE, **changes)
        return [round(learning_rate(recipe, step), 6) for step in (0, 29, 30, 60, 90, 99)]

    assert rates(schedule="drops") == [1, 1, 0.1, 0.01, 0.001, 0.001]  # the paper: after 30, 60 and 90 of 100
    assert rates(schedule="constant") == [1] * 6
    cosine = rates(schedule="cosine")
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[0] == 1
    assert learning_rate(replace(RECIPE, schedule="constant", warm_up=9), 0) == pytest.approx(0.1)
    assert learning_rate(replace(RECIPE, schedule="constant", warm_up=9), 9) == 1


def test_revisions_happen_at_shares_of_the_run():
    assert ambiguity_steps(replace(RECIPE, resolve_ambiguity_at=(0.001, 0.5, 1.0))) == {1, 50, 100}


# --- augmentation ------------------------------------------------------------------------------------


def test_batches_are_varied_but_the_method_still_sees_only_what_it_declares():
    seen = []

    class Watching(CanonPose):
        def losses(self, predicted, batch):
            seen.append(batch)
            return super().losses(predicted, batch)

    config = CanonPoseConfig(width=8, camera_weight=0.1)
    recipe = replace(RECIPE, method=config, augment=Augment(mirror=1.0))
    method = Watching(config, H36M_17)
    method.supervision = frozenset({"rig"})  # without the image size that mirroring reads
    learner = Learner(method, recipe, recipe.data.train())
    assert "image_size" in learner.data.fields
    learner.training_step(learner.data[torch.arange(4)], 0)
    assert seen[0].fields == {"joints2d", "confidence", "rig"}
    assert (seen[0].rig < 0).all()


def test_a_recipe_that_mirrors_needs_the_image_size():
    plain = replace(RECIPE, method=SupervisedLiftingConfig(width=8))
    assert "image_size" not in plain.needs
    assert "image_size" in replace(plain, augment=Augment(mirror=0.5)).needs


def test_weights_that_the_last_update_broke_are_noticed():
    recipe = recipes.load("canonpose_synthetic")
    method = recipe.method.build(H36M_17)
    check_finite(method, recipe)
    with torch.no_grad():
        next(method.parameters()).fill_(torch.inf)
    with pytest.raises(Diverged, match=r"1 weights are not finite.*smaller learning_rate"):
        check_finite(method, recipe)


class Watching(SupervisedLiftingConfig):
    """Watches the number of instants, which nothing minimises."""

    def build(self, skeleton):
        method = super().build(skeleton)
        lossy = method.losses

        def losses(predicted, batch):
            method.diagnostics = {"instants": torch.tensor(float(len(batch.joints2d)))}
            return lossy(predicted, batch)

        method.losses = losses
        return method


def test_what_is_watched_is_kept_and_not_minimised(tmp_path):
    recipe = replace(RECIPE, steps=4, log_every=2, batch_size=5, learning_rate=1e-3)
    plain = train(
        replace(recipe, method=SupervisedLiftingConfig(width=8)), tmp_path / "plain", progress=False
    )
    diagnostics = train(replace(recipe, method=Watching(width=8)), tmp_path / "diagnostics", progress=False)
    rows = [History.load(run / "history.csv").rows for run in (plain, diagnostics)]
    assert [row["watch/instants"] for row in rows[1]] == [5, 5]
    assert [row["loss"] for row in rows[0]] == [row["loss"] for row in rows[1]]
