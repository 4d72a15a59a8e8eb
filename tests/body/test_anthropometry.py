import pytest
import torch

from coview.body.anthropometry import BODY_CLEARANCE, DOFS, Body, limits, pose
from coview.skeletons import H36M_17

J = {name: H36M_17.index(name) for name in H36M_17.joints}


def a_body(seed: int = 0, stature: float = 1.75, variety: float = 0.03) -> Body:
    return Body.make(stature, torch.Generator().manual_seed(seed), variety)


def posed(**degrees: int) -> torch.Tensor:
    """A standing body at the origin that faces +x, every angle zero but the named ones."""
    angles = torch.tensor([degrees.get(name, 0.0) for name in DOFS]).deg2rad()
    return pose(a_body(variety=0.0), angles, torch.tensor(0.0), torch.zeros(2))


def test_the_upright_body_has_the_proportions_of_the_tables():
    # Winter (2009), fig. 4.1: hip height 0.530 of stature, knee 0.285, ankle 0.039; the crown is 1.
    joints = posed() / 1.75
    assert joints[J["pelvis"], 2] == pytest.approx(0.530, abs=1e-4)
    assert joints[J["left_knee"], 2] == pytest.approx(0.285, abs=1e-4)
    assert joints[J["right_ankle"], 2] == pytest.approx(0.039, abs=1e-4)
    assert joints[J["left_shoulder"], 2] == pytest.approx(0.818, abs=2e-3)
    assert joints[J["head_top"], 2] == pytest.approx(1.0, abs=2e-3)


def test_facing_x_the_left_side_is_at_plus_y_and_the_nose_in_front():
    joints = posed()
    for left, right in H36M_17.left_right:
        assert joints[J[left], 1] > 0 > joints[J[right], 1]
    assert joints[J["nose"], 0] > joints[J["thorax"], 0] + 0.05


@pytest.mark.parametrize("side", ["left", "right"])
def test_knees_bend_backward_and_elbows_forward(side):
    bent = posed(**{f"{side}_knee_flexion": 60, f"{side}_elbow_flexion": 60})
    assert bent[J[f"{side}_ankle"], 0] < bent[J[f"{side}_knee"], 0] - 0.2
    assert bent[J[f"{side}_wrist"], 0] > bent[J[f"{side}_elbow"], 0] + 0.1


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
def test_flexion_leads_forward_and_abduction_outward_on_both_sides(side, sign):
    forward = posed(**{f"{side}_hip_flexion": 40, f"{side}_shoulder_flexion": 40})
    assert forward[J[f"{side}_ankle"], 0] > 0.4
    assert forward[J[f"{side}_wrist"], 0] > 0.2
    outward = posed(**{f"{side}_hip_abduction": 30, f"{side}_shoulder_abduction": 90})
    assert sign * (outward[J[f"{side}_ankle"], 1] - outward[J[f"{side}_hip"], 1]) > 0.3
    assert sign * (outward[J[f"{side}_wrist"], 1] - outward[J[f"{side}_shoulder"], 1]) > 0.5
    inward = posed(**{f"{side}_shoulder_rotation": 60, f"{side}_elbow_flexion": 90})
    assert sign * (inward[J[f"{side}_wrist"], 1] - inward[J[f"{side}_elbow"], 1]) < -0.1


def test_trunk_angles_lean_forward_to_the_right_and_turn_to_the_left():
    assert posed(spine_flexion=40)[J["thorax"], 0] > 0.1
    assert posed(spine_bend=-20)[J["thorax"], 1] > 0.05  # `bend` is right-positive
    assert posed(spine_twist=30)[J["left_shoulder"], 0] < -0.05
    assert posed(neck_twist=40)[J["nose"], 1] > 0.03


def test_heading_turns_from_x_towards_y():
    joints = pose(a_body(), torch.zeros(len(DOFS)), torch.tensor(torch.pi / 2), torch.tensor([1.0, 2.0]))
    assert joints[J["nose"], 1] - joints[J["thorax"], 1] > 0.05
    assert joints[J["left_hip"], 0] < joints[J["right_hip"], 0]
    torch.testing.assert_close(joints[J["pelvis"], :2], torch.tensor([1.0, 2.0]))


def test_any_angles_keep_bone_lengths_and_stand_on_the_floor():
    low, _, high = limits()
    share = torch.rand(50, len(DOFS), generator=torch.Generator().manual_seed(1))
    body = a_body(3)
    joints = pose(body, low + share * (high - low), torch.zeros(50), torch.zeros(50, 2))
    parents, children = (list(column) for column in zip(*H36M_17.bone_indices, strict=True))
    lengths = (joints[:, parents] - joints[:, children]).norm(dim=-1)
    torch.testing.assert_close(lengths, lengths[:1].expand(50, -1), atol=1e-5, rtol=0)
    assert joints[..., 2].min() >= min(BODY_CLEARANCE, body.ankle_height) - 1e-6


def test_a_stature_in_millimetres_is_refused():
    with pytest.raises(ValueError, match=r"stature is given in metres, 0\.5 to 2\.5; got 1750.0"):
        a_body(stature=1750.0)
