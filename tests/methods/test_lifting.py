from dataclasses import replace

import pytest
import torch

from coview.data.synthetic import SyntheticConfig
from coview.geometry.rotations import rotation_from_axis_angle
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.lifting import LiftedPoses, Seen, permutation_within, turned_pairs
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
