import math

import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.data.viewpoints import look_at, person_boxes, varied_cameras


def test_rigs_keep_their_bounds():
    rigs = varied_cameras(50, 4, torch.Generator().manual_seed(0))
    centres = rigs.centres
    assert centres.shape == (50, 4, 3)
    radius = centres[..., :2].norm(dim=-1)
    assert radius.min() > 2.49
    assert radius.max() < 6.01
    assert centres[..., 2].min() > 0.59
    assert centres[..., 2].max() < 2.61
    assert (torch.linalg.det(rigs.rotation) - 1).abs().max() < 1e-5
    middle = rigs.project(torch.tensor([[[[0.0, 0.0, 1.0]]]]))
    assert (middle - 500).abs().max() < 250


def test_cameras_look_all_around():
    centres = varied_cameras(50, 4, torch.Generator().manual_seed(0)).centres
    angle = torch.atan2(centres[..., 1], centres[..., 0]).sort(dim=-1).values
    gaps = torch.cat([angle.diff(dim=-1), angle[:, :1] + 2 * math.pi - angle[:, -1:]], dim=-1)
    assert gaps.min() > 0.4


def test_looking_without_roll_is_a_ring_camera():
    ring = ring_cameras(1, radius=4.0, height=1.7, focal=900.0)
    one = look_at(
        ring.centres, torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1), torch.tensor([900.0]), (1000, 1000)
    )
    torch.testing.assert_close(one.pixels_from_world, ring.pixels_from_world, atol=1e-3, rtol=1e-5)


def test_a_roll_turns_the_picture_about_its_middle():
    ring = ring_cameras(1, radius=4.0, height=1.0, focal=900.0)
    quarter = look_at(
        ring.centres,
        torch.tensor([[0.0, 0.0, 1.0]]),
        torch.tensor([math.pi / 2]),
        torch.tensor([900.0]),
        (1000, 1000),
    )
    above = quarter.project(torch.tensor([[[0.0, 0.0, 1.5]]]))[0, 0] - 499.5
    assert above[1].abs() < 1e-2
    assert above[0].abs() > 100


def test_boxes_hold_the_joints_with_a_margin_in_the_aspect_asked_for():
    generator = torch.Generator().manual_seed(0)
    pixels = 100 + 300 * torch.rand(40, 17, 2, generator=generator)
    for size in ((128, 128), (96, 192)):
        left_top, box = person_boxes(pixels, size, 0.0, generator)
        assert (left_top < pixels.amin(dim=1)).all()
        assert (left_top + box > pixels.amax(dim=1)).all()
        torch.testing.assert_close(box[:, 0] / box[:, 1], torch.full((40,), size[0] / size[1]))
        tight = ((pixels.amax(dim=1) - pixels.amin(dim=1)) / box).amax(dim=-1)
        torch.testing.assert_close(tight, torch.full((40,), 1 / 1.3))


def test_jitter_moves_and_resizes_boxes():
    pixels = torch.tensor([[0.0, 0.0], [100.0, 200.0]]).expand(500, 2, 2)
    left_top, box = person_boxes(pixels, (64, 64), 0.1, torch.Generator().manual_seed(0))
    assert 0.04 < (box[:, 0] / 260 - 1).std() < 0.08
    centre = left_top + box / 2 - torch.tensor([50.0, 100.0])
    assert ((centre / box).std(dim=0) > 0.03).all()
    assert ((centre / box).abs() <= 0.1 + 1e-5).all()
