"""What a body says about itself: of our own person, whose measures are known, turned, mirrored and scaled."""

import pytest
import torch

from coview.data.mocap.raw import read_take
from coview.data.mocap.skeleton_plausibility import (
    TRUNK_TO_LEG,
    bone_spread,
    knee_forward,
    leg_length,
    stature,
    trunk_to_leg,
    up_axis,
)
from coview.geometry.rotations import rotation_from_axis_angle
from coview.skeletons import MOCAP_19


@pytest.fixture
def points(person, tmp_path):
    (tmp_path / "1_1.bvh").write_text(person(frames=30))
    return read_take(tmp_path / "1_1.bvh").points


def test_lengths_by_hand(points):
    # thigh (0,42,2), shank (0,41,3) cm
    leg = (42**2 + 2**2) ** 0.5 + (41**2 + 3**2) ** 0.5
    assert leg_length(points) == pytest.approx(leg / 100, abs=1e-6)
    # 44 cm of trunk, a little less bent than straight; 27 cm of neck and head
    assert stature(points) == pytest.approx((leg + 44 + 27) / 100 / 0.961, abs=0.01)
    assert trunk_to_leg(points) == pytest.approx(44.2 / leg, abs=0.01)


def test_nothing_depends_on_where_and_how_the_body_lies(points):
    turned = points @ rotation_from_axis_angle(torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)).mT + 7.0
    for measure in (stature, trunk_to_leg, knee_forward):
        assert measure(turned) == pytest.approx(measure(points), abs=1e-9)
    assert bone_spread(turned) < 1e-9


def test_lengths_scale_and_shares_do_not(points):
    assert stature(points * 1000) == pytest.approx(1000 * stature(points))
    assert trunk_to_leg(points * 1000) == pytest.approx(trunk_to_leg(points))


def test_both_kinds_of_mirror_show_in_the_knees(points):
    forward = knee_forward(points)
    assert forward > 0.05
    reflected = points * torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    assert knee_forward(reflected) == pytest.approx(-forward)
    assert knee_forward(points[:, list(MOCAP_19.mirror)]) == pytest.approx(-forward)
    assert knee_forward(reflected[:, list(MOCAP_19.mirror)]) == pytest.approx(forward), (
        "that is a real person again"
    )


def test_up(points):
    assert up_axis(points) == "+Y"
    assert up_axis(points[..., [2, 0, 1]]) == "+Z"
    assert up_axis(-points) == "-Y"


def test_bones_that_stretch_show(points):
    stretched = points.clone()
    stretched[::2, MOCAP_19.index("left_wrist")] += 0.1
    assert bone_spread(stretched) > 0.02


def test_skeletons_of_cmu_lie_well_above_the_limit_of_the_trunk(shared_data):
    from coview.data.mocap.clips import read_clips

    clips = read_clips(shared_data / "mocap_cmu", "test")
    y_up = [torch.stack([c.points[..., 0], c.points[..., 2], -c.points[..., 1]], dim=-1) for c in clips]
    shares = [trunk_to_leg(points) for points in y_up]
    assert 0.50 < min(shares) < max(shares) < 0.60  # measured 0.505 to 0.541 for test, 0.503 to 0.597 for all
    assert TRUNK_TO_LEG == 0.47
