import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.body.procedural_motion import random_motion
from coview.data.mocap.clips import z_up
from coview.representations.canonical_pose import azimuth, canonical_pose, forward_filled
from coview.skeletons import COCO_19, H36M_17

HIP = H36M_17.index("left_hip")


def poses(seed: int = 0) -> torch.Tensor:
    return random_motion(12, fps=2.0, seed=seed).double()


def about_vertical(angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def test_the_left_hip_lies_on_the_x_side_and_the_tilt_is_kept():
    world = poses()
    found = canonical_pose(world, H36M_17)
    hip = world[:, HIP] - world[:, 0]
    expected = torch.stack([hip[:, :2].norm(dim=-1), torch.zeros(12).double(), hip[:, 2]], dim=-1)
    torch.testing.assert_close(found[:, HIP], expected)
    assert (found[:, HIP, 0] > 0).all()
    assert (found[:, 0] == 0).all()
    torch.testing.assert_close(found[..., 2], world[..., 2] - world[:, :1, 2])  # gravity stays


@given(angle=st.floats(-math.pi, math.pi), x=st.floats(-5, 5), y=st.floats(-5, 5), z=st.floats(-5, 5))
@settings(deadline=None, max_examples=30)
def test_place_and_heading_do_not_matter(angle, x, y, z):
    moved = poses() @ about_vertical(angle).mT + torch.tensor([x, y, z]).double()
    torch.testing.assert_close(
        canonical_pose(moved, H36M_17), canonical_pose(poses(), H36M_17), atol=1e-9, rtol=0
    )


def test_canonical_twice_is_canonical_once():
    once = canonical_pose(poses(), H36M_17)
    torch.testing.assert_close(canonical_pose(once, H36M_17), once, atol=1e-12, rtol=0)


def test_it_is_a_rotation_and_no_mirror():
    world, found = poses(), canonical_pose(poses(), H36M_17)

    def volume(points: torch.Tensor) -> torch.Tensor:
        return torch.linalg.det(points[:, [1, 7, 14]] - points[:, :1])

    torch.testing.assert_close(volume(found), volume(world))
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(world, world))


def test_reference_value():
    # By hand: the root at (1, 2, 3), the left hip 0.1 m along +y and 0.02 m lower, so ψ = 90°; a hand 0.5 m along
    # +x from the root is then at −y.
    joints = torch.zeros(17, 3) + torch.tensor([1.0, 2.0, 3.0])
    joints[HIP] += torch.tensor([0.0, 0.1, -0.02])
    joints[H36M_17.index("left_wrist")] += torch.tensor([0.5, 0.0, 0.0])
    assert float(azimuth(joints, H36M_17)) == pytest.approx(math.pi / 2)
    found = canonical_pose(joints, H36M_17)
    torch.testing.assert_close(found[HIP], torch.tensor([0.1, 0.0, -0.02]), atol=1e-6, rtol=0)
    wrist = found[H36M_17.index("left_wrist")]
    torch.testing.assert_close(wrist, torch.tensor([0.0, -0.5, 0.0]), atol=1e-6, rtol=0)


def test_a_y_up_world_gives_the_same_pose_in_its_own_axes():
    x, y, z = poses().unbind(-1)
    y_up = torch.stack([x, z, -y], dim=-1)
    turned = canonical_pose(y_up, H36M_17, up="y")
    torch.testing.assert_close(z_up(turned), canonical_pose(z_up(y_up), H36M_17))
    torch.testing.assert_close(turned[:, HIP, 2], torch.zeros(12).double(), atol=1e-12, rtol=0)
    assert (turned[:, HIP, 0] > 0).all()


def test_who_lies_on_the_side_has_no_heading_but_may_keep_the_last():
    world = poses()[:4]
    world[2, HIP] = world[2, 0] + torch.tensor([0.01, 0.01, 0.1])
    world[3, HIP] = torch.nan
    angles = azimuth(world, H36M_17)
    assert angles.isnan().tolist() == [False, False, True, True]
    assert canonical_pose(world, H36M_17)[2:].isnan().any(dim=-1).all()
    kept = forward_filled(angles)
    assert torch.equal(kept[2:], angles[1].expand(2))
    assert canonical_pose(world, H36M_17, kept)[2].isfinite().all()
    first = forward_filled(torch.tensor([torch.nan, 1.0, torch.nan]))
    assert first.isnan().tolist() == [True, False, False]
    assert first[1:].tolist() == [1.0, 1.0]


def test_unknown_joints_stay_unknown_and_other_skeletons_have_hips_too():
    world = poses()
    world[0, 5] = torch.nan
    assert canonical_pose(world, H36M_17)[0].isnan().any(dim=-1).nonzero().flatten().tolist() == [5]
    coco = torch.randn(3, 19, 3)
    found = canonical_pose(coco, COCO_19)
    torch.testing.assert_close(found[:, COCO_19.index("left_hip"), 1], torch.zeros(3), atol=1e-6, rtol=0)
