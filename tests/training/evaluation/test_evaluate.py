import json
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors.torch import load_file

from coview.data.base import InMemory
from coview.data.session_dataset import RecordedConfig
from coview.data.synthetic.recordings import SyntheticConfig
from coview.demo import generate
from coview.methods.algebraic_triangulation import AlgebraicTriangulationConfig, RansacTriangulationConfig
from coview.methods.canonpose import CanonPoseConfig
from coview.skeletons import CANONPOSE_16, LEARNABLE_17
from coview.training.evaluation.evaluate import evaluate, evaluate_untrained
from coview.training.recipe import Recipe
from coview.training.run import load_run, train


def test_numbers_come_with_what_they_mean(run, tmp_path):
    metrics = evaluate(run, out=tmp_path / "evaluation.json")
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["metrics"]["n_mpjpe_mm"] == metrics["n_mpjpe_mm"]
    assert "16 joints of h36m_17 but the root" in written["definitions"]["n_mpjpe_mm"]
    assert written["instants"] == 60  # the last fifth of 300 frames


def test_other_data_is_written_apart(run):
    before = (run / "evaluation.json").read_bytes()
    evaluate(run, SyntheticConfig(instants=20, validation_instants=20))
    assert (run / "evaluation_synthetic.json").is_file()
    assert (run / "evaluation.json").read_bytes() == before


def test_without_the_truth_it_says_what_to_do(run, tmp_path):
    generate(tmp_path / "raw", seed=0, minutes=0.1)
    with pytest.raises(ValueError, match=r"no joints3d for validation.*coview calibrate"):
        evaluate(run, RecordedConfig(sessions=(tmp_path / "raw",)))


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run"):
        evaluate(tmp_path)


@dataclass(frozen=True)
class Blind(SyntheticConfig):
    """Nobody knows the truth."""

    def validation(self) -> InMemory:
        return super().validation().only(frozenset({"joints2d", "confidence"}))


@pytest.fixture(scope="module")
def blind_run(tmp_path_factory):
    recipe = Recipe(
        method=CanonPoseConfig(width=4),
        data=Blind(instants=8, validation_instants=4, subjects=1),
        steps=2,
        batch_size=4,
        device="cpu",
    )
    return train(recipe, tmp_path_factory.mktemp("runs") / "blind")


def test_without_truth_there_is_no_evaluation_and_it_says_what_is_missing(blind_run):
    assert not (blind_run / "evaluation.json").exists()
    with pytest.raises(
        ValueError, match=r"Blind has no cameras, joints3d for validation.*coview reconstruct"
    ):
        evaluate(blind_run)


def test_other_data_with_the_truth_will_do(blind_run):
    metrics = evaluate(blind_run, SyntheticConfig(instants=4, validation_instants=4, subjects=1))
    assert metrics["n_mpjpe_mm"] > 0
    assert (blind_run / "evaluation_synthetic.json").is_file()


def test_other_skeletons_are_refused(blind_run):
    data = SyntheticConfig(instants=4, validation_instants=4, subjects=1, skeleton=CANONPOSE_16)
    with pytest.raises(ValueError, match="joints of h36m_17, and SyntheticConfig has canonpose_16"):
        evaluate(blind_run, data)


# --- weights of others, as they are ------------------------------------------------------------------


@dataclass(frozen=True)
class Pictures(SyntheticConfig):
    """Noise for pictures: what counts is that a network is asked."""

    def validation(self) -> InMemory:
        seen = super().validation().instants
        small = seen.cameras.resize(torch.tensor([64.0, 64.0]))
        images = torch.rand(*seen.joints2d.shape[:2], 3, 64, 64, generator=torch.Generator().manual_seed(0))
        return InMemory(seen.replaced(images=images, cameras=small))

    def train(self) -> InMemory:
        raise AssertionError("nothing is to be trained")

    @property
    def provides(self) -> frozenset[str]:
        return super().provides | {"images"}


