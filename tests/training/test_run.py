import json
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from coview.data.base import InMemory
from coview.data.batching import SubjectTimes
from coview.data.human36m.dataset import Human36MConfig
from coview.data.label_budget import ShownLabels
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.mcss import McssConfig
from coview.methods.supervised_lifting import SupervisedLiftingConfig
from coview.training.checkpoint import Checkpoint
from coview.training.evaluation.evaluate import evaluate
from coview.training.evaluation.scoring import score
from coview.training.history import History
from coview.training.learner import Diverged
from coview.training.recipe import Recipe, to_plain
from coview.training.run import load_run, summary_line, train

TINY = Recipe(
    method=CanonPoseConfig(width=8),
    data=SyntheticConfig(instants=40, validation_instants=10, subjects=2),
    steps=12,
    batch_size=8,
    log_every=4,
    device="cpu",
)


@dataclass(frozen=True)
class Poor(SyntheticConfig):
    """Says that it has no rigs, and must not be asked for data."""

    @property
    def provides(self) -> frozenset[str]:
        return super().provides - {"rig"}

    def train(self) -> InMemory:
        raise AssertionError("loaded before it was refused")


@dataclass(frozen=True)
class Lying(SyntheticConfig):
    """Says more than it has."""

    def train(self) -> InMemory:
        return super().train().only(frozenset({"joints2d", "confidence", "rig"}))


@dataclass(frozen=True)
class Familiar(SyntheticConfig):
    """Validates on what it trains on; `shuffled` gives every view instants of its own."""

    shuffled: bool = False

    def train(self) -> InMemory:
        batch = super().train().instants
        if not self.shuffled:
            return InMemory(batch)
        generator, views = torch.Generator().manual_seed(0), torch.arange(self.views)
        order = torch.stack([torch.randperm(self.instants, generator=generator) for _ in views], dim=1)
        return InMemory(batch.replaced(joints2d=batch.joints2d[order, views]))

    def validation(self) -> InMemory:
        return super().train()


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "weights.safetensors")


# --- what a run leaves behind ------------------------------------------------------------------------


def test_what_labels_hide_is_not_learnt_from_and_batches_are_as_the_recipe_says(tmp_path):
    data = SyntheticConfig(instants=200, validation_instants=10, subjects=2)
    few = replace(
        TINY,
        method=SupervisedLiftingConfig(width=8),
        data=data,
        batching=SubjectTimes(labelled=4),
        labels=ShownLabels(count=5),
    )
    run = train(few, tmp_path / "few", progress=False)
    assert load_run(run).recipe == few

    @dataclass(frozen=True)
    class Other(SyntheticConfig):
        """Its hidden labels are others."""

        def train(self) -> InMemory:
            data = super().train()
            shown = ShownLabels(count=5).shown(data).instants.labelled
            return data.replaced(joints3d=torch.where(shown[:, None, None], data.instants.joints3d, 7.0))

    again = train(replace(few, data=Other(**vars(data))), tmp_path / "other", progress=False)
    assert all(torch.equal(weights(again)[name], weight) for name, weight in weights(run).items())


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    return train(replace(TINY, validate_every=6), tmp_path_factory.mktemp("runs") / "tiny")


def test_a_finished_run_holds_what_it_should(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "evaluation.json",
        "history.csv",
        "recipe.json",
        "run.json",
        "weights.safetensors",
    ]
    record = json.loads((finished / "run.json").read_text())
    assert record["method"] == "CanonPose"
    assert record["parameters"] == sum(tensor.numel() for tensor in weights(finished).values())
    assert record["facts"]["mirror_views"] == 160
    assert isinstance(record["facts"]["mirror_flipped"], bool)


def test_history_has_losses_and_validation(finished):
    rows = History.load(finished / "history.csv").rows
    assert [row["step"] for row in rows] == [4, 6, 8, 12]
    assert {"loss", "train/rep", "train/view", "train/camera", "learning_rate"} <= set(rows[0])
    assert [row["step"] for row in rows if "validation/n_mpjpe_mm" in row] == [6, 12]
    assert all(
        row["loss"] == pytest.approx(sum(row[f"train/{n}"] for n in ("rep", "view", "camera")))
        for row in (rows[0], rows[-1])
    )


