import pytest
import torch

from coview.data.augment import Augment
from coview.data.synthetic.recordings import EXACT, DetectorNoise, SyntheticConfig
from coview.data.virtual_views import VirtualViews
from coview.sample import MultiView
from coview.skeletons import H36M_17, SKELETONS, skeleton_map


def instants(count: int = 40, noise: DetectorNoise = EXACT) -> MultiView:
    batch = SyntheticConfig(instants=count, subjects=1, noise=noise).train().instants
    spread = 1e-4 * torch.eye(3).expand(count, len(batch.skeleton), 3, 3)
    return batch.replaced(
        pseudo3d=batch.joints3d, pseudo_cameras=batch.cameras, pseudo_covariance=spread
    ).only(batch.fields - {"joints3d", "cameras"} | {"pseudo3d", "pseudo_cameras", "pseudo_covariance"})


def test_without_errors_a_virtual_view_is_the_projection():
    torch.manual_seed(0)
    batch = VirtualViews(count=3).extended(instants())
    assert batch.joints2d.shape[:2] == (40, 7)
    seen = batch.pseudo_cameras.project(batch.pseudo3d[:, None])
    there = batch.confidence > 0
    assert there[:, 4:].float().mean() > 0.8
    torch.testing.assert_close(batch.joints2d[there], seen[there], atol=0.02, rtol=0.0)


def test_real_views_stay_as_they_are():
    before = instants(noise=DetectorNoise())
    after = VirtualViews(count=2).extended(before)
    torch.testing.assert_close(after.joints2d[:, :4], before.joints2d, equal_nan=True)
    assert torch.equal(after.confidence[:, :4], before.confidence)
    assert torch.equal(after.pseudo3d, before.pseudo3d)
    assert torch.equal(after.rig, before.rig)


def test_cameras_stand_upright_within_their_bounds_and_look_at_the_person():
    torch.manual_seed(1)
    views = VirtualViews(count=8, distance=(3.0, 4.0), height=(1.0, 2.0), roll=0.0, aim=0.0)
    batch = views.extended(instants())
    cameras = batch.pseudo_cameras[:, 4:]
    root = batch.pseudo3d[:, 0, None]
    along = (cameras.centres - root)[..., :2].norm(dim=-1)
    assert along.min() > 2.999
    assert along.max() < 4.001
    assert cameras.centres[..., 2].min() > 0.999
    assert cameras.centres[..., 2].max() < 2.001
    torch.testing.assert_close(torch.linalg.det(cameras.rotation), torch.ones(40, 8))
    assert (cameras.rotation[..., 1, 2] < 0).all()  # image down is world down
    middle = cameras.project(root[..., None, :])[..., 0, :]
    torch.testing.assert_close(middle, cameras.principal_point, atol=0.01, rtol=0.0)


def test_errors_and_gaps_are_those_of_real_views_in_proportion_to_the_person():
    noise = DetectorNoise(sigma=6.0, outlier_rate=0.0, missing_rate=0.1, swap_rate=0.0)
    torch.manual_seed(2)
    far = VirtualViews(count=4, distance=(10.0, 10.0), height=(1.5, 1.5))
    batch = far.extended(instants(noise=noise))
    error = (batch.joints2d - batch.pseudo_cameras.project(batch.pseudo3d[:, None])).norm(dim=-1)
    real, virtual = error[:, :4].nanmean(), error[:, 4:].nanmean()
    assert 0.4 < virtual / real < 0.6  # twice as far away as the ring of 5 m
    missing = (batch.confidence == 0).float()
    assert abs(missing[:, 4:].mean() - missing[:, :4].mean()) < 0.03
    assert batch.joints2d[batch.confidence == 0].isnan().all()


def test_poses_with_gaps_give_gaps():
    batch = instants()
    pose = batch.pseudo3d.clone()
    pose[0, 5], pose[1, 0], pose[2] = torch.nan, torch.nan, torch.nan
    after = VirtualViews(count=2).extended(batch.replaced(pseudo3d=pose))
    assert (after.confidence[0, 4:, 5] == 0).all()
    assert (after.confidence[2, 4:] == 0).all()
    assert (after.confidence[1, 4:] > 0).any()
    assert after.pseudo_cameras.cam_from_world.isfinite().all()


