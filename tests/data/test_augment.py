from dataclasses import replace

import pytest
import torch

from coview.cameras import Cameras
from coview.data.augment import Augment, mirrored
from coview.data.synthetic import DetectorNoise, SyntheticConfig
from coview.sample import MultiView
from coview.skeletons import H36M_17

CHOSEN = torch.tensor([True, False, True, False])


def instants(**options) -> MultiView:
    return SyntheticConfig(instants=4, subjects=1, **options).train().instants


def test_labels_cameras_and_pixels_of_the_mirrored_world_agree():
    batch = mirrored(instants(), CHOSEN)
    torch.testing.assert_close(
        batch.cameras.project(batch.joints3d[:, None]), batch.joints2d, atol=1e-3, rtol=0.0
    )
    torch.testing.assert_close(torch.linalg.det(batch.cameras.rotation), torch.ones(4, 4))


def test_left_becomes_right_and_the_picture_is_flipped():
    before, after = instants(), mirrored(instants(), CHOSEN)
    left, right = H36M_17.index("left_wrist"), H36M_17.index("right_wrist")
    flipped = torch.stack([999 - before.joints2d[0, :, left, 0], before.joints2d[0, :, left, 1]], dim=-1)
    torch.testing.assert_close(after.joints2d[0, :, right], flipped)
    for name in ("joints2d", "confidence", "joints3d", "rig"):
        assert torch.equal(getattr(after, name)[~CHOSEN], getattr(before, name)[~CHOSEN])


def test_a_mirrored_rig_is_another_rig():
    """Its relative rotations are others: they must not be exchanged with those of the real one."""
    batch = mirrored(instants(), CHOSEN)
    assert batch.rig.tolist() == [-1, 0, -1, 0]
    between = batch.cameras.rotation[:, 1] @ batch.cameras.rotation[:, 0].mT
    assert (between[0] - between[1]).abs().max() > 0.5
    torch.testing.assert_close(between[0], between[2])


def test_mirrored_twice_is_the_same_world():
    before = instants(noise=DetectorNoise(missing_rate=0.2))
    after = mirrored(mirrored(before, CHOSEN), CHOSEN)
    torch.testing.assert_close(after.joints2d, before.joints2d, equal_nan=True, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(after.joints3d, before.joints3d)
    torch.testing.assert_close(after.cameras.cam_from_world, before.cameras.cam_from_world)
    assert torch.equal(after.rig, before.rig)


def test_images_are_flipped_with_the_joints():
    images = torch.rand(4, 4, 3, 2, 5)
    after = mirrored(instants().replaced(images=images), CHOSEN)
    assert torch.equal(after.images[0], images[0].flip(-1))
    assert torch.equal(after.images[1], images[1])


def test_the_base_point_is_mirrored_with_the_root():
    before = instants()
    after = mirrored(before.replaced(base_point=before.joints3d[:, H36M_17.root_index]), CHOSEN)
    torch.testing.assert_close(after.base_point, after.joints3d[:, H36M_17.root_index])


def test_only_what_is_there_is_needed():
    batch = instants().only(frozenset({"joints2d", "confidence", "image_size"}))
    assert mirrored(batch, CHOSEN).known == batch.known


def test_off_by_default_and_drawn_from_the_seed():
    batch = instants()
    assert Augment()(batch) is batch
    torch.manual_seed(3)
    first = Augment(mirror=0.5)(batch).rig
    torch.manual_seed(3)
    assert torch.equal(Augment(mirror=0.5)(batch).rig, first)
    assert (Augment(mirror=1.0)(batch).rig < 0).all()


def test_a_share_is_no_percentage_and_lenses_must_be_perfect():
    with pytest.raises(ValueError, match="mirror is a share, 0 to 1, got 50"):
        Augment(mirror=50.0)
    batch = instants()
    bent = replace(batch.cameras, distortion=batch.cameras.distortion + 0.1)
    assert isinstance(bent, Cameras)
    with pytest.raises(NotImplementedError, match="undistort first"):
        mirrored(batch.replaced(cameras=bent), CHOSEN)


def test_lenses_are_not_looked_at_where_cameras_are_not_read():
    batch = instants()
    bent = batch.replaced(cameras=replace(batch.cameras, distortion=batch.cameras.distortion + 0.1))
    read = bent.only(frozenset({"joints2d", "confidence", "image_size", "rig"}))
    assert (Augment(mirror=1.0)(read).rig == -1).all()
