"""Squares around the person: where, how steady, and when there is none."""

import pytest
import torch

from coview.capture.images.person_boxes import FEWEST, person_boxes
from coview.data.viewpoints import MARGIN


@pytest.fixture
def camera(film):
    return film.cameras(distorted=False)[:1]


def corners(frames, left=100.0, top=50.0, right=200.0, bottom=290.0):
    """Joints at the corners of a rectangle, seen in every frame."""
    joints = torch.tensor([[left, top], [right, top], [left, bottom], [right, bottom]])
    return joints.expand(frames, 1, 4, 2).clone(), torch.ones(frames, 1, 4)


def test_the_square_is_centred_on_the_joints_with_a_margin(camera):
    boxes = person_boxes(camera, *corners(3))
    assert boxes.side[:, 0].tolist() == [pytest.approx(MARGIN * 240)] * 3
    middle = boxes.left_top[1, 0] + (boxes.side[1, 0] - 1) / 2  # of the centres of first and last pixel
    assert middle.tolist() == [pytest.approx(150), pytest.approx(170)]


def test_the_crop_camera_sees_the_middle_of_the_joints_in_the_middle(camera):
    boxes = person_boxes(camera, *corners(2))
    cropped = boxes.cameras(camera, 64)
    assert cropped.intrinsics.shape == (2, 1, 3, 3)
    origin, direction = camera.rays(torch.tensor([[[150.0, 170.0]]]))
    shown = cropped.project((origin + 3 * direction)[None])
    torch.testing.assert_close(shown, torch.full((2, 1, 1, 2), 31.5), atol=1e-3, rtol=0)
    assert cropped.size.unique().tolist() == [64.0]


def test_one_wrong_joint_in_one_frame_moves_nothing(camera):
    joints, confidence = corners(9)
    still = person_boxes(camera, joints, confidence)
    joints[4, 0, 2] = torch.tensor([400.0, 10.0])
    assert torch.equal(person_boxes(camera, joints, confidence).side, still.side)


def test_unsure_joints_do_not_count(camera):
    joints, confidence = corners(3)
    joints = torch.cat([joints, torch.full((3, 1, 1, 2), 390.0)], dim=2)
    confidence = torch.cat([confidence, torch.full((3, 1, 1), 0.2)], dim=2)
    assert float(person_boxes(camera, joints, confidence).side[0, 0]) == pytest.approx(MARGIN * 240)


def test_a_short_gap_is_bridged_and_a_long_one_stays(camera):
    joints, confidence = corners(30)
    joints = joints + torch.arange(30.0)[:, None, None, None]
    confidence[5:8] = 0
    confidence[15:28] = 0
    joints[confidence == 0] = torch.nan
    boxes = person_boxes(camera, joints, confidence, max_gap=10)
    assert boxes.present[:15].all()
    assert not boxes.present[15:28].any()
    assert float(boxes.left_top[6, 0, 0] - boxes.left_top[4, 0, 0]) == pytest.approx(2, abs=1.1)


def test_gaps_at_the_ends_stay(camera):
    joints, confidence = corners(9)
    confidence[:2] = 0
    assert person_boxes(camera, joints, confidence).present[:, 0].tolist() == [False] * 2 + [True] * 7


def test_too_few_joints_make_no_box(camera):
    joints, confidence = corners(5)
    confidence[..., : 4 - FEWEST + 1] = 0
    boxes = person_boxes(camera, joints, confidence)
    assert not boxes.present.any()
    assert boxes.left_top.isnan().all()


def test_boxes_are_in_undistorted_pixels(film):
    camera = film.cameras()[:1]
    joints, confidence = corners(1, left=20.0, right=460.0)
    straight, _ = camera.undistort(joints)
    boxes = person_boxes(camera, joints, confidence)
    extent = float((straight.amax(-2) - straight.amin(-2)).max())
    assert extent > 450  # the barrel opens
    assert float(boxes.side[0, 0]) == pytest.approx(MARGIN * extent, rel=1e-4)
