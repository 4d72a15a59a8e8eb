import math
from dataclasses import replace

import pytest
import torch

from coview.data.base import joined
from coview.data.pseudo_labels.labels import PseudoConfig, pseudo_labels
from coview.data.synthetic.recordings import DetectorNoise, detect, random_motion, ring_cameras
from coview.geometry.rotations import rotation_angle
from coview.metrics.joint_error import p_joint_error
from coview.sample import MultiView
from coview.skeletons import H36M_17

NOISE = DetectorNoise(sigma=3.0, outlier_rate=0.02, outlier_px=60.0, missing_rate=0.02, swap_rate=0.01)


def recording(frames: int = 80, noise=NOISE, seed: int = 0, views: int = 4, rig: int = 0, turn: float = 0.3):
    """A person of 1.70 m in a ring of cameras."""
    cameras = ring_cameras(views, start_angle=turn)
    joints = random_motion(frames, fps=5.0, seed=seed, stature=1.7)
    pixels, confidence = detect(joints, cameras, noise, seed) if noise else (None, None)
    if noise is None:
        pixels = cameras.project(joints[:, None])
        confidence = torch.ones(pixels.shape[:-1])
    return MultiView(
        H36M_17,
        cameras=cameras.expand(frames, views),
        joints2d=pixels,
        confidence=confidence,
        image_size=cameras.size.expand(frames, views, 2),
        joints3d=joints,
        rig=torch.full((frames,), rig),
    )


def without_places(seen: MultiView) -> MultiView:
    cameras = replace(seen.cameras, cam_from_world=torch.full_like(seen.cameras.cam_from_world, torch.nan))
    return seen.replaced(cameras=cameras)


def test_exact_sightings_give_the_poses_back_up_to_a_similarity():
    seen = recording(noise=None)
    made = pseudo_labels(seen, PseudoConfig())
    assert float(p_joint_error(made.joints3d, seen.joints3d).max()) < 0.1
    assert made.joints3d.dtype == made.covariance.dtype == torch.float32
    assert made.inliers.all()
    height = made.joints3d[..., 2]
    assert 1.4 < float(height.amax(-1).median()) < 2.0  # metres, z up, from the floor
    assert float(height.amin(-1).median()) < 0.3
    reprojected = made.cameras.project(made.joints3d[:, None])
    torch.testing.assert_close(reprojected, seen.joints2d, atol=0.05, rtol=0)


def test_given_cameras_give_the_world_of_the_data():
    seen = recording(noise=None)
    made = pseudo_labels(seen, PseudoConfig(cameras="given"))
    torch.testing.assert_close(made.joints3d, seen.joints3d, atol=1e-4, rtol=0)
    torch.testing.assert_close(made.cameras.cam_from_world, seen.cameras.cam_from_world)


def test_only_lenses_are_read_unless_the_cameras_are_given():
    seen = recording()
    made, blind = (pseudo_labels(each, PseudoConfig()) for each in (seen, without_places(seen)))
    assert torch.equal(made.joints3d.nan_to_num(), blind.joints3d.nan_to_num())
    assert torch.equal(made.covariance.nan_to_num(), blind.covariance.nan_to_num())
    assert torch.equal(made.cameras.cam_from_world, blind.cameras.cam_from_world)
    with pytest.raises(ValueError, match="Use cameras='people'"):
        pseudo_labels(without_places(seen), PseudoConfig(cameras="given"))


def test_the_covariance_is_honest():
    """Squared errors in units of the stated covariance have the mean 3; the middle of them 2.37 (χ² of three)."""
    seen = recording(300, DetectorNoise(sigma=3.0, outlier_rate=0.0, missing_rate=0.0, swap_rate=0.0))
    made = pseudo_labels(seen, PseudoConfig(cameras="given"))
    miss = (made.joints3d - seen.joints3d).double()
    squared = (miss[..., None, :] @ torch.linalg.inv(made.covariance.double()) @ miss[..., None])[..., 0, 0]
    assert float(squared.nanmedian()) == pytest.approx(2.37, rel=0.25)


