import pytest
import torch

from coview.body.gravity import upright_from_body
from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.geometry.rotations import rotation_angle, rotation_from_axis_angle
from coview.skeletons import H36M_17, Skeleton


def turned_world(seed: int = 0):
    """A person and a ring of cameras, seen from a world with no notion of up."""
    joints = random_motion(200, seed=seed, kind="gait").double()
    cameras = ring_cameras(4).to(torch.float64)
    turn = rotation_from_axis_angle(torch.tensor([0.4, -1.1, 0.7], dtype=torch.float64))
    shift = torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64)
    world_from_new = torch.cat([turn.mT, -(turn.mT @ shift)[:, None]], dim=-1)
    return joints @ turn.mT + shift, cameras.moved(world_from_new), turn


def test_up_is_found_and_the_world_is_right_handed():
    joints, cameras, turn = turned_world()
    upright = upright_from_body(joints, H36M_17, cameras.rotation)
    lean = torch.rad2deg(torch.arccos(upright.up @ (turn @ torch.tensor([0.0, 0, 1], dtype=torch.float64))))
    assert lean < 1.5
    assert torch.linalg.det(upright.world_from_new[:, :3]) == pytest.approx(1)


def test_a_tilted_camera_is_not_believed():
    joints, cameras, turn = turned_world()
    roll = rotation_from_axis_angle(torch.tensor([0.0, 0, 0.5], dtype=torch.float64))
    rotations = torch.cat([roll @ cameras.rotation[:1], cameras.rotation[1:]])
    upright = upright_from_body(joints, H36M_17, rotations)
    assert torch.rad2deg(torch.arccos(upright.up @ turn[:, 2])) < 1.5
    assert "3 of 4 cameras level" in upright.source


def test_a_leaning_body_is_corrected_by_level_cameras():
    joints, cameras, turn = turned_world()
    lean = rotation_from_axis_angle(torch.tensor([0.25, 0, 0], dtype=torch.float64))
    upright = upright_from_body(joints @ lean.mT, H36M_17, cameras.rotation)
    assert torch.rad2deg(torch.arccos(upright.up @ turn[:, 2])) < 4


def test_the_floor_is_at_zero_and_the_first_camera_looks_along_y():
    joints, cameras, _ = turned_world()
    upright = upright_from_body(joints, H36M_17, cameras.rotation)
    turn, shift = upright.world_from_new[:, :3], upright.world_from_new[:, 3]
    standing = (joints - shift) @ turn
    ankles = standing[:, [H36M_17.index("left_ankle"), H36M_17.index("right_ankle")], 2]
    assert abs(float(ankles.amin(-1).median()) - 0.08) < 0.08
    assert standing[:, H36M_17.index("head_top"), 2].median() > 1.4
    forward = cameras.rotation[0][2] @ turn
    assert forward[1] > 0.9
    assert forward[0].abs() < 1e-9
    moved = cameras.moved(upright.world_from_new)
    torch.testing.assert_close(moved.project(standing[:, None]), cameras.project(joints[:, None]))


def test_the_answer_does_not_depend_on_the_first_world():
    joints, cameras, _ = turned_world()
    straight = random_motion(200, seed=0, kind="gait").double()
    a = upright_from_body(joints, H36M_17, cameras.rotation).world_from_new
    b = upright_from_body(straight, H36M_17, ring_cameras(4).to(torch.float64).rotation).world_from_new
    torch.testing.assert_close(
        (joints - a[:, 3]) @ a[:, :3], (straight - b[:, 3]) @ b[:, :3], atol=1e-6, rtol=0
    )
    assert rotation_angle(a[:, :3], a[:, :3]) == pytest.approx(0, abs=1e-7)


def test_a_body_that_was_never_seen_whole_is_refused():
    joints, cameras, _ = turned_world()
    joints[:, H36M_17.index("left_ankle")] = torch.nan
    with pytest.raises(ValueError, match="never reconstructed in the same frame"):
        upright_from_body(joints, H36M_17, cameras.rotation)


def test_a_skeleton_without_feet_is_refused():
    bust = Skeleton("bust", ("left_shoulder", "right_shoulder"), (), "left_shoulder")
    with pytest.raises(ValueError, match="left_ankle"):
        upright_from_body(torch.zeros(3, 2, 3), bust, torch.eye(3)[None])