UNTRAINED = Recipe(
    method=AlgebraicTriangulationConfig(depth=18, size=64, trunk=8, deconv=8, released_numerics=True),
    data=Pictures(instants=4, validation_instants=3, subjects=1, skeleton=LEARNABLE_17),
    steps=2,
    device="cpu",
)


@pytest.fixture
def authors(tmp_path):
    """A network whose normalisations have seen something, and its weights as the authors would release them."""
    torch.manual_seed(3)
    method = UNTRAINED.method.build(LEARNABLE_17).eval()
    for name, tensor in method.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        if name.endswith(("running_mean", "bias")):
            tensor.uniform_(-0.1, 0.1)
    weights = {f"module.{name}": tensor for name, tensor in method.state_dict().items()}
    torch.save(weights, tmp_path / "weights.pth")
    return method, replace(UNTRAINED, init=f"released:{tmp_path / 'weights.pth'}")


def test_released_weights_are_measured_without_being_touched(authors, tmp_path):
    method, recipe = authors
    metrics = evaluate_untrained(recipe, tmp_path / "run")
    stored = load_file(tmp_path / "run" / "weights.safetensors")
    released = torch.load(tmp_path / "weights.pth")
    assert {f"module.{name}" for name in stored} == set(released)
    for name, tensor in stored.items():
        assert torch.equal(tensor, released[f"module.{name}"]), name
    # and the errors are those of the network run directly
    batch = recipe.data.validation().instants
    with torch.no_grad():
        found = method(batch.only(method.inputs)).joints3d
    direct = 1000 * (found - batch.joints3d).norm(dim=-1).nanmean()
    assert metrics["mpjpe_mm"] == pytest.approx(direct.item(), rel=1e-5)
    with torch.no_grad():
        again = load_run(tmp_path / "run").method(batch.only(method.inputs)).joints3d
    assert torch.equal(again.nan_to_num(), found.nan_to_num())


def test_what_was_not_trained_says_so_and_is_not_taken_for_a_trained_run(authors, tmp_path):
    _, recipe = authors
    said = []
    evaluate_untrained(recipe, tmp_path / "run", say=said.append)
    assert "weights used, 0 ignored" in said[0]
    words = f"not trained: those of {recipe.init} as they are"
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["weights"] == words
    run = load_run(tmp_path / "run")
    assert (run.record["steps"], run.released_crops) == (0, None)
    evaluate(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["weights"] == words
    with pytest.raises(ValueError, match=r"holds weights that .* measured without training them.*--out"):
        train(recipe, tmp_path / "run")
    evaluate_untrained(recipe, tmp_path / "run")  # again, to no harm


def test_a_trained_run_is_not_lost_to_an_evaluation(authors, blind_run):
    before = {path.name: path.read_bytes() for path in blind_run.iterdir()}
    with pytest.raises(ValueError, match=r"holds a trained run.*--overwrite"):
        evaluate_untrained(authors[1], blind_run)
    assert {path.name: path.read_bytes() for path in blind_run.iterdir()} == before


def test_weights_that_leave_a_part_random_are_not_measured(authors, tmp_path):
    _, recipe = authors
    released = torch.load(tmp_path / "weights.pth")
    flat = {name: tensor for name, tensor in released.items() if "alg_confidences" not in name}
    torch.save(flat, tmp_path / "weights.pth")
    with pytest.raises(
        ValueError, match=r"does not hold all of AlgebraicTriangulation: 18 of .*alg_confidences"
    ):
        evaluate_untrained(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    # of the same file the heat maps alone are a whole method
    ransac = RansacTriangulationConfig(depth=18, size=64, trunk=8, deconv=8, released_numerics=True)
    assert evaluate_untrained(replace(recipe, method=ransac), tmp_path / "run")["coverage_percent"] > 0


def test_no_weights_no_measurement(tmp_path):
    with pytest.raises(ValueError, match=r"which weights\? Name them: --init released:FILE"):
        evaluate_untrained(UNTRAINED, tmp_path / "run")