@pytest.mark.parametrize("cameras", ["given", "people"])
def test_crops_of_every_instant_give_the_same_answer(cameras):
    seen = recording()
    whole = pseudo_labels(seen, PseudoConfig(cameras=cameras))
    corner = 100 * torch.rand(80, 4, 2, generator=torch.Generator().manual_seed(0))
    size = torch.full((80, 4, 2), 800.0)
    cut = seen.replaced(
        cameras=seen.cameras.crop(corner, size),
        joints2d=seen.joints2d - corner[:, :, None],
        image_size=size,
    )
    made = pseudo_labels(cut, PseudoConfig(cameras=cameras))
    torch.testing.assert_close(made.cameras.cam_from_world, whole.cameras.cam_from_world, atol=1e-4, rtol=0)
    torch.testing.assert_close(made.joints3d, whole.joints3d, atol=2e-3, rtol=0, equal_nan=True)
    torch.testing.assert_close(made.cameras.intrinsics, cut.cameras.intrinsics)


def test_two_rigs_get_their_own_cameras():
    one, other = recording(rig=7), recording(rig=3, turn=1.0, seed=1)
    seen = joined([one, other])
    shuffled = torch.randperm(len(seen.rig), generator=torch.Generator().manual_seed(0))
    made = pseudo_labels(seen[shuffled], PseudoConfig())
    back = torch.argsort(shuffled)
    assert set(made.facts["rigs"]) == {"3", "7"}
    for part, alone in ((slice(0, 80), one), (slice(80, 160), other)):
        assert float(p_joint_error(made.joints3d[back][part], alone.joints3d).nanmean()) < 20
        found, truth = made.cameras[back][part], alone.cameras
        assert float((found.cam_from_world - found.cam_from_world[:1]).abs().max()) == 0
        relative = [each.rotation[:, 1:] @ each.rotation[:, :1].mT for each in (found, truth)]
        assert float(rotation_angle(*relative).max().rad2deg()) < 2


def test_a_mirrored_world_is_never_made():
    seen = recording(noise=None)
    made = pseudo_labels(without_places(seen), PseudoConfig())
    flipped = seen.joints3d * torch.tensor([-1.0, 1, 1])
    assert float(p_joint_error(made.joints3d, flipped).mean()) > 20
    assert torch.linalg.det(made.cameras.rotation).min() > 0.99


def test_joints_nobody_saw_are_unknown():
    seen = recording()
    pixels, confidence = seen.joints2d.clone(), seen.confidence.clone()
    pixels[3], confidence[5], confidence[7, 1:] = torch.nan, 0, 0.1
    made = pseudo_labels(seen.replaced(joints2d=pixels, confidence=confidence), PseudoConfig())
    assert made.joints3d[[3, 5, 7]].isnan().all()
    assert made.covariance[[3, 5, 7]].isnan().all()
    assert not made.inliers[[3, 5, 7]].any()
    assert math.isfinite(float(made.joints3d[10].sum()))


def test_cameras_that_move_within_a_rig_are_refused():
    seen = recording()
    places = seen.cameras.cam_from_world.clone()
    places[40:, :, 0, 3] += 0.5
    moving = seen.replaced(cameras=replace(seen.cameras, cam_from_world=places))
    with pytest.raises(ValueError, match=r"rig 0: its cameras move by up to 0\.5"):
        pseudo_labels(moving, PseudoConfig(cameras="given"))


@pytest.mark.parametrize("cameras", ["given", "people"])
def test_what_nobody_saw_is_refused(cameras):
    seen = recording()
    with pytest.raises(ValueError, match="Lower `min_confidence`"):
        pseudo_labels(seen.replaced(confidence=0 * seen.confidence), PseudoConfig(cameras=cameras))


def test_one_view_is_refused():
    with pytest.raises(ValueError, match="one ray has no depth"):
        pseudo_labels(recording(views=1), PseudoConfig())
