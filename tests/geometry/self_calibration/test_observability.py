from dataclasses import replace

import pytest
import torch

from coview.geometry.bundle.residuals import Unknowns
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.self_calibration.observability import (
    check_agreement,
    check_converged,
    check_determined,
    check_motion,
)

UNKNOWNS = Unknowns("shared", "offset")


@pytest.fixture(scope="module")
def refined(make_walk, refine_walk):
    return refine_walk(make_walk(1), UNKNOWNS)


NAMES = ("left", "middle", "right")


def test_a_good_recording_passes_with_room_to_spare(refined):
    """All checks are silent; agreement is far from the 50 % and the clocks' last step far from the 0.1 frames asked."""
    check_agreement(refined, NAMES, 10.0, UNKNOWNS)
    check_converged(refined, 50.0)
    check_motion(refined, NAMES, UNKNOWNS)
    check_determined(refined, NAMES, UNKNOWNS)
    assert refined.agreement.min() > 0.9
    assert refined.adjusted.clock[:, 0].abs().max() * 50 < 0.05


def test_the_camera_that_does_not_fit_is_named(refined):
    poor = replace(refined, agreement=torch.tensor([0.9, 0.2, 0.9]))
    with pytest.raises(NotDeterminedError, match=r"camera 'middle' .* only 20% .*Usual causes"):
        check_agreement(poor, NAMES, 10.0, Unknowns())
    check_agreement(replace(refined, agreement=torch.tensor([0.9, 0.4, 0.9])), NAMES, 10.0, Unknowns())
    with pytest.raises(NotDeterminedError, match=r"only 40%"):
        check_agreement(replace(refined, agreement=torch.tensor([0.9, 0.4, 0.9])), NAMES, 10.0, UNKNOWNS)


def test_clocks_that_still_move_are_no_answer(refined):
    moving = replace(refined, adjusted=replace(refined.adjusted, clock=torch.full((3, 2), 0.05)))
    with pytest.raises(NotDeterminedError, match=r"did not converge .*2.5 frames"):
        check_converged(moving, 50.0)


def test_no_motion_beyond_the_noise_tells_no_clock(refined):
    still = replace(
        refined, reading=replace(refined.reading, velocity=0.02 * refined.reading.velocity.sign())
    )
    with pytest.raises(NotDeterminedError, match=r"stands still.*--fit-clock fixed"):
        check_motion(still, NAMES, UNKNOWNS)
    check_motion(still, NAMES, Unknowns("shared", "given"))


def test_a_guess_is_refused_with_its_reason(refined):
    vague = replace(refined, adjusted=replace(refined.adjusted, covariance=1e5 * refined.adjusted.covariance))
    with pytest.raises(
        NotDeterminedError, match=r"focal length of camera '.*fills too little.*--fit-focal fixed"
    ):
        check_determined(vague, NAMES, UNKNOWNS)
    flat = replace(vague, points=vague.points * torch.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(NotDeterminedError, match=r"near a single plane.*walk towards"):
        check_determined(flat, NAMES, UNKNOWNS)
    lost = replace(
        refined, adjusted=replace(refined.adjusted, covariance=torch.nan * refined.adjusted.covariance)
    )
    with pytest.raises(NotDeterminedError, match=r"does not determine"):
        check_determined(lost, NAMES, UNKNOWNS)
