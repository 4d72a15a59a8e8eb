import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from coview.data.base import InMemory
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.methods.refinement_unit import RefinementUnit, RefinementUnitConfig
from coview.methods.shared.base import CameraPoses, Method, WorldPose
from coview.sample import MultiView
from coview.skeletons import COCO_17, EPIPOLAR_16, H36M_17, skeleton_map
from coview.training.evaluation.evaluate import evaluate
from coview.training.initial_poses import FOLDER, first_guesses
from coview.training.recipe import Recipe
from coview.training.root_predictions import Guesser
from coview.training.run import load_run, train
from coview.training.run_folder import WEIGHTS

CPU = torch.device("cpu")


class Sees(Method[CameraPoses]):
    """Two views; the pose is the rig's number along x, joint by joint. Counts how often it is asked."""

    inputs = frozenset({"rig"})

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.asked = nn.Parameter(torch.ones(1)), 0

    def forward(self, batch):
        self.asked += 1
        place = batch.rig[:, None, None, None] * torch.ones(2, 17, 3) + torch.arange(17.0)[:, None]
        return CameraPoses(joints3d=place)

    def losses(self, predicted, batch):
        return {}


class Stands(Sees):
    def forward(self, batch):
        return WorldPose(joints3d=torch.zeros(len(batch.rig), 17, 3))


def instants(count: int = 5) -> InMemory:
    return InMemory(MultiView(H36M_17, rig=torch.arange(count)))


def guesser(path, **changes) -> Guesser:
    return Guesser(**{"path": path, "method": Sees(), "skeleton": H36M_17, "identity": "w", **changes})


def test_poses_are_predicted_once_and_kept(tmp_path):
    one = guesser(tmp_path)
    found = first_guesses(one, instants(), "data", CPU, H36M_17)
    expected = torch.arange(17.0)[:, None].expand(5, 2, 17, 3)  # centred on the pelvis, joint 0
    torch.testing.assert_close(found, expected)
    again = guesser(tmp_path)
    assert torch.equal(first_guesses(again, instants(), "data", CPU, H36M_17), found)
    assert (one.method.asked, again.method.asked) == (1, 0)
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    other = guesser(tmp_path, identity="other weights")
    first_guesses(other, instants(), "data", CPU, H36M_17)
    assert other.method.asked == 1


def test_joints_are_found_by_name(tmp_path):
    found = first_guesses(guesser(tmp_path), instants(), "data", CPU, EPIPOLAR_16)
    expected = skeleton_map(H36M_17, EPIPOLAR_16).apply(torch.arange(17.0)[:, None].expand(17, 3))
    torch.testing.assert_close(found[0, 0], expected)


def test_models_that_cannot_guess_are_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"first_from: .* holds a Stands, which does not predict a pose for every"
    ):
        first_guesses(guesser(tmp_path, method=Stands()), instants(), "data", CPU, H36M_17)
    data = InMemory(MultiView(H36M_17, confidence=torch.ones(3, 2, 17)))
    with pytest.raises(
        ValueError, match=r"first_from: .* predicts first guesses from rig too.*only: confidence"
    ):
        first_guesses(guesser(tmp_path), data, "data", CPU, H36M_17)
    with pytest.raises(LookupError, match="no map from skeleton 'coco_17'"):
        first_guesses(guesser(tmp_path, skeleton=COCO_17), instants(), "data", CPU, H36M_17)


# --- in a run ----------------------------------------------------------------------------------------

DATA = SyntheticConfig(instants=12, validation_instants=6, subjects=1)
LIFT = Recipe(method=CanonPoseConfig(width=8), data=DATA, steps=2, batch_size=4, device="cpu")
REFINE = Recipe(
    method=RefinementUnitConfig(width=16), data=DATA, steps=3, batch_size=4, device="cpu", clip_norm=1.0
)


def test_a_second_stage_trains_and_is_judged_on_the_poses_of_the_first(tmp_path):
    lift = train(LIFT, tmp_path / "lift")
    run = train(replace(REFINE, first_from=lift), tmp_path / "refined")
    assert len(list((lift / FOLDER).iterdir())) == 2  # for training and for validation
    assert load_run(run).recipe == replace(REFINE, first_from=lift)
    kept = load_file(run / WEIGHTS)
    assert (kept["input_std"] > 0).all()
    assert kept["input_mean"].abs().max() > 0  # statistics were found, and kept with the weights
    metrics = evaluate(run, out=tmp_path / "again.json")
    assert metrics == pytest.approx(json.loads((run / "evaluation.json").read_text())["metrics"])
    third = train(
        replace(REFINE, first_from=run, steps=1), tmp_path / "third"
    )  # refined poses, refined again
    assert load_run(third).record["inputs"] == ["first_guess"]


def test_a_resumed_run_does_not_look_at_all_data_again(tmp_path, monkeypatch):
    lift = train(LIFT, tmp_path / "lift")
    recipe = replace(REFINE, first_from=lift)
    whole = load_file(train(recipe, tmp_path / "whole") / WEIGHTS)
    original, calls = RefinementUnit.forward, []

    def interrupted(self, batch):  # before it moves the running statistics of BatchNorm
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, batch)

    monkeypatch.setattr(RefinementUnit, "forward", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "cut")
    monkeypatch.setattr(RefinementUnit, "fit_statistics", None)
    resumed = load_file(train(recipe, tmp_path / "cut") / WEIGHTS)
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_missing_first_stage_is_said_with_the_way_out(tmp_path):
    with pytest.raises(
        ValueError, match=r"needs 'first_guess', which .*, or name a run that predicts it with --first-f"
    ):
        train(REFINE, tmp_path / "run")
    with pytest.raises(
        ValueError, match="first_from is given, and CanonPoseConfig as it is set reads no first_guess"
    ):
        train(replace(LIFT, first_from=tmp_path), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="nowhere is no run"):
        train(replace(REFINE, first_from=tmp_path / "nowhere"), tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"first_from names .*run, the folder that this run is to be written to"
    ):
        train(replace(REFINE, first_from=tmp_path / "run"), tmp_path / "run")
