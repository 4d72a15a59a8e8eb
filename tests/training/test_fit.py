"""What Lightning is asked to do around the steps; killing and resuming are in test_run."""

import json
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.methods.shared.base import Method, MethodConfig, WorldPose
from coview.training.checkpoint import Checkpoint
from coview.training.history import History
from coview.training.learner import Diverged
from coview.training.recipe import Recipe, to_plain
from coview.training.run import load_run, train


@dataclass(frozen=True)
class MeanPoseConfig(MethodConfig):
    """Learns the mean pose; without a normalisation over batches."""

    def build(self, skeleton):
        return MeanPose(len(skeleton))


class MeanPose(Method[WorldPose]):
    inputs = frozenset({"image_size"})
    supervision = frozenset({"joints3d"})
    rates = {"pose": 2.0}  # noqa: RUF012

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.pose, self.shift = nn.Linear(1, joints * 3), nn.Linear(1, 3, bias=False)
        self.unused = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.broken: tuple[int, ...] = ()  # parts in which the gradient is not finite
        self.seen: list[list[float]] = []

    def forward(self, batch):
        one = batch.image_size[:, :1, :1] / 1000
        pose = self.pose(one[:, 0]).unflatten(-1, (-1, 3))
        return WorldPose(joints3d=pose + self.shift(one))

    def losses(self, predicted, batch):
        self.seen.append(batch.joints3d[:, 0, 0].tolist())
        loss = (predicted.joints3d - batch.joints3d).square().mean()
        if len(self.seen) - 1 in self.broken:
            loss = loss + (self.shift.weight.sum() * 0).sqrt()  # the slope of a root at zero is infinite
        return {"square": loss}


RECIPE = Recipe(
    method=MeanPoseConfig(),
    data=SyntheticConfig(instants=48, validation_instants=8, subjects=1),
    steps=12,
    batch_size=8,
    log_every=4,
    learning_rate=0.05,
    weight_decay=0.0,
    schedule="constant",
    device="cpu",
)


def weights(run):
    return load_file(run / "weights.safetensors")


@pytest.mark.parametrize("accumulate", [2, 8])
def test_parts_of_a_batch_teach_what_the_whole_batch_does(tmp_path, accumulate):
    whole = train(replace(RECIPE, validate_every=6), tmp_path / "whole")
    cut = train(replace(RECIPE, validate_every=6, accumulate=accumulate), tmp_path / "cut")
    torch.testing.assert_close(weights(cut), weights(whole), rtol=1e-4, atol=1e-5)
    a, b = (History.load(run / "history.csv").rows for run in (whole, cut))
    assert [row["step"] for row in b] == [row["step"] for row in a] == [4, 6, 8, 12]
    losses = [[row["loss"] for row in rows if "loss" in row] for rows in (a, b)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert [row["step"] for row in b if "validation/mpjpe_mm" in row] == [6, 12]


TOGETHER = """
import json, sys
from pathlib import Path
from coview.training.recipe import Recipe, from_plain
from coview.training.run import train

if __name__ == "__main__":
    out = Path(sys.argv[1])
    train(from_plain(json.loads(Path(sys.argv[2]).read_text()), Recipe), out, checkpoint_seconds=0.0, say=print)
    print("finished", sorted(path.name for path in out.iterdir()))
"""


@pytest.mark.slow
def test_two_processes_teach_what_one_does_in_two_parts(tmp_path):
    """Gloo on two processes of the CPU: gradients agree, the first process writes, and everything is said once."""
    alone = replace(
        RECIPE,
        method=CanonPoseConfig(width=8),
        validate_every=6,
        clip_norm=1.0,
        resolve_ambiguity_at=(0.5, 1.0),
        accumulate=2,
    )
    together = replace(alone, devices=2, accumulate=1)
    program, plain, out = (tmp_path / name for name in ("train.py", "recipe.json", "together"))
    program.write_text(TOGETHER)
    plain.write_text(json.dumps(to_plain(together)))
    done = subprocess.run(
        [sys.executable, str(program), str(out), str(plain)], timeout=200, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = ["evaluation.json", "history.csv", "recipe.json", "run.json", "weights.safetensors"]
    assert done.stdout == f"finished {names}\n"
    apart = train(alone, tmp_path / "alone")
    torch.testing.assert_close(weights(out), weights(apart), rtol=1e-4, atol=1e-6)
    rows = [History.load(run / "history.csv").rows for run in (apart, out)]
    for name in ("step", "loss", "validation/n_mpjpe_mm"):
        values = [[row[name] for row in each if name in row] for each in rows]
        assert values[1] == pytest.approx(values[0], rel=1e-4)
    assert load_run(out).record["facts"] == load_run(apart).record["facts"]


def test_a_run_stopped_within_an_update_begins_that_update_again(tmp_path, monkeypatch):
    recipe = replace(RECIPE, accumulate=4)
    whole = train(recipe, tmp_path / "whole")
    original, calls = MeanPose.losses, []

    def interrupted(self, predicted, batch):
        calls.append(batch.joints3d[:, 0, 0].tolist())
        if len(calls) == 23:  # the third part of the sixth update
            raise KeyboardInterrupt
        return original(self, predicted, batch)

    monkeypatch.setattr(MeanPose, "losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run")
    assert Checkpoint.load(tmp_path / "run" / "checkpoint.safetensors").step == 5
    train(recipe, tmp_path / "run")
    assert len(calls) == 23 + 4 * 7
    assert calls[23:25] == calls[20:22]
    torch.testing.assert_close(weights(tmp_path / "run"), weights(whole), rtol=1e-5, atol=1e-7)


def test_modules_learn_at_their_own_rates_and_frozen_weights_not_at_all(tmp_path):
    torch.manual_seed(RECIPE.seed)
    start = RECIPE.method.build(RECIPE.data.skeleton).state_dict()
    end = weights(train(replace(RECIPE, steps=1), tmp_path / "run"))
    moved = {name: float((end[name] - start[name]).abs().max()) for name in start}
    # Adam's first step is as long as the learning rate, whatever the gradient
    assert moved["pose.bias"] == pytest.approx(0.1, rel=1e-2)
    assert moved["shift.weight"] == pytest.approx(0.05, rel=1e-2)
    assert moved["unused"] == 0


@pytest.fixture
def breaking(monkeypatch):
    """Makes methods whose gradients are not finite in some parts."""

    def set_up(*parts: int) -> None:
        original = MeanPoseConfig.build

        def build(self, skeleton):
            method = original(self, skeleton)
            method.broken = parts
            return method

        monkeypatch.setattr(MeanPoseConfig, "build", build)

    return set_up


def test_updates_without_finite_gradients_are_left_out_and_counted(tmp_path, breaking):
    breaking(2, 5, 6)
    run = load_run(train(RECIPE, tmp_path / "run"))
    assert run.record["facts"]["skipped_updates"] == 3
    assert all(bool(weight.isfinite().all()) for weight in run.method.parameters())
    rows = History.load(tmp_path / "run" / "history.csv").rows
    assert [row.get("skipped") for row in rows] == [1.0, 2.0, None]


def test_too_many_in_a_row_end_the_run(tmp_path, breaking):
    breaking(*range(4, 30))
    with pytest.raises(
        Diverged, match=r"gradients of 20 updates in a row were not finite \(step 24\).*clip_norm"
    ):
        train(replace(RECIPE, steps=40), tmp_path / "run")
