"""Every stage on a recording takes a `Session`, and its help says so."""

import inspect

import pytest

from coview.capture.association.stage import associate
from coview.capture.board.calibrate import calibrate_from_board
from coview.capture.calibration.from_people import calibrate_from_file, calibrate_from_people
from coview.capture.export import export_session
from coview.capture.images.reconstruct import reconstruct_images
from coview.capture.reconstruction.reconstruct import reconstruct, reconstruct_everybody
from coview.formats.session.session import Session

STAGES = [
    associate,
    calibrate_from_board,
    calibrate_from_file,
    calibrate_from_people,
    export_session,
    reconstruct,
    reconstruct_everybody,
    reconstruct_images,
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_a_stage_takes_a_session_and_says_so(stage):
    first = next(iter(inspect.signature(stage).parameters.values()))
    assert first.name == "session"
    assert first.annotation is Session or Session in first.annotation.__args__
    assert "session" in (stage.__doc__ or "").lower()