def test_evaluation_names_joints_and_alignment(finished):
    content = json.loads((finished / "evaluation.json").read_text())
    assert (
        content["definitions"]["n_mpjpe_mm"]
        == "16 joints of h36m_17 but the root, root-aligned, least-squares scaled"
    )
    assert set(content["metrics"]) == set(content["definitions"])
    assert content["instants"] == 10


def test_a_run_loads_back(finished):
    run = load_run(finished)
    assert run.recipe == replace(TINY, validate_every=6)
    assert isinstance(run.method, CanonPose)
    assert not run.method.training
    assert all(
        torch.equal(tensor, weights(finished)[name]) for name, tensor in run.method.state_dict().items()
    )
    assert score(run.method, TINY.data.validation()) == evaluate(finished)


def test_evaluation_of_other_data_stands_apart(finished):
    before = (finished / "evaluation.json").read_text()
    metrics = evaluate(
        finished,
        SyntheticConfig(instants=8, validation_instants=6, subjects=1, views=2),
        finished / "other.json",
    )
    assert json.loads((finished / "other.json").read_text())["metrics"] == metrics
    assert (finished / "evaluation.json").read_text() == before
    (finished / "other.json").unlink()


def test_the_summary_says_what_where_how_good(finished):
    line = summary_line(finished)
    assert line.startswith("CanonPose: 12 steps in ")
    assert "n_mpjpe_mm" in line
    assert line.endswith(str(finished))


def test_the_summary_says_where_a_method_is_told_the_truth(finished, tmp_path):
    told = tmp_path / "told"
    shutil.copytree(finished, told)
    record = json.loads((told / "run.json").read_text())
    (told / "run.json").write_text(json.dumps(record | {"inputs": ["images", "joints3d"]}))
    assert "told where the root truly is" in summary_line(told)
    assert "told" not in summary_line(finished).partition(" -> ")[0]


def test_finished_work_is_skipped_and_overwritten_on_demand(finished, monkeypatch):
    before = (finished / "run.json").stat().st_mtime_ns
    recipe = replace(TINY, validate_every=6)
    assert train(recipe, finished) == finished
    assert (finished / "run.json").stat().st_mtime_ns == before
    with pytest.raises(
        ValueError, match=r"another recipe: method\.width is 8 there and 9 now; steps is 12 there and 5 now"
    ):
        train(replace(recipe, steps=5, method=CanonPoseConfig(width=9)), finished)
    train(recipe, finished, overwrite=True)
    assert (finished / "run.json").stat().st_mtime_ns > before


def test_equal_recipes_give_equal_runs_and_leave_the_caller_s_randomness_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    train(TINY, tmp_path / "a")
    assert torch.equal(torch.rand(1), expected)
    train(TINY, tmp_path / "b")
    train(replace(TINY, seed=1), tmp_path / "c")
    a, b, c = (weights(tmp_path / name)["lifter.pose.weight"] for name in "abc")
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_networks_can_learn_in_bfloat16_and_everything_else_stays_single(tmp_path, monkeypatch, finished):
    monkeypatch.setattr("coview.training.precision._has_bfloat16", lambda kind: True)
    run = train(replace(TINY, precision="bf16"), tmp_path / "half")
    single = weights(train(TINY, tmp_path / "single"))
    half = weights(run)
    assert {name: (t.shape, t.dtype) for name, t in half.items()} == {
        name: (t.shape, t.dtype) for name, t in single.items()
    }
    assert any(not torch.equal(half[name], single[name]) for name in half)
    torch.testing.assert_close(half, single, rtol=0.05, atol=5e-3)
    assert "forward" not in vars(load_run(run).method.lifter)


