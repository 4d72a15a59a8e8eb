"""The part of the page about models that saw one camera."""

from dataclasses import replace

import pytest
import torch

from coview.report.evidence import gather
from coview.report.page import write_report
from coview.report.predictions import prediction_lines, prediction_section, shown_predictions
from coview.training.evaluation.compare import reconstructed
from coview.training.prediction.prediction_files import Prediction, write_prediction


@pytest.fixture
def predicted(new_session):
    """A session for which `good` predicted all cameras well, and `bad` one camera badly."""
    session = new_session(trained=False)
    draw = torch.Generator().manual_seed(1)
    for run, noise, cameras in (("bad", 0.5, ["east"]), ("good", 0.02, ["north", "east"])):
        for camera in cameras:
            reference, _ = reconstructed(session, camera, session.skeleton)
            points = reference + noise * torch.randn(reference.shape, generator=draw)
            said = {"run": f"/runs/{run}", "method": "CanonPose <b>", "steps": "2500"}
            path = session.path / "predictions" / run / f"{camera}.npz"
            write_prediction(Prediction(camera, points, "m", "told", 25.0, session.skeleton, path, said))
    return session


def test_numbers_drawings_and_origin_are_shown(predicted):
    models = shown_predictions(gather(predicted.path))
    assert [model.name for model in models] == ["bad", "good"]
    assert list(models[1].comparisons) == ["east", "north"]
    page = prediction_section(models)
    for word in ("N-MPJPE", "P-MPJPE", "N-PCK@150", "mean pose", "not truth", "root-aligned", "h36m_17"):
        assert word in page
    assert page.count('<div class="trio">') == 2
    assert page.count("<canvas") == 6
    assert "CanonPose &lt;b&gt;" in page
    good = models[1].comparisons["north"]
    assert f"{good.model.n_mpjpe_mm:.1f}\u00a0mm" in page
    assert f"{good.mean_pose.n_mpjpe_mm:.1f}\u00a0mm" in page


def test_verdicts_tell_good_from_bad(predicted):
    bad, good = prediction_lines(shown_predictions(gather(predicted.path)))
    assert bad.tone == "poor"
    assert "worse than that in N- or P-MPJPE, or mirrored, from any camera" in bad.words
    assert good.tone == "note"
    assert good.words.startswith("Model good, from one camera: N-MPJPE ")


def test_doubts_of_the_run_are_repeated(predicted):
    path = predicted.path / "predictions" / "good" / "east.npz"
    models = shown_predictions(gather(predicted.path))
    first = models[1].predictions["east"]
    write_prediction(replace(first, path=path, provenance={"doubts": "It has had 3 training steps."}))
    models = shown_predictions(gather(predicted.path))
    assert prediction_lines(models)[1].tone == "fair"
    assert "3 training steps" in prediction_section(models)


def test_predictions_that_outlived_their_recording_are_said_to_have(predicted):
    path = predicted.path / "predictions" / "bad" / "east.npz"
    one = shown_predictions(gather(predicted.path))[0].first
    write_prediction(replace(one, path=path, points=one.points[:30]))
    (model, _) = shown_predictions(gather(predicted.path))
    assert "30 predicted frames of 17 joints cannot be compared with 40" in model.missing["east"]
    page = prediction_section([model])
    assert "run `coview predict` again" in page
    assert "<canvas" not in page
    assert prediction_lines([model]) == []


def test_without_a_reconstruction_there_is_nothing_to_compare_with(predicted):
    predicted.poses3d_path.unlink()
    (bad, _) = shown_predictions(gather(predicted.path))
    assert bad.missing == {"east": "the session is not reconstructed, so there is nothing to compare with"}


def test_without_predictions_there_is_nothing(session):
    assert shown_predictions(gather(session.path)) == ()
    assert prediction_section(()) == ""


def test_the_page_has_the_section_and_the_verdict(predicted):
    page = write_report(predicted.path).read_text()
    assert '<section id="predictions">' in page
    assert "Model good, from one camera" in page
    assert page.index('id="coverage"') < page.index('id="predictions"') < page.index('id="assumed"')
