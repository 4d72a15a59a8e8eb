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
from coview.formats.calibration.calibration import Calibration


def test_a_sessions_cameras_are_judged_by_its_joints(generated):
    session, calibration = generated
    judgement = judge_session(session, calibration)
    assert judgement is not None
    assert judgement.words == "good"
    assert judged(calibration, judgement).provenance == {"file": "given", "judgement": "good"}
    assert judged(calibration, None) is calibration


def test_what_is_written_in_spite_of_a_refusal_says_so(generated):
    session, calibration = generated
    exchanged = Calibration(calibration.names, calibration.cameras[torch.tensor([1, 0, 2, 3])])
    judgement = judge_session(session, exchanged)
    assert judgement is not None
    assert marked(judgement).startswith("refused: ")
    assert marked(judgement).endswith("(written because of --force)")


def test_one_camera_cannot_be_judged(generated):
    session, calibration = generated
    assert judge_session(session, calibration.select(session.camera_names[:1])) is None


def test_observations_are_weighted_by_confidence(generated):
    session, _ = generated
    pixels, weights = observations(session, 0.5, {})
    assert pixels.shape[:3] == weights.shape
    assert not bool(((weights > 0) & (weights < 0.5)).any())


def test_what_was_made_with_judged_cameras_tells_it(generated):
    session, calibration = generated
    judgement = judge_session(session, calibration)
    assert judgement is not None
    assert told(judgement) == {"judgement": "good"}
    assert remarks_of(told(judgement)) == []
    lying = replace(judgement, verdict="poor", reasons=("cam_2 was moved",), notes=("the bodies lie",))
    assert remarks_of(told(lying)) == ["the cameras were judged poor: cam_2 was moved.", "the bodies lie."]
