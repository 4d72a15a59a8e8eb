from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from coview.data.base import InMemory
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.shared.base import CameraPoses, Method, MethodConfig, WorldPose
from coview.sample import MultiView
from coview.skeletons import H36M_17, LEARNABLE_17
from coview.training.evaluation.evaluate import evaluate
from coview.training.recipe import Recipe
from coview.training.root_predictions import FOLDER, Guesser
from coview.training.run import load_run, train

CPU = torch.device("cpu")


class Finder(Method[WorldPose]):
    """Says that every joint is where the rig's number points; counts how often it is asked."""

    inputs = frozenset({"rig"})
    supervision = frozenset({"joints3d"})

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.asked = nn.Parameter(torch.ones(1)), 0

    def forward(self, batch: MultiView) -> WorldPose:
        self.asked += 1
        joint = torch.arange(17)[:, None]
        return WorldPose(
            joints3d=self.scale * (batch.rig[:, None, None] + 100 * joint).expand(-1, -1, 3).float()
        )

    def losses(self, predicted, batch):
        return {"gap": (predicted.joints3d - batch.joints3d).square().mean()}


class Follower(Finder):
    """Places the pose at the base point, and learns how far off it is."""

    inputs = frozenset({"base_point"})

    def forward(self, batch: MultiView) -> WorldPose:
        self.asked += 1
        return WorldPose(joints3d=(batch.base_point * self.scale)[:, None].expand(-1, 17, -1))


@dataclass(frozen=True)
class FinderConfig(MethodConfig):
    def build(self, skeleton):
        return Finder()


@dataclass(frozen=True)
class FollowerConfig(MethodConfig):
    def build(self, skeleton):
        return Follower()


def instants(count: int = 5) -> InMemory:
    return InMemory(MultiView(H36M_17, rig=torch.arange(count)))


def guesser(path, **changes) -> Guesser:
    return Guesser(
        **{"path": path, "method": Finder(), "skeleton": H36M_17, "identity": "weights", **changes}
    )


def test_the_root_joint_of_every_instant_is_predicted_once_and_kept(tmp_path):
    one = guesser(tmp_path)
    expected = torch.arange(5.0)[:, None].expand(-1, 3)  # the pelvis is joint 0
    torch.testing.assert_close(one.guess(instants(), "data", CPU, "pelvis"), expected)
    assert one.method.asked == 1
    again = guesser(tmp_path)
    torch.testing.assert_close(again.guess(instants(), "data", CPU, "pelvis"), expected)
    assert again.method.asked == 0
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


@pytest.mark.parametrize("change", ["weights", "data", "instants", "first"])
def test_what_was_kept_for_something_else_is_not_used(tmp_path, change):
    guesser(tmp_path).guess(instants(), "data", CPU, "pelvis")
    other = guesser(tmp_path, identity="other" if change == "weights" else "weights")
    data = instants(6 if change == "instants" else 5)
    if change == "first":
        data = InMemory(MultiView(H36M_17, rig=torch.arange(5) + 1))
    other.guess(data, "other" if change == "data" else "data", CPU, "pelvis")
    assert other.method.asked == 1


def test_a_damaged_file_is_made_again(tmp_path):
    guesser(tmp_path).guess(instants(), "data", CPU, "pelvis")
    (kept,) = (tmp_path / FOLDER).iterdir()
    kept.write_bytes(b"half")
    other = guesser(tmp_path)
    assert other.guess(instants(), "data", CPU, "pelvis").shape == (5, 3)
    assert other.method.asked == 1


def test_the_root_is_found_by_name(tmp_path):
    found = guesser(tmp_path, skeleton=LEARNABLE_17).guess(instants(), "data", CPU, "pelvis")
    torch.testing.assert_close(found[0], torch.full((3,), 600.0))  # joint 6 there


class Lifting(Finder):
    def forward(self, batch):
        return CameraPoses(joints3d=torch.zeros(len(batch.rig), 1, 17, 3))


def test_models_that_cannot_guess_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds a Lifting, which does not find people in the world"):
        guesser(tmp_path, method=Lifting()).guess(instants(), "data", CPU, "pelvis")
    with pytest.raises(ValueError, match=r"predicts the root joint from base_point too.*reads only: rig"):
        guesser(tmp_path, method=Follower()).guess(instants(), "data", CPU, "pelvis")


# --- in a run ----------------------------------------------------------------------------------------

DATA = SyntheticConfig(instants=12, validation_instants=6, subjects=1)
FIND = Recipe(method=FinderConfig(), data=DATA, steps=1, learning_rate=1e-9, device="cpu")
FOLLOW = replace(FIND, method=FollowerConfig())


def test_a_run_is_trained_and_judged_with_the_guesses_of_another(tmp_path):
    base = train(FIND, tmp_path / "find")
    run = train(replace(FOLLOW, base_from=base), tmp_path / "follow")
    assert len(list((base / FOLDER).iterdir())) == 2  # for training and for validation
    metrics = evaluate(run, out=tmp_path / "again.json")
    validation = DATA.validation().instants
    expected = (validation.rig[:, None, None] - validation.joints3d).norm(dim=-1).mean()
    assert metrics["mpjpe_mm"] == pytest.approx(1000 * float(expected), rel=1e-4)
    # a guess of a guess: what the middle run begins with is found for it
    third = train(replace(FOLLOW, base_from=run), tmp_path / "third")
    (tmp_path / "runs").mkdir()
    for each in (base, run, third):  # moved together, they still find each other
        each.rename(tmp_path / "runs" / each.name)
    moved = evaluate(tmp_path / "runs" / "third", out=tmp_path / "moved.json")
    assert moved["mpjpe_mm"] == pytest.approx(metrics["mpjpe_mm"], rel=1e-4)


def test_a_missing_base_is_said_with_the_way_out(tmp_path):
    with pytest.raises(
        ValueError, match=r"needs 'base_point', which .*, or name a run that predicts it with --base-from"
    ):
        train(FOLLOW, tmp_path / "run")
    with pytest.raises(
        ValueError, match="base_from is given, and FinderConfig as it is set reads no base_point"
    ):
        train(replace(FIND, base_from=tmp_path), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="nowhere is no run"):
        train(replace(FOLLOW, base_from=tmp_path / "nowhere"), tmp_path / "run")


def test_a_recipe_with_a_base_survives_being_written(tmp_path):
    base = train(FIND, tmp_path / "find")
    run = train(replace(FOLLOW, base_from=base), tmp_path / "follow")
    assert load_run(run).recipe == replace(FOLLOW, base_from=base)
