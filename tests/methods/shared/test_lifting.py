from dataclasses import replace

import pytest
import torch

from coview.data.augment import mirrored
from coview.data.synthetic.recordings import SyntheticConfig
from coview.methods.canonpose import CanonPose, CanonPoseConfig
from coview.methods.shared.lifted import LiftedPoses
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
    rotation = lifted.observed.ray_from_camera @ batch.cameras.rotation
    return replace(lifted, canonical=pose[:, None].expand_as(lifted.canonical), ray_from_canonical=rotation)


@pytest.mark.parametrize("name", ["width", "focal", "pose_head_init_scale"])
def test_settings_are_named_with_their_class(name):
    with pytest.raises(ValueError, match=f"CanonPoseConfig: .*{name}"):
        CanonPoseConfig(**{name: 0 if name == "width" else 0.0})


# --- what the network is shown -----------------------------------------------------------------------


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
def test_with_a_flip_test_the_mirror_image_has_the_mirrored_pose(projection):
    """Left and right are treated alike: what a model alone has to learn holds exactly."""
    batch, everything = instants(5), torch.ones(5, dtype=torch.bool)
    config = replace(METHOD, projection=projection, pose_head_init_scale=1.0)
    swap, flip = list(H36M_17.mirror), torch.tensor([-1.0, 1.0, 1.0])
    gap = {}
    for both in (False, True):
        torch.manual_seed(0)
        method = replace(config, flip_test=both).build(H36M_17).eval()
        with torch.no_grad():
            plain = method(batch).joints3d
            other = method(mirrored(batch, everything)).joints3d[..., swap, :] * flip
        gap[both] = ((plain - other).norm() / plain.norm()).item()
    assert gap[False] > 0.3
    assert gap[True] < 1e-4


def test_a_flip_test_changes_nothing_in_training():
    batch = instants(3)
    torch.manual_seed(0)
    plain = METHOD.build(H36M_17)
    torch.manual_seed(0)
    both = replace(METHOD, flip_test=True).build(H36M_17)
    assert torch.equal(plain(batch).joints3d, both(batch).joints3d)
    assert not torch.allclose(plain.eval()(batch).joints3d, both.eval()(batch).joints3d)


def test_without_confidences_only_what_was_seen_matters():
    batch = instants(3)
    confidence = torch.rand(3, 4, 17, generator=torch.Generator().manual_seed(0)) + 0.05
    confidence[0, 0, 5] = 0
    method = replace(METHOD, use_confidence=False).build(H36M_17)
    seen = method.lifter_input(batch.replaced(confidence=confidence.clamp_max(1.0)))
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
