"""Whether 2D joints are in a skeleton's order, in any pose and from anywhere: moving bodies in random cameras."""

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.formats.keypoints.guess_skeleton import which_skeleton
from coview.formats.keypoints.skeleton_evidence import best_exchange, can_be_checked, order_cost, people_seen
from coview.geometry.rotations import rotation_from_axis_angle
from coview.skeletons import (
    BODY_25,
    BODY_25B,
    CANONPOSE_16,
    COCO_17,
    COCO_19,
    COCO_23,
    COCO_133,
    H36M_17,
    H36M_32,
    HALPE_26,
    LEARNABLE_17,
    MEDIAPIPE_33,
    MPI_INF_3DHP_17,
    OPENPOSE_18,
    PANOPTIC_19,
    Skeleton,
)

DETECTED = [H36M_17, COCO_17, MPI_INF_3DHP_17, LEARNABLE_17, CANONPOSE_16, OPENPOSE_18, COCO_19, PANOPTIC_19]
DETECTED += [COCO_23, BODY_25, BODY_25B, HALPE_26, MEDIAPIPE_33]
each_detected = pytest.mark.parametrize("skeleton", DETECTED, ids=lambda skeleton: skeleton.name)


def body(seed: int, frames: int = 40) -> dict[str, torch.Tensor]:
    """Joints of somebody who moves, metres, each of shape (frames, 3); face, hands and feet hang on their bones."""
    moving = random_motion(frames, fps=5.0, seed=seed)
    at = dict(zip(H36M_17.joints, moving.unbind(1), strict=True))
    left = torch.nn.functional.normalize(at["left_hip"] - at["right_hip"], dim=-1)
    up = torch.nn.functional.normalize(at["head_top"] - at["thorax"], dim=-1)
    ahead = torch.linalg.cross(left, up)
    at["neck"], at["head"] = at["thorax"], (at["nose"] + at["head_top"]) / 2
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, out in (("eye_inner", 0.02), ("eye", 0.03), ("eye_outer", 0.045)):
            at[f"{side}_{name}"] = at["nose"] + sign * out * left + 0.035 * up
        at[f"{side}_ear"] = at["nose"] + sign * 0.075 * left + 0.02 * up - 0.1 * ahead
        at[f"{side}_mouth"] = at["nose"] + sign * 0.025 * left - 0.04 * up
        ankle, fore = at[f"{side}_ankle"], at[f"{side}_wrist"] - at[f"{side}_elbow"]
        at[f"{side}_heel"] = ankle - 0.05 * ahead - 0.05 * up
        at[f"{side}_toe"] = at[f"{side}_big_toe"] = ankle + 0.16 * ahead - 0.05 * up
        at[f"{side}_small_toe"] = ankle + 0.14 * ahead + sign * 0.07 * left - 0.05 * up
        for name, along in (("thumb", 0.2), ("index", 0.4), ("pinky", 0.35)):
            at[f"{side}_{name}"] = at[f"{side}_wrist"] + along * fore
    return at


def seen(skeleton: Skeleton, seed: int, noise: float = 3.0, missing: float = 0.0) -> torch.Tensor:
    """Shape (2 views, frames, 1, joints, 3): cameras anywhere around, turned about any axis, some of them close."""
    at = body(seed)
    joints = torch.stack([at[name] for name in skeleton.joints], dim=1)
    views = []
    for _ in range(2):
        turned = (joints - joints.mean(dim=(0, 1))) @ rotation_from_axis_angle(3 * torch.randn(3)).mT
        depth = turned[..., 2:] + 2.5 + 5 * torch.rand(1)
        pixels = 1000 * turned[..., :2] / depth + 500 + noise * torch.randn(*turned.shape[:2], 2)
        confidence = (torch.rand(*turned.shape[:2], 1) >= missing).float()
        views.append(torch.cat([pixels, confidence], dim=-1))
    return torch.stack(views)[:, :, None]


@each_detected
def test_the_right_order_is_found_and_right(skeleton):
    for seed in range(4):
        points = seen(skeleton, seed, noise=float(1 + 2 * seed), missing=0.1 * seed)
        found, why = which_skeleton(points, None)
        assert found == skeleton, why


@each_detected
def test_a_random_order_is_refused(skeleton):
    for seed in range(4):
        points = seen(skeleton, seed)[..., torch.randperm(len(skeleton)), :]
        with pytest.raises(ValueError, match=r"in another order|do not tell which"):
            which_skeleton(points, None)


def test_two_exchanged_joints_are_named():
    order = list(range(25))
    a, b = BODY_25.index("left_knee"), BODY_25.index("right_wrist")
    order[a], order[b] = b, a
    points = seen(BODY_25, 0)[..., order, :]
    with pytest.raises(ValueError, match=r"'right_wrist' and 'left_knee' look exchanged"):
        which_skeleton(points, None)
    assert best_exchange(people_seen(points), BODY_25)[1] == ("right_wrist", "left_knee")


def test_the_cost_knows_no_size_place_or_turn():
    people = people_seen(seen(COCO_17, 1))
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    other = 3.7 * people @ turn + 1000
    assert torch.allclose(order_cost(people, COCO_17), order_cost(other, COCO_17), atol=1e-9)


def test_half_a_body_is_enough():
    points = seen(HALPE_26, 2)
    legs = [
        n
        for n, joint in enumerate(HALPE_26.joints)
        if any(p in joint for p in ("knee", "ankle", "toe", "heel"))
    ]
    points[..., legs, 2] = 0
    assert which_skeleton(points, None)[0] == HALPE_26


def test_who_is_looked_at():
    points = torch.rand(3, 700, 1, 17, 3) + 0.1
    points[:, :, :, 5:, 2] = 0
    assert len(people_seen(points)) == 0, "five joints tell nothing"
    points[0, :, :, 5:, 2] = 1
    assert len(people_seen(points)) == 700
    assert len(people_seen(points.repeat(4, 1, 1, 1, 1))) <= 1000


def test_joints_without_a_place_in_the_body():
    assert all(can_be_checked(skeleton) for skeleton in DETECTED)
    assert not can_be_checked(H36M_32)
    assert not can_be_checked(COCO_133)


@pytest.mark.parametrize("recording", ["pose2sim_single/balancing/pose-associated", "pose2sim_multi/pose"])
def test_real_recordings_pass(shared_data, recording):
    from coview.formats.keypoints.detections import stack_views
    from coview.formats.keypoints.sources import sources_in

    if not (shared_data / recording).is_dir():
        pytest.skip("the recording is not here")
    views = [source.read().points[:60] for source in sources_in(shared_data / recording).values()]
    found, why = which_skeleton(stack_views(views), None)
    assert found == (BODY_25B if "single" in recording else COCO_17), why
