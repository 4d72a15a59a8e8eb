import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.capture.calibration.metric_scale import stated_scale
from coview.data.synthetic.recordings import ring_cameras
from coview.skeletons import H36M_17

NAMES = ("a", "b", "c")


# A world in units of two metres.
POINTS = random_motion(20, seed=0).double()[:, None] / 2
CAMERAS = ring_cameras(3).moved(torch.eye(3, 4), scale=2.0)


def test_what_was_stated_sets_the_unit():
    length = 2 * float((CAMERAS.centres[0] - CAMERAS.centres[1]).norm())
    assert stated_scale(
        CAMERAS, POINTS, H36M_17, NAMES, None, ("a", "b", length)
    ).metres_per_unit == pytest.approx(2.0)
    assert stated_scale(CAMERAS, POINTS, H36M_17, NAMES, 1.75, None).metres_per_unit == pytest.approx(
        2.0, rel=0.1
    )
    assert "none was stated" in stated_scale(CAMERAS, POINTS, H36M_17, NAMES, None, None).source


def test_two_statements_or_strange_names_are_refused():
    with pytest.raises(ValueError, match=r"only one of them"):
        stated_scale(CAMERAS, POINTS, H36M_17, NAMES, 1.75, ("a", "b", 1.0))
    with pytest.raises(ValueError, match=r"x is neither.*Known: a, b, c"):
        stated_scale(CAMERAS, POINTS, H36M_17, NAMES, None, ("a", "x", 1.0))