TRACED = """
import functools, sys
from pathlib import Path
import torch
from coview.formats.io.text import read_json
from coview.training.recipe import Recipe, from_plain
from coview.training.run import train

torch.compile = functools.partial(torch.compile, backend="eager")
train(from_plain(read_json(Path(sys.argv[1])), Recipe), Path(sys.argv[2]))
assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
"""


def test_compiled_losses_change_neither_names_nor_draws(tmp_path):
    """With a compiler that only traces, for a real one takes a minute; shapes are not checked meanwhile."""
    recipe = replace(TINY, steps=3)
    (tmp_path / "recipe.json").write_text(json.dumps(to_plain(replace(recipe, compile=True))))
    words = [str(tmp_path / "recipe.json"), str(tmp_path / "compiled")]
    subprocess.run([sys.executable, "-W", "ignore", "-c", TRACED, *words], timeout=250, check=True)
    eager = train(recipe, tmp_path / "eager")
    torch.testing.assert_close(weights(tmp_path / "compiled"), weights(eager), rtol=1e-4, atol=1e-6)


# --- beginning with other weights --------------------------------------------------------------------


def test_a_run_can_begin_with_another_and_says_what_it_took(tmp_path, finished):
    said = []
    wider = replace(TINY, init=str(finished), steps=1, learning_rate=1e-12, resolve_ambiguity_at=())
    run = train(wider, tmp_path / "run", say=said.append)
    torch.testing.assert_close(weights(run), weights(finished), rtol=0, atol=1e-9)
    counts = f"{len(weights(run))} weights used, 0 ignored, 0 of another shape, 0 initialised anew"
    summary = f"from the run {finished}: {counts}"
    assert said[0] == summary
    assert load_run(run).record["facts"]["init"] == summary
    assert json.loads((run / "init.json").read_text())["used"] == list(load_run(run).method.state_dict())


def test_what_a_run_begins_with_must_be_there_before_anything_is_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is no run"):
        train(replace(TINY, init=str(tmp_path / "nowhere")), tmp_path / "run")
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.pth with released weights"):
        train(replace(TINY, init=f"released:{tmp_path}/nowhere.pth"), tmp_path / "run")
    assert not (tmp_path / "run" / "recipe.json").exists()


def test_overwriting_costs_the_earlier_run_only_once_everything_else_was_in_order(tmp_path):
    run = train(replace(TINY, steps=1), tmp_path / "run")
    kept = {path.name: path.read_bytes() for path in run.iterdir()}
    (tmp_path / "strange.pth").write_bytes(b"no weights")
    torch.save({"strange.weight": torch.ones(2)}, tmp_path / "other.pth")
    for init in (tmp_path / "nowhere", f"released:{tmp_path}/strange.pth", f"released:{tmp_path}/other.pth"):
        with pytest.raises((FileNotFoundError, ValueError)):
            train(replace(TINY, init=str(init)), run, overwrite=True)
        assert {path.name: path.read_bytes() for path in run.iterdir()} == kept


def test_a_run_cannot_begin_with_itself(finished):
    for itself in (str(finished), f"{finished.parent}/../{finished.parent.name}/{finished.name}"):
        with pytest.raises(ValueError, match=r"init names .*, the folder that this run is to be written to"):
            train(replace(TINY, init=itself), finished, overwrite=True)
    assert load_run(finished)


def test_crops_of_a_run_are_those_of_its_training_data(finished):
    run = load_run(finished)
    assert run.released_crops is None  # 2D joints have no crops
    for crops in (False, True):
        pictures = replace(run, recipe=replace(run.recipe, data=Human36MConfig(released_numerics=crops)))
        assert pictures.released_crops is crops
        assert replace(pictures, record=run.record | {"steps": 0}).released_crops is None


# --- refusals ----------------------------------------------------------------------------------------


