from dataclasses import replace

import pytest
import torch

from coview.data.augment import mirrored
from coview.data.synthetic.recordings import SyntheticConfig
from coview.geometry.rotations import rotation_from_axis_angle
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.shared.lifted import LiftedPoses, Seen
from coview.sample import MultiView
from coview.skeletons import H36M_17

FOCAL = 1145 / 1000 / 2**0.5  # of SyntheticConfig's cameras, in image diagonals
METHOD = CanonPoseConfig(width=16, projection="perspective", focal=FOCAL)


def instants(count: int) -> MultiView:
    return SyntheticConfig(instants=count, subjects=1).train().instants


def truly(method: CanonPose, batch: MultiView) -> LiftedPoses:
    """What a perfect network would say."""
    lifted = method(batch)
    pose = batch.joints3d - batch.joints3d[:, :1]
    rotation = lifted.seen.ray_from_camera @ batch.cameras.rotation
    return replace(lifted, canonical=pose[:, None].expand_as(lifted.canonical), ray_from_canonical=rotation)


# --- what a static rig keeps constant ----------------------------------------------------------------


def test_exchanged_rotations_cost_nothing_where_the_rig_is_static():
    batch, method = instants(40), METHOD.build(H36M_17)
    lifted = truly(method, batch)
    torch.manual_seed(0)
    assert method.exchanged_error(lifted, batch.rig) < 1e-3