def test_generated_people_are_seen_by_virtual_cameras_with_real_errors():
    noise = DetectorNoise(sigma=6.0, outlier_rate=0.0, missing_rate=0.1, swap_rate=0.0)
    torch.manual_seed(5)
    batch = VirtualViews(count=2, generated=30).extended(instants(noise=noise))
    assert batch.joints2d.shape[:2] == (70, 6)
    poses = batch.pseudo3d[40:]
    assert len(poses.unique(dim=0)) > 25
    assert (poses[..., 2].amin(dim=1) > -0.05).all()
    seen = batch.pseudo_cameras.project(batch.pseudo3d[:, None])
    error = (batch.joints2d - seen).norm(dim=-1)
    assert 0.5 < error[40:].nanmean() / error[:40, :4].nanmean() < 2.0
    missing = (batch.confidence == 0).float()
    assert abs(missing[40:].mean() - missing[:40, :4].mean()) < 0.05
    assert batch.pseudo_covariance[40:].amax() < 1e-6
    assert batch.fields == {
        "joints2d", "confidence", "image_size", "pseudo3d", "pseudo_covariance", "pseudo_cameras"
    }  # fmt: skip
    mirrored = Augment(mirror=1.0, virtual=VirtualViews(count=2, generated=3))(instants())
    assert mirrored.joints2d.shape[:2] == (43, 6)


@pytest.mark.parametrize("skeleton", SKELETONS, ids=lambda skeleton: skeleton.name)
def test_joints_that_generated_people_lack_are_absent(skeleton):
    batch, mapped = instants(6), skeleton_map(H36M_17, skeleton, partial=True)
    fields = {"pseudo3d": mapped.apply(batch.pseudo3d)}
    fields["joints2d"] = batch.pseudo_cameras.project(fields["pseudo3d"][:, None])
    fields["confidence"] = torch.ones(6, 4, len(skeleton))  # a detector sees joints that no label tells of
    fields["joints2d"] = fields["joints2d"].nan_to_num(500.0)
    fields["pseudo_covariance"] = 1e-4 * torch.eye(3).expand(6, len(skeleton), 3, 3)
    whole = {name: batch.stored(name) for name in ("image_size", "pseudo_cameras")}
    after = VirtualViews(count=2, generated=20).extended(MultiView(skeleton, **fields, **whole))
    lacking = torch.tensor([joint in mapped.absent for joint in skeleton.joints])
    poses = after.pseudo3d[6:].isnan().any(dim=-1)
    assert torch.equal(poses, lacking.expand(20, -1))
    assert torch.equal(after.pseudo_covariance[6:].isnan().flatten(-2).any(dim=-1), poses)
    assert (after.confidence[6:][..., lacking] == 0).all()
    assert after.joints2d[6:][..., lacking, :].isnan().all()
    assert (after.confidence[6:][..., ~lacking] > 0).float().mean() > 0.8


def test_no_image_and_no_true_camera_is_made_up():
    real = SyntheticConfig(instants=3, subjects=1).train().instants
    batch = real.replaced(
        pseudo3d=real.joints3d, pseudo_cameras=real.cameras, images=torch.zeros(3, 4, 3, 2, 2)
    )
    assert not VirtualViews(count=1).extended(batch).fields & {"images", "cameras"}


def test_none_by_default_and_drawn_from_the_seed():
    batch = instants()
    assert VirtualViews().extended(batch) is batch
    augment = Augment(mirror=0.5, virtual=VirtualViews(count=2))
    assert {"pseudo3d", "pseudo_cameras", "image_size"} <= augment.reads
    torch.manual_seed(4)
    first = augment(batch)
    torch.manual_seed(4)
    torch.testing.assert_close(augment(batch).joints2d, first.joints2d, equal_nan=True)
    seen = first.pseudo_cameras.project(first.pseudo3d[:, None])
    there = first.confidence > 0
    torch.testing.assert_close(first.joints2d[there], seen[there], atol=0.03, rtol=0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": -1}, "are 0 or more"),
        ({"generated": 4}, "need virtual views"),
        ({"distance": (4.0, 3.0)}, "least, most"),
        ({"distance": (0.0, 3.0)}, "distance above 0"),
        ({"roll": -0.1}, "roll and aim are 0 or more"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        VirtualViews(**options)
