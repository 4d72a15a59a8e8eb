from dataclasses import replace

import pytest
import torch

from coview.data.synthetic import SyntheticConfig
from coview.geometry.rotations import rotation_from_axis_angle
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.lifting import LiftedPoses, permutation_within, turned_pairs
from coview.sample import MultiView
from coview.skeletons import H36M_17

FOCAL = 1145 / 1000 / 2**0.5  # of SyntheticConfig's cameras, in image diagonals
METHOD = CanonPoseConfig(
    width=16, projection="perspective", focal=FOCAL, camera_term="mean", camera_weight=1.0
)


def instants(count: int) -> MultiView:
    return SyntheticConfig(instants=count, subjects=1).train().instants


def truly(method: CanonPose, batch: MultiView) -> LiftedPoses:
    """What a perfect network would say."""
    lifted = method(batch)
    pose = batch.joints3d - batch.joints3d[:, :1]
    rotation = lifted.seen.ray_from_camera @ batch.cameras.rotation
    return replace(lifted, canonical=pose[:, None].expand_as(lifted.canonical), ray_from_canonical=rotation)


def test_permutations_stay_in_their_group():
    groups = torch.tensor([2, 0, 2, 2, 0, 1, 0, 2])
    torch.manual_seed(0)
    drawn = [permutation_within(groups) for _ in range(50)]
    assert all(torch.equal(groups[order], groups) for order in drawn)
    assert all(torch.equal(order.sort().values, torch.arange(8)) for order in drawn)
    assert len({tuple(order.tolist()) for order in drawn}) > 20


def test_turned_pairs_equals_one_product_per_pair():
    generator = torch.Generator().manual_seed(0)
    pose = torch.randn(5, 3, 17, 3, generator=generator)
    rotation = torch.randn(2, 5, 3, 3, 3, 3, generator=generator)
    expected = torch.stack(
        [torch.stack([pose[:, a] @ rotation[:, :, a, b].mT for b in range(3)], dim=2) for a in range(3)],
        dim=2,
    )
    torch.testing.assert_close(turned_pairs(pose, rotation), expected)


# --- what a static rig keeps constant ----------------------------------------------------------------


def test_the_mean_rotation_of_a_rig_forgives_noise_that_single_rotations_do_not():
    """With one rotation error per instant, borrowing the mean costs less than borrowing another's."""
    batch, method = instants(200), METHOD.build(H36M_17)
    lifted = truly(method, batch)
    assert method.rig_error(lifted, batch.rig) < 1e-3
    error = 0.2 * torch.randn(200, 4, 3, generator=torch.Generator().manual_seed(0))
    # every canonical frame turned at random: own views stay exact, relative rotations do not
    turn = rotation_from_axis_angle(error)
    noisy = replace(
        lifted, canonical=lifted.canonical @ turn, ray_from_canonical=lifted.ray_from_canonical @ turn
    )
    torch.manual_seed(0)
    assert method.rig_error(noisy, batch.rig) < 0.3 * method.exchanged_error(noisy, batch.rig)


def test_the_mean_is_of_the_own_rig_only():
    batch, method = instants(40), METHOD.build(H36M_17)
    lifted = truly(method, batch)
    turn = rotation_from_axis_angle(torch.tensor([0.0, 0.0, 0.5]))
    rotation = lifted.ray_from_canonical.clone()
    rotation[20:, 1] = turn @ rotation[20:, 1]  # another rig: its second camera stands elsewhere
    other = replace(lifted, ray_from_canonical=rotation)
    split = torch.arange(40) // 20
    one_rig, two_rigs = method.rig_error(other, batch.rig), method.rig_error(other, split)
    assert two_rigs < one_rig
    assert method.rig_error(lifted, split) < 1e-3


def test_a_rig_seen_once_has_no_mean_and_weighs_nothing():
    batch, method = instants(3), METHOD.build(H36M_17)
    lifted = method(batch)
    assert method.rig_error(lifted, torch.arange(3)) == 0
    assert method.rig_error(lifted, torch.zeros(3, dtype=torch.long)) > 0


def test_the_mean_moves_poses_but_is_itself_a_constant():
    batch, method = instants(5), METHOD.build(H36M_17)
    loss = method.rig_error(method(batch), batch.rig)
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.parameters())


@pytest.mark.parametrize("name", ["width", "focal", "pose_start"])
def test_settings_are_named_with_their_class(name):
    with pytest.raises(ValueError, match=f"CanonPoseConfig: .*{name}"):
        CanonPoseConfig(**{name: 0 if name == "width" else 0.0})