def test_rotations_are_exchanged_within_a_rig_only():
    """Half of the instants come from a rig whose second camera stands elsewhere."""
    batch, method = instants(40), METHOD.build(H36M_17)
    lifted = truly(method, batch)
    turn = rotation_from_axis_angle(torch.tensor([0.0, 0.5, 0.0]))
    rotation = lifted.ray_from_canonical.clone()
    rotation[20:, 1] = turn @ rotation[20:, 1]
    other = replace(lifted, ray_from_canonical=rotation)
    method_errors = []
    for rig in (torch.zeros(40, dtype=torch.long), torch.arange(40) // 20):
        torch.manual_seed(0)
        method_errors.append(method.exchanged_error(other, rig) / len(rig.unique()))
    assert method_errors[1] < method_errors[0]


def test_a_rig_seen_once_has_nothing_to_exchange():
    batch, method = instants(3), METHOD.build(H36M_17)
    assert method.exchanged_error(method(batch), torch.arange(3)) == 0
    assert method.exchanged_error(method(batch), torch.zeros(3, dtype=torch.long)) > 0


def test_the_shared_rotation_is_the_mean_of_the_own_rig():
    batch, method = instants(200), METHOD.build(H36M_17)
    lifted = truly(method, batch)
    error = 0.2 * torch.randn(200, 4, 3, generator=torch.Generator().manual_seed(0))
    turn = rotation_from_axis_angle(error)  # of each canonical frame: own views stay exact, pairs do not
    noisy = replace(
        lifted, canonical=lifted.canonical @ turn, ray_from_canonical=lifted.ray_from_canonical @ turn
    )
    shared = method.shared_rotation(noisy, batch.rig)
    assert method.pair_errors(noisy, shared[None]).mean() < 0.02
    alone = noisy.ray_from_canonical[:, None].expand(-1, 4, -1, -1, -1)
    assert method.pair_errors(noisy, alone[None]).mean() > 0.1
    split = torch.arange(200) // 100
    torch.testing.assert_close(
        method.shared_rotation(noisy, split)[:100],
        METHOD.build(H36M_17).shared_rotation(_first(noisy, 100), split[:100]),
    )


def _first(lifted: LiftedPoses, count: int) -> LiftedPoses:
    seen = lifted.seen
    return LiftedPoses(
        joints3d=lifted.joints3d[:count],
        canonical=lifted.canonical[:count],
        ray_from_canonical=lifted.ray_from_canonical[:count],
        seen=Seen(
            joints=seen.joints[:count],
            confidence=seen.confidence[:count],
            ray_from_camera=seen.ray_from_camera[:count],
        ),
    )


def test_other_targets_than_what_was_lifted_can_be_compared_with():
    """What Self-Fusion does with refined joints."""
    batch, method = instants(5), METHOD.build(H36M_17)
    lifted = truly(method, batch)
    rep, view = method.own_and_cross(lifted)
    assert max(rep, view) < 1e-3
    moved = replace(lifted.seen, joints=lifted.seen.joints + 0.02 * torch.randn(5, 4, 17, 2))
    worse, cross = method.own_and_cross(lifted, moved)
    assert min(worse, cross) > 0.05


@pytest.mark.parametrize("name", ["width", "focal", "pose_start"])
def test_settings_are_named_with_their_class(name):
    with pytest.raises(ValueError, match=f"CanonPoseConfig: .*{name}"):
        CanonPoseConfig(**{name: 0 if name == "width" else 0.0})


# --- what the network is shown -----------------------------------------------------------------------


def test_a_wrong_root_does_not_shift_the_rest_when_placed_by_weights():
    """All the other joints are right, and so is the pose that the losses compare with them."""
    batch = instants(6)
    points = batch.cameras.to_camera(batch.joints3d[:, None])
    joints2d, confidence = 100 * points[..., :2] + 500, batch.confidence.clone()
    joints2d[..., 0, :] += 50.0
    confidence[..., 0] = 0.01
    batch = batch.replaced(joints2d=joints2d, confidence=confidence)
    error = {}
    for placed_by in ("root", "weighted"):
        method = replace(METHOD, projection="orthographic", placed_by=placed_by).build(H36M_17)
        error[placed_by] = method.own_and_cross(truly(method, batch))[0].item()
    assert error["weighted"] < 0.05 * error["root"]


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_the_truth_costs_nothing_however_it_is_placed(projection):
    batch = instants(6)
    if projection == "orthographic":
        points = batch.cameras.to_camera(batch.joints3d[:, None])
        batch = batch.replaced(joints2d=100 * points[..., :2] + 500)
    confidence = torch.rand(6, 4, 17, generator=torch.Generator().manual_seed(0)) + 0.1
    method = replace(METHOD, projection=projection, placed_by="weighted").build(H36M_17)
    batch = batch.replaced(confidence=confidence.clamp_max(1.0))
    rep, view = method.own_and_cross(truly(method, batch))
    assert max(rep, view) < 2e-3


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_both_sides_give_the_mirror_image_the_mirrored_answer(projection):
    """Left and right are treated alike: what a model alone has to learn holds exactly."""
    batch, everything = instants(5), torch.ones(5, dtype=torch.bool)
    config = replace(METHOD, projection=projection, pose_start=1.0)
    swap, flip = list(H36M_17.mirror), torch.tensor([-1.0, 1.0, 1.0])
    gap = {}
    for both in (False, True):
        torch.manual_seed(0)
        method = replace(config, both_sides=both).build(H36M_17).eval()
        with torch.no_grad():
            plain = method(batch).joints3d
            other = method(mirrored(batch, everything)).joints3d[..., swap, :] * flip
        gap[both] = ((plain - other).norm() / plain.norm()).item()
    assert gap[False] > 0.3
    assert gap[True] < 1e-4


def test_both_sides_change_nothing_in_training():
    batch = instants(3)
    torch.manual_seed(0)
    plain = METHOD.build(H36M_17)
    torch.manual_seed(0)
    both = replace(METHOD, both_sides=True).build(H36M_17)
    assert torch.equal(plain(batch).joints3d, both(batch).joints3d)
    assert not torch.allclose(plain.eval()(batch).joints3d, both.eval()(batch).joints3d)


def test_without_confidences_only_what_was_seen_matters():
    batch = instants(3)
    confidence = torch.rand(3, 4, 17, generator=torch.Generator().manual_seed(0)) + 0.05
    confidence[0, 0, 5] = 0
    method = replace(METHOD, use_confidence=False).build(H36M_17)
    seen = method.see(batch.replaced(confidence=confidence.clamp_max(1.0)))
    assert torch.equal(seen.confidence, (confidence > 0).float())


# --- the focal length --------------------------------------------------------------------------------


def test_the_focal_length_can_be_learned_from_true_poses_alone():
    """Started 1.5 times too long, it goes to the truth: no label says so but perspective itself."""
    batch = instants(100)
    method = replace(METHOD, focal=1.5 * FOCAL, learn_focal=True).build(H36M_17)
    optimiser = torch.optim.Adam([method.log_focal], lr=0.02)
    for _ in range(60):
        lifted = truly(method, batch)
        loss = sum(method.own_and_cross(lifted))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert method.focal.item() == pytest.approx(FOCAL, rel=0.1)


def test_an_assumed_focal_length_is_no_weight_and_a_learned_one_stays_near():
    plain, learned = METHOD.build(H36M_17), replace(METHOD, learn_focal=True).build(H36M_17)
    assert set(learned.state_dict()) - set(plain.state_dict()) == {"log_focal"}
    assert plain.focal.item() == pytest.approx(FOCAL)
    with torch.no_grad():
        learned.log_focal.fill_(9.0)
    assert learned.focal.item() == pytest.approx(FOCAL * 2.71828**0.9, rel=1e-3)


def test_a_focal_length_is_learned_under_perspective_only():
    with pytest.raises(ValueError, match="learn_focal needs projection 'perspective'"):
        CanonPoseConfig(learn_focal=True)
