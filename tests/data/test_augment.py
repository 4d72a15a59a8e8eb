from dataclasses import replace

import pytest
import torch

from coview.cameras import Cameras
from coview.data.augment import Augment, mirrored
from coview.data.synthetic.recordings import DetectorNoise, SyntheticConfig
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


def test_a_mirrored_person_is_somebody_else_at_the_same_time():
    before = instants().replaced(
        subject=torch.arange(4),
        labelled=torch.tensor([True, True, False, False]),
        labelled2d=torch.eye(4).bool(),
    )
    after = mirrored(before, CHOSEN)
    assert after.subject.tolist() == [-1, 1, -3, 3]
    assert after.sequence.tolist() == [-1, 0, -1, 0]
    for name in ("time", "labelled", "labelled2d"):
        assert torch.equal(after.stored(name), before.stored(name))
    assert after.fields == before.fields


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
    assert mirrored(batch, CHOSEN).fields == batch.fields


def test_off_by_default_and_drawn_from_the_seed():
    batch = instants()
    assert Augment()(batch) is batch
    torch.manual_seed(3)
    first = Augment(mirror=0.5)(batch).rig
    torch.manual_seed(3)
    assert torch.equal(Augment(mirror=0.5)(batch).rig, first)
    assert (Augment(mirror=1.0)(batch).rig < 0).all()


def test_a_share_is_no_percentage():
    with pytest.raises(ValueError, match="mirror is a share, 0 to 1, got 50"):
        Augment(mirror=50.0)


@pytest.mark.parametrize("fisheye", [False, True])
def test_bent_lenses_are_mirrored_too(fisheye):
    batch = instants()
    bend = torch.tensor([-0.1, 0.02, 0.003, -0.004, 0.001, 0.0, 0.0, 0.0])
    lenses = batch.cameras.distortion + (bend * 4 if fisheye else bend)
    if fisheye:
        lenses[..., 4:] = 0
    bent = replace(batch.cameras, distortion=lenses, fisheye=torch.full_like(batch.cameras.fisheye, fisheye))
    before = batch.replaced(cameras=bent, joints2d=bent.project(batch.joints3d[:, None]))
    after = mirrored(before, CHOSEN)
    assert isinstance(after.cameras, Cameras)
    again = after.cameras.project(after.joints3d[:, None])
    torch.testing.assert_close(again, after.joints2d, atol=1e-3, rtol=0.0)


def test_pseudo_labels_are_mirrored_with_their_cameras_and_spread():
    batch = instants()
    spread = torch.randn(4, 17, 3, 5, generator=torch.Generator().manual_seed(0))
    spread = spread @ spread.mT
    before = batch.replaced(pseudo3d=batch.joints3d, pseudo_cameras=batch.cameras, pseudo_covariance=spread)
    before = before.replaced(first_guess=before.cameras.to_camera(batch.joints3d[:, None]))
    after = mirrored(before, CHOSEN)
    torch.testing.assert_close(after.pseudo3d, after.joints3d)
    seen = after.pseudo_cameras.project(after.pseudo3d[:, None])
    torch.testing.assert_close(seen, after.joints2d, atol=1e-3, rtol=0.0)
    in_camera = after.pseudo_cameras.to_camera(after.pseudo3d[:, None])
    torch.testing.assert_close(after.first_guess, in_camera, atol=1e-5, rtol=0.0)
    # the spread along a direction is that of the mirror image along its mirror image
    way = torch.tensor([0.6, 0.48, 0.64])
    left, right = H36M_17.index("left_knee"), H36M_17.index("right_knee")
    other = way * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(way @ after.pseudo_covariance[0, left] @ way, other @ spread[0, right] @ other)


def test_lenses_are_not_looked_at_where_cameras_are_not_read():
    batch = instants()
    bent = batch.replaced(cameras=replace(batch.cameras, distortion=batch.cameras.distortion + 0.1))
    read = bent.only(frozenset({"joints2d", "confidence", "image_size", "rig"}))
    assert (Augment(mirror=1.0)(read).rig == -1).all()
