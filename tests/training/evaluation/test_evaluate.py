import json
from dataclasses import dataclass

import pytest

from coview.data.base import InMemory
from coview.data.session_dataset import RecordedConfig
from coview.data.synthetic.recordings import SyntheticConfig
from coview.demo import generate
from coview.methods.canonpose import CanonPoseConfig
from coview.skeletons import CANONPOSE_16
from coview.training.evaluation.evaluate import evaluate
from coview.training.recipe import Recipe
from coview.training.run import train


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
