import math

import pytest
import torch

from coview.data.rendering.capsule_body import body_capsules
from coview.data.rendering.occluders import Occluders, behind, chosen, hidden_by, propose
from coview.data.rendering.scenes import generated_people
from coview.data.viewpoints import varied_cameras


def scene(pictures: int = 60):
    people = generated_people(pictures, 6, seed=3)
    cameras = varied_cameras(pictures, 1, torch.Generator().manual_seed(0))[:, 0]
    return cameras, people.joints3d


def test_hiding_agrees_with_walking_along_the_line_in_small_steps():
    """The textbook twin: a thousand points between camera and joint; is any of them in the box or capsule?"""
    cameras, joints3d = scene()
    things = propose(cameras, joints3d, 0, torch.Generator().manual_seed(1))
    found = hidden_by(things, cameras, joints3d)
    steps = torch.linspace(0, 1, 1000)[:, None, None, None]
    points = cameras.centres[:, None] + steps * (joints3d - cameras.centres[:, None])
    local = (points - things.centre[:, None]) @ things.axes.mT
    in_box = (local.abs() <= things.half[:, None]).all(dim=-1)
    reach = (things.half[:, 2] - things.half[:, 0]).clamp_min(0)[:, None]
    beyond = (local[..., 2].abs() - reach).clamp_min(0)
    away = torch.cat([local[..., :2], beyond[..., None]], dim=-1).norm(dim=-1)
    inside = torch.where(things.is_box[:, None], in_box, away <= things.half[:, None, 0])
    twin = inside.any(dim=0)
    assert twin.any()
    assert (twin != found).float().mean() < 0.005  # grazing lines fall between the steps


def test_things_touch_neither_camera_nor_body():
    cameras, joints3d = scene(200)
    for size in (1.0, 2.5):
        things = propose(cameras, joints3d, 0, torch.Generator().manual_seed(1), size)
        reach = things.half.norm(dim=-1)
        to_camera = (things.centre - cameras.centres).norm(dim=-1)
        along = ((things.centre - cameras.centres)[:, None] @ things.axes.mT)[:, 0].abs()
        assert ((along > things.half).any(dim=-1) | (to_camera > reach)).all()
    things = propose(cameras, joints3d, 0, torch.Generator().manual_seed(1))
    body = body_capsules(joints3d, torch.ones(200, 3))
    middle = (body.first + body.second) / 2
    local = ((middle - things.centre[:, None]) @ things.axes.mT).abs()
    assert (local <= things.half[:, None]).all(dim=-1).any(dim=-1).float().mean() < 0.02


def test_what_is_behind_hides_nothing():
    cameras, joints3d = scene()
    things = behind(cameras, joints3d[:, 0], torch.Generator().manual_seed(1))
    assert hidden_by(things, cameras, joints3d).float().mean() < 0.01


def test_axes_are_those_of_the_renderer():
    """Unit, at right angles, and front = side × axis."""
    cameras, joints3d = scene()
    side, front, axis = propose(cameras, joints3d, 0, torch.Generator().manual_seed(1)).axes.unbind(1)
    torch.testing.assert_close(torch.linalg.cross(side, axis), front, atol=1e-5, rtol=0)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2])
def test_the_chosen_hide_the_share_asked_for(share: float):
    generator = torch.Generator().manual_seed(0)
    hides = torch.rand(300, 17, generator=generator) < 0.4
    inside = torch.rand(300, 17, generator=generator) < 0.9
    kept = chosen(hides, inside, share, generator)
    assert math.isclose(((hides & kept[:, None]) & inside).sum() / inside.sum(), share, abs_tol=0.002)


def test_all_are_chosen_where_that_is_not_enough():
    hides = torch.zeros(5, 17, dtype=torch.bool)
    hides[:, 0] = True
    assert chosen(hides, torch.ones_like(hides), 0.5, torch.Generator()).all()


def test_a_line_that_just_misses_a_box_or_a_capsule():
    from coview.data.synthetic.recordings import ring_cameras

    camera = ring_cameras(2, radius=4.0, height=1.0, target=(0.0, 0.0, 1.0))[torch.zeros(2, dtype=torch.long)]
    things = Occluders(
        centre=torch.tensor([[2.0, 0.0, 1.0]]).expand(2, 3),
        axes=torch.eye(3).expand(2, 3, 3),
        half=torch.tensor([[0.1, 0.1, 0.3]]).expand(2, 3),
        is_box=torch.tensor([True, False]),
    )
    # seen from x = 4 the thing's edge at y = 0.1, x = 1.9 to 2.1 covers y = 0.2 to about 0.21 at x = 0
    for y, expected in ((0.15, [True, True]), (0.25, [False, False])):
        joint = torch.tensor([[[0.0, y, 1.0]]]).expand(2, 1, 3)
        assert hidden_by(things, camera, joint)[:, 0].tolist() == expected
