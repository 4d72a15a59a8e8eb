from dataclasses import replace

import torch

from coview.capture.judgement.of_session import (
    judge_session,
    judged,
    marked,
    observations,
    remarks_of,
    told,
)
from coview.demo import generate
from coview.formats.calibration.calibration import Calibration
from coview.formats.session.session import Session


def recorded(path):
    truth = generate(path / "session", 0, minutes=0.1)
    session = Session.load(path / "session")
    return session, Calibration(session.camera_names, truth.cameras.to(torch.float64), {"file": "given"})


def test_a_sessions_cameras_are_judged_by_its_joints(tmp_path):
    session, calibration = recorded(tmp_path)
    judgement = judge_session(session, calibration)
    assert judgement is not None
    assert judgement.words == "good"
    assert judged(calibration, judgement).provenance == {"file": "given", "judgement": "good"}
    assert judged(calibration, None) is calibration


def test_what_is_written_in_spite_of_a_refusal_says_so(tmp_path):
    session, calibration = recorded(tmp_path)
    exchanged = Calibration(calibration.names, calibration.cameras[torch.tensor([1, 0, 2, 3])])
    judgement = judge_session(session, exchanged)
    assert judgement is not None
    assert marked(judgement).startswith("refused: ")
    assert marked(judgement).endswith("(written because of --force)")


def test_one_camera_cannot_be_judged(tmp_path):
    session, calibration = recorded(tmp_path)
    assert judge_session(session, calibration.select(session.camera_names[:1])) is None


def test_observations_are_weighted_by_confidence(tmp_path):
    session, _ = recorded(tmp_path)
    pixels, weights = observations(session, 0.5, {})
    assert pixels.shape[:3] == weights.shape
    assert not bool(((weights > 0) & (weights < 0.5)).any())


def test_what_was_made_with_judged_cameras_tells_it(tmp_path):
    session, calibration = recorded(tmp_path)
    judgement = judge_session(session, calibration)
    assert judgement is not None
    assert told(judgement) == {"judgement": "good"}
    assert remarks_of(told(judgement)) == []
    lying = replace(judgement, verdict="poor", reasons=("cam_2 was moved",), notes=("the bodies lie",))
    assert remarks_of(told(lying)) == ["the cameras were judged poor: cam_2 was moved.", "the bodies lie."]
