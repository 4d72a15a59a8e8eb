import pytest
import torch

from coview.body.stature_scale import NoScaleError, scale_from_distance, scale_from_stature
from coview.data.synthetic.recordings import random_motion
from coview.skeletons import H36M_17, Skeleton


@pytest.mark.parametrize("unit", [0.01, 1.0, 7.0])
def test_stature_gives_metres_whatever_the_unit_was(unit):
    metres = random_motion(20, seed=0, stature=1.8)
    scale = scale_from_stature(metres / unit, H36M_17, 1.8)
    assert abs(scale.metres_per_unit / unit - 1) < 3 * scale.relative_sigma
    assert 0.02 < scale.relative_sigma < 0.08


def test_reference_value():
    # by hand: thigh 0.4165 and shank 0.4182 units are 0.245 and 0.246 of 1.70 units; so 2 m of stature: 2 / 1.70
    legs = Skeleton("legs", ("left_hip", "left_knee", "left_ankle"), (), "left_hip")
    points = torch.tensor([[[0.0, 0, 0.8347], [0, 0, 0.4182], [0, 0, 0]]])
    assert scale_from_stature(points, legs, 2.0).metres_per_unit == pytest.approx(2 / 1.70, rel=1e-4)


def test_missing_limbs_are_left_out():
    metres = random_motion(20, seed=1, stature=1.7)
    metres[:, H36M_17.index("left_knee")] = torch.nan
    assert scale_from_stature(metres, H36M_17, 1.7).metres_per_unit == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("stature", [0.0, 17.5, 175.0])
def test_a_height_in_other_units_is_refused(stature):
    with pytest.raises(NoScaleError, match="Give it in metres"):
        scale_from_stature(torch.zeros(1, 17, 3), H36M_17, stature)


def test_a_skeleton_without_limbs_is_refused():
    face = Skeleton("face", ("nose", "left_eye"), (), "nose")
    with pytest.raises(NoScaleError, match="--distance"):
        scale_from_stature(torch.zeros(1, 2, 3), face, 1.7)


def test_a_known_distance_sets_the_scale_and_its_uncertainty():
    scale = scale_from_distance(0.5, 3.0, 0.03, "cam_1 to cam_2")
    assert scale.metres_per_unit == 6.0
    assert scale.relative_sigma == pytest.approx(0.01)


@pytest.mark.parametrize(("length", "metres"), [(0.0, 1.0), (1.0, 0.0), (1.0, -2.0), (float("nan"), 1.0)])
def test_a_distance_that_says_nothing_is_refused(length, metres):
    with pytest.raises(NoScaleError, match="must be positive"):
        scale_from_distance(length, metres, 0.01, "a to b")