def test_data_without_a_needed_field_is_refused_before_it_is_loaded(tmp_path):
    with pytest.raises(ValueError, match="CanonPoseConfig needs 'rig', which Poor does not provide"):
        train(replace(TINY, data=Poor()), tmp_path / "run")
    with pytest.raises(ValueError, match="CanonPoseConfig needs 'image_size', which Lying does not provide"):
        train(replace(TINY, data=Lying(instants=40, subjects=1)), tmp_path / "run")


def test_bfloat16_is_refused_where_it_would_be_emulated(tmp_path, monkeypatch):
    monkeypatch.setattr("coview.training.precision._has_bfloat16", lambda kind: False)
    with pytest.raises(ValueError, match=r"this machine's cpu has no arithmetic for bfloat16"):
        train(replace(TINY, precision="bf16"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_folders_that_are_no_finished_run_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run"):
        load_run(tmp_path)
    (tmp_path / "recipe.json").write_text(json.dumps(to_plain(TINY)))
    with pytest.raises(FileNotFoundError, match="was started and not finished: train again"):
        load_run(tmp_path)


def edited(**changes: object) -> bytes:
    plain = to_plain(TINY)
    return json.dumps({**plain, **changes}).encode()


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("weights.safetensors", None, "No such file"),
        ("weights.safetensors", b"cut", "header"),
        ("recipe.json", None, "no file"),
        ("recipe.json", b'{"type": "cov', "not valid JSON"),
        ("recipe.json", b"[]", "recipe.json"),
        ("recipe.json", edited(speed=3), "has no speed"),
        ("recipe.json", edited(steps=0), "steps must be at least 1"),
        ("recipe.json", edited(method={"type": "coview.methods.nothing.Config"}), "cannot be found"),
        ("run.json", b"{}", "'skeleton'"),
        ("run.json", b'{"skeleton": "ant"}', "no skeleton 'ant'"),
    ],
)
def test_a_damaged_run_is_named_in_one_line(finished, tmp_path, part, content, message):
    run = tmp_path / "damaged"
    shutil.copytree(finished, run)
    (run / part).unlink()
    if content is not None:
        (run / part).write_bytes(content)
    with pytest.raises(ValueError, match=message) as refused:
        load_run(run)
    words = str(refused.value)
    assert words.startswith(f"the run {run} cannot be loaded, because of {part}")
    assert words.endswith("train again with --overwrite.")
    assert "\n" not in words


def test_weights_of_another_width_are_refused_in_one_line(finished, tmp_path):
    run = tmp_path / "other"
    shutil.copytree(finished, run)
    (run / "recipe.json").write_bytes(edited(method=to_plain(CanonPoseConfig(width=9))))
    with pytest.raises(
        ValueError, match=r"weights.safetensors not fitting recipe.json: .*size mismatch"
    ) as refused:
        load_run(run)
    assert len(str(refused.value)) < 600
    assert "\n" not in str(refused.value)


def test_a_damaged_recipe_beside_a_run_is_a_conflict_that_overwriting_ends(finished, tmp_path):
    run = tmp_path / "damaged"
    shutil.copytree(finished, run)
    (run / "recipe.json").write_text("{")
    with pytest.raises(ValueError, match=r"its recipe.json is damaged.*--overwrite"):
        train(TINY, run)
    train(replace(TINY, steps=1), run, overwrite=True)
    assert load_run(run).recipe.steps == 1


def test_a_loss_that_is_no_number_stops_the_run_with_advice(tmp_path, monkeypatch):
    monkeypatch.setattr(
        CanonPose, "losses", lambda self, predicted, batch: {"rep": predicted.canonical.sum() * torch.nan}
    )
    with pytest.raises(
        Diverged, match=r"the loss is nan after 4 steps.*smaller learning_rate than 0\.0001"
    ) as stopped:
        train(TINY, tmp_path / "run")
    assert isinstance(stopped.value, ValueError)  # one line for the user of the command
    assert isinstance(stopped.value, RuntimeError)  # in a bench, the other runs go on


