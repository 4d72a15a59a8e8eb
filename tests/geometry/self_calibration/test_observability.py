from dataclasses import replace

import pytest
import torch

from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.observability import (
    check_agreement,
    check_determined,
    check_motion,
    check_settled,
)

UNKNOWNS = Unknowns("shared", "offset")


@pytest.fixture(scope="module")
def settled(make_walk, settle_walk):
    return settle_walk(make_walk(1), UNKNOWNS)


NAMES = ("left", "middle", "right")


def test_a_good_recording_passes_with_room_to_spare(settled):
    """All checks are silent; agreement is far from the 50 % and the clocks' last step far from the 0.1 frames asked."""
    check_agreement(settled, NAMES, 10.0, UNKNOWNS)
    check_settled(settled, 50.0)
    check_motion(settled, NAMES, UNKNOWNS)
    check_determined(settled, NAMES, UNKNOWNS)
    assert settled.agreement.min() > 0.9
    assert settled.adjusted.clock[:, 0].abs().max() * 50 < 0.05


def test_the_camera_that_does_not_fit_is_named(settled):
    poor = replace(settled, agreement=torch.tensor([0.9, 0.2, 0.9]))
    with pytest.raises(NotDeterminedError, match=r"camera 'middle' .* only 20% .*Usual causes"):
        check_agreement(poor, NAMES, 10.0, Unknowns())
    check_agreement(replace(settled, agreement=torch.tensor([0.9, 0.4, 0.9])), NAMES, 10.0, Unknowns())
    with pytest.raises(NotDeterminedError, match=r"only 40%"):
        check_agreement(replace(settled, agreement=torch.tensor([0.9, 0.4, 0.9])), NAMES, 10.0, UNKNOWNS)


def test_clocks_that_still_move_are_no_answer(settled):
    moving = replace(settled, adjusted=replace(settled.adjusted, clock=torch.full((3, 2), 0.05)))
    with pytest.raises(NotDeterminedError, match=r"did not settle .*2.5 frames"):
        check_settled(moving, 50.0)


def test_no_motion_beyond_the_noise_tells_no_clock(settled):
    still = replace(
        settled, reading=replace(settled.reading, velocity=0.02 * settled.reading.velocity.sign())
    )
    with pytest.raises(NotDeterminedError, match=r"stands still.*--fit-clock fixed"):
        check_motion(still, NAMES, UNKNOWNS)
    check_motion(still, NAMES, Unknowns("shared", "given"))


def test_a_guess_is_refused_with_its_reason(settled):
    vague = replace(settled, adjusted=replace(settled.adjusted, covariance=1e5 * settled.adjusted.covariance))
    with pytest.raises(
        NotDeterminedError, match=r"focal length of camera '.*fills too little.*--fit-focal fixed"
    ):
        check_determined(vague, NAMES, UNKNOWNS)
    flat = replace(vague, points=vague.points * torch.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(NotDeterminedError, match=r"near a single plane.*walk towards"):
        check_determined(flat, NAMES, UNKNOWNS)
    lost = replace(
        settled, adjusted=replace(settled.adjusted, covariance=torch.nan * settled.adjusted.covariance)
    )
    with pytest.raises(NotDeterminedError, match=r"does not determine"):
        check_determined(lost, NAMES, UNKNOWNS)
