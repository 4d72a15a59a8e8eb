import json

import pytest

from coview.data.recorded import RecordedConfig
from coview.data.synthetic import SyntheticConfig
from coview.demo import generate
from coview.training.evaluate import evaluate


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
    with pytest.raises(ValueError, match=r"no cameras, joints3d for validation.*coview calibrate"):
        evaluate(run, RecordedConfig(sessions=(tmp_path / "raw",)))


def test_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no run"):
        evaluate(tmp_path)