@pytest.mark.parametrize("device", ["cuda", "foo"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(tmp_path, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device '{device}' .*Choose with --device among: auto, cpu"):
        train(replace(TINY, device=device), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_start_that_failed_is_in_nobody_s_way(tmp_path):
    """Only the recipe was written: whatever is asked for next takes its place, without --overwrite."""
    out = tmp_path / "run"
    out.mkdir()
    (out / "recipe.json").write_text(json.dumps(to_plain(replace(TINY, learning_rate=9.0))))
    train(replace(TINY, steps=1), out)
    assert json.loads((out / "recipe.json").read_text())["learning_rate"] == TINY.learning_rate
    with pytest.raises(ValueError, match=r"with --out, or lose that run with --overwrite"):
        train(TINY, out)


# --- interruptions -----------------------------------------------------------------------------------

LONG = replace(TINY, steps=60, log_every=10)
PROGRAM = """
import os, signal, sys
from pathlib import Path
from coview.formats.io.text import read_json
from coview.training.learner import Learner
from coview.training.recipe import Recipe, from_plain
from coview.training.run import train

original = Learner.training_step

def struck(self, batch, index):
    if self.step == 37:
        os.kill(os.getpid(), getattr(signal, sys.argv[3]))
    return original(self, batch, index)

Learner.training_step = struck
train(from_plain(read_json(Path(sys.argv[1])), Recipe), Path(sys.argv[2]), checkpoint_seconds=float(sys.argv[4]))
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return train(LONG, tmp_path_factory.mktemp("runs") / "whole")


@pytest.mark.parametrize(
    ("kill", "checkpoint_seconds", "code", "kept"),
    [("SIGKILL", 0.0, -signal.SIGKILL, 37), ("SIGTERM", 1e6, 128 + signal.SIGTERM, 38)],
)
def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been_killed(
    tmp_path, whole, kill, checkpoint_seconds, code, kept
):
    """SIGTERM, as schedulers and `kill` send it, saves what the step in progress leaves behind."""
    out = tmp_path / "killed"
    (tmp_path / "recipe.json").write_text(json.dumps(to_plain(LONG)))
    words = [str(tmp_path / "recipe.json"), str(out), kill, str(checkpoint_seconds)]
    assert subprocess.run([sys.executable, "-c", PROGRAM, *words], timeout=250).returncode == code
    assert Checkpoint.load(out / "checkpoint.safetensors").step == kept
    assert not (out / "run.json").exists()
    train(LONG, out)
    assert not (out / "checkpoint.safetensors").exists()
    torch.testing.assert_close(weights(out), weights(whole), rtol=1e-4, atol=1e-6)
    rows = History.load(out / "history.csv").rows
    assert [row["step"] for row in rows] == [10, 20, 30, 40, 50, 60]
    whole = History.load(whole / "history.csv").rows
    assert rows[-1]["loss"] == pytest.approx(whole[-1]["loss"], rel=1e-4)


def test_a_kill_between_two_files_costs_only_the_steps_since_the_checkpoint(tmp_path, monkeypatch):
    """The last files of a run were being written: everything but the record is there."""
    train(TINY, tmp_path / "run")
    before = weights(tmp_path / "run")
    (tmp_path / "run" / "run.json").unlink()
    (tmp_path / "run" / ".weights.0123.part.safetensors").write_bytes(b"half")
    train(TINY, tmp_path / "run")
    torch.testing.assert_close(weights(tmp_path / "run"), before)
    assert not list((tmp_path / "run").glob(".*.part*"))


def test_ctrl_c_keeps_what_was_learnt(tmp_path, monkeypatch):
    original, calls = CanonPose.losses, []

    def interrupted(self, predicted, batch):
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return original(self, predicted, batch)

    monkeypatch.setattr(CanonPose, "losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint.safetensors").is_file()
    train(TINY, tmp_path / "run")
    assert len(calls) == 8 + 5  # seven steps were kept
    assert (tmp_path / "run" / "run.json").is_file()


# --- learning ----------------------------------------------------------------------------------------

LEARNING = Recipe(
    method=CanonPoseConfig(
        width=64,
        rotation="six_d",
        projection="perspective",
        input_size="unit_rms",
        pose_head_init_scale=0.03,
        view_weight=0.25,
        camera_weight=0.25,
    ),
    data=Familiar(instants=300, subjects=1, fps=5.0),
    steps=200,
    batch_size=32,
    learning_rate=6e-3,
    weight_decay=0.0,
    schedule="cosine",
    warm_up=50,
    resolve_ambiguity_at=(0.2, 0.5, 1.0),
    device="cpu",
)


def test_it_learns_from_views_of_one_instant_and_not_from_views_of_different_ones(tmp_path):
    """No labels: what teaches is that the views agree. Shuffled in time they do not."""
    untrained = score(LEARNING.method.build(LEARNING.data.skeleton), LEARNING.data.validation())
    learnt, rows = learn(LEARNING, tmp_path / "learnt")
    shuffled, taught_nothing = learn(
        replace(LEARNING, data=replace(LEARNING.data, shuffled=True)), tmp_path / "shuffled"
    )
    assert learnt["n_mpjpe_mm"] < 0.35 * untrained["n_mpjpe_mm"]
    assert learnt["p_mpjpe_mm"] < 0.35 * untrained["p_mpjpe_mm"]
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert taught_nothing[-1]["loss"] > 1.5 * rows[-1]["loss"]
    assert shuffled["n_mpjpe_mm"] > 1.2 * learnt["n_mpjpe_mm"]
    assert shuffled["p_mpjpe_mm"] > 1.1 * learnt["p_mpjpe_mm"]


def learn(recipe: Recipe, out: Path) -> tuple[dict[str, float], list[dict[str, float]]]:
    train(recipe, out)
    return json.loads((out / "evaluation.json").read_text())["metrics"], History.load(
        out / "history.csv"
    ).rows


def test_a_run_whose_weights_are_no_numbers_is_refused(finished, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(finished, broken)
    weights = load_file(broken / "weights.safetensors")
    weights[min(weights)].view(-1)[0] = torch.nan
    save_file(weights, broken / "weights.safetensors")
    with pytest.raises(ValueError, match=r"cannot be loaded, because of weights\.safetensors.*not finite"):
        load_run(broken)


def test_an_earlier_run_that_is_not_there_is_named_with_its_setting(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"earlier run \(init\): .*nowhere is no run.*name another with --init"
    ):
        train(replace(TINY, init=str(tmp_path / "nowhere")), tmp_path / "run")


def test_a_run_that_embeds_is_kept_with_its_map_and_says_when_it_collapsed(tmp_path):
    recipe = replace(
        TINY,
        method=McssConfig(width=8, head=8, features=8),
        data=SyntheticConfig(instants=200, validation_instants=40, subjects=2),
        batching=SubjectTimes(labelled=4),
        labels=ShownLabels(share=0.1),
    )
    run = train(recipe, tmp_path / "run", progress=False)
    assert (run / "embedding.csv").is_file()
    columns = set(History.load(run / "history.csv").rows[-1])
    assert {"watch/active_percent", "watch/spread", "train/metric", "train/pose"} <= columns
    found = evaluate(run)
    assert json.loads((run / "evaluation.json").read_text())["definitions"].keys() == found.keys()
    record = json.loads((run / "run.json").read_text())
    assert "embedding" in record["facts"]
    assert "collapsed" not in summary_line(run) or str(record["facts"]["embedding"]).startswith("collapsed")
    record["facts"]["embedding"] = "collapsed: all poses look alike to it"
    (run / "run.json").write_text(json.dumps(record))
    assert "embedding collapsed: all poses look alike" in summary_line(run)


def test_a_run_knows_its_weights_by_their_digest(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    path = tmp_path / "run" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-2] ^= 1  # another number, as finite as before
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"because of weights\.safetensors: its bytes are not those that run\.json"
    ):
        load_run(tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    del record["weights_sha256"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    load_run(tmp_path / "run")  # as those of coview 0.1
