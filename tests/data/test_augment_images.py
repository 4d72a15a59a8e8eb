import math
from dataclasses import replace

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.augment import Augment
from coview.data.augment_images import UNVARIED, ImageAugment, moved, warped, with_occluders
from coview.data.synthetic.recordings import ring_cameras
from coview.sample import MultiView
from coview.skeletons import H36M_17

SIZE = 96  # pixels
SPOT = H36M_17.index("left_wrist")


def spotted(instants: int = 3, squeeze: float = 1.0, skew: float = 0.0) -> MultiView:
    """People of whom only the left wrist is seen, as a bright spot; the principal point is off the centre."""
    joints3d = random_motion(instants, fps=2.0, seed=0)
    cameras = ring_cameras(2, focal=1.2 * SIZE, size=(SIZE, SIZE)).expand(instants, 2)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[..., :2, 2] += torch.tensor([5.0, -8.0])
    intrinsics[..., 0, 0] *= squeeze
    intrinsics[..., 0, 1] = skew
    cameras = replace(cameras, intrinsics=intrinsics)
    joints2d = cameras.project(joints3d[:, None])
    rows = torch.arange(float(SIZE))
    x, y = ((rows - joints2d[..., SPOT, axis, None]).square().div(-2 * 1.5**2).exp() for axis in (0, 1))
    images = (y[..., :, None] * x[..., None, :])[:, :, None].expand(-1, -1, 3, -1, -1)
    return MultiView(
        H36M_17,
        images=images.contiguous(),
        cameras=cameras,
        joints2d=joints2d,
        confidence=torch.ones(instants, 2, 17),
        image_size=cameras.size,
        joints3d=joints3d,
        rig=torch.zeros(instants, dtype=torch.long),
    )


def brightest(images: torch.Tensor) -> torch.Tensor:
    """Centre of mass, pixels (column, row)."""
    rows = torch.arange(float(SIZE))
    mass = images[..., 0, :, :]
    total = mass.sum(dim=(-2, -1))
    return torch.stack([(mass.sum(-2) * rows).sum(-1) / total, (mass.sum(-1) * rows).sum(-1) / total], dim=-1)


@pytest.mark.parametrize(("squeeze", "skew"), [(1.0, 0.0), (0.8, 0.0), (0.8, 6.0)])
def test_pixels_and_labels_still_agree(squeeze, skew):
    """The spot is where the world's joint is projected by the changed camera, to the bilinear grain."""
    before = spotted(squeeze=squeeze, skew=skew)
    before = before.replaced(pseudo_cameras=before.cameras, pseudo3d=before.joints3d)
    torch.manual_seed(0)
    after = ImageAugment(rotated=1.0, gain=0.0, occluders=0)(before)
    for cameras in (after.cameras, after.pseudo_cameras):
        seen = cameras.project(after.joints3d[:, None])
        torch.testing.assert_close(seen, after.joints2d, atol=2e-4, rtol=0.0)
        inside = ((seen[..., SPOT, :] > 8) & (seen[..., SPOT, :] < SIZE - 9)).all(dim=-1)
        assert inside.sum() >= 3
        torch.testing.assert_close(
            brightest(after.images)[inside], seen[..., SPOT, :][inside], atol=0.02, rtol=0
        )
    assert (after.cameras.rotation - before.cameras.rotation).abs().max() > 0.1
    assert after.cameras.intrinsics[..., 1, 0].abs().max() == 0
    assert (after.cameras.focal > 0).all()
    torch.testing.assert_close(torch.linalg.det(after.cameras.rotation), torch.ones(3, 2))
    assert torch.equal(after.joints3d, before.joints3d)
    assert "rig" not in after.fields


def test_a_quarter_turn_is_the_camera_s_own_and_a_half_size_has_half_the_focal_length():
    before = spotted()
    quarter = torch.full((3, 2), math.pi / 2)
    after = moved(before, torch.ones(3, 2), quarter)
    expected = before.cameras.rotate(1)
    torch.testing.assert_close(after.cameras.intrinsics, expected.intrinsics, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(after.cameras.cam_from_world, expected.cam_from_world, atol=1e-5, rtol=1e-4)
    turned = warped(before.images.flatten(0, 1), torch.ones(6), quarter.flatten())
    torch.testing.assert_close(turned, before.images.flatten(0, 1).rot90(-1, (-2, -1)), atol=1e-4, rtol=0)
    half = moved(before, torch.full((3, 2), 2.0), torch.zeros(3, 2)).cameras
    torch.testing.assert_close(half.focal, before.cameras.focal / 2)
    assert torch.equal(half.cam_from_world, before.cameras.cam_from_world)


def test_pictures_that_are_not_square():
    image = torch.rand(1, 3, 32, 64)
    same = warped(image, torch.ones(1), torch.zeros(1))
    torch.testing.assert_close(same, image, atol=1e-5, rtol=0)
    upside_down = warped(image, torch.ones(1), torch.full((1,), math.pi))
    torch.testing.assert_close(upside_down, image.flip(-1).flip(-2), atol=1e-4, rtol=0)


def test_extrinsics_that_nobody_knows_stay_unknown_and_intrinsics_are_changed():
    before = spotted()
    blind = replace(before.cameras, cam_from_world=torch.full((3, 2, 3, 4), torch.nan))
    torch.manual_seed(0)
    after = ImageAugment(rotated=1.0)(before.replaced(cameras=blind, pseudo_cameras=before.cameras))
    assert after.cameras.cam_from_world.isnan().all()
    torch.testing.assert_close(after.cameras.intrinsics, after.pseudo_cameras.intrinsics)


def test_poses_in_camera_axes_turn_with_the_camera():
    before = spotted()
    centred = before.joints3d - before.joints3d[:, :1]
    guess = centred[:, None] @ before.cameras.rotation.mT
    torch.manual_seed(0)
    after = ImageAugment(rotated=1.0)(before.replaced(first_guess=guess))
    torch.testing.assert_close(
        after.first_guess, centred[:, None] @ after.cameras.rotation.mT, atol=1e-5, rtol=0
    )


def test_joints_that_leave_the_picture_are_not_seen_any_more():
    after = moved(spotted(), torch.full((3, 2), 0.4), torch.zeros(3, 2))
    outside = ((after.joints2d < -0.5) | (after.joints2d > SIZE - 0.5)).any(dim=-1)
    assert outside.any()
    assert torch.equal(after.confidence == 0, outside)


def test_drawn_from_the_global_seed_and_other_pictures_for_other_seeds():
    batch, vary = spotted(), ImageAugment()

    def shown(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return vary(batch).images

    assert torch.equal(shown(1), shown(1))
    assert not torch.equal(shown(1), shown(2))


def test_how_far_pictures_are_turned_and_zoomed():
    # methods/epipolarpose.md §3: 1 + 0.25 clip(N, ±1); with chance 0.6 30° clip(N, ±2)
    torch.manual_seed(0)
    zoom, turn = ImageAugment()._drawn(4000, torch.zeros(1))
    assert zoom.aminmax() == (0.75, 1.25)
    assert (turn == 0).float().mean().item() == pytest.approx(0.4, abs=0.03)
    assert turn.abs().max().item() == pytest.approx(math.radians(60))
    assert turn[turn != 0].std().item() == pytest.approx(math.radians(30) * 0.959, rel=0.05)


def test_things_cover_what_they_should_and_no_more():
    torch.manual_seed(0)
    images = torch.full((200, 3, 64, 64), 0.5)
    after = with_occluders(images, 7, 0.5)
    changed = ((after - images).abs() > 1e-3).any(dim=1).float().mean(dim=(-2, -1))
    assert (changed > 0).float().mean().item() < 0.55
    covered = changed[changed > 0].mean().item()
    assert 0.05 < covered < 0.4
    assert after.min() >= 0
    assert after.max() <= 1
    assert torch.equal(with_occluders(images, 7, 0.0), images)


def test_some_things_are_pieces_of_the_other_pictures():
    torch.manual_seed(0)
    images = torch.rand(40, 1, 1, 1).expand(40, 3, 32, 32)
    after = with_occluders(images.contiguous(), 7, 1.0)
    known = images[:, 0, 0, 0]
    alike = (after[:, 0, :, :, None] - known).abs().amin(dim=-1) < 1e-5
    foreign = alike & ((after[:, 0] - images[:, 0]).abs() > 1e-3)
    assert foreign.any(dim=-1).any(dim=-1).float().mean() > 0.5


def test_colours_are_stronger_or_weaker_by_channel_and_stay_colours():
    images = torch.full((50, 1, 3, 8, 8), 0.9)
    torch.manual_seed(0)
    after = replace(UNVARIED, gain=0.2)(MultiView(H36M_17, images=images)).images
    assert (after[:, :, :, 0, 0] == after[:, :, :, 3, 5]).all()
    assert after.max() == 1.0
    assert after.min().item() == pytest.approx(0.72, abs=0.01)
    assert after[:, 0, :, 0, 0].std(dim=-1).mean() > 0.03


def test_bytes_become_numbers_and_nothing_changes_without_settings():
    images = torch.randint(0, 256, (2, 2, 3, 32, 32), dtype=torch.uint8)
    batch = MultiView(H36M_17, images=images, rig=torch.zeros(2, dtype=torch.long))
    assert not UNVARIED.active
    after = UNVARIED(batch)
    assert torch.equal(after.images, images.float() / 255)
    assert "rig" in after.fields


def test_part_of_a_recipe_s_augmentation():
    batch = spotted()
    torch.manual_seed(0)
    after = Augment(images=ImageAugment())(batch)
    assert not torch.equal(after.images, batch.images)
    assert Augment(images=ImageAugment()).reads == frozenset()
    torch.manual_seed(0)
    both = Augment(mirror=1.0, images=ImageAugment(rotated=1.0))(batch)
    seen = both.cameras.project(both.joints3d[:, None])
    torch.testing.assert_close(seen, both.joints2d, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"gain": 20.0}, r"gain is a share, 0 to 1 \(not per cent\), got 20"),
        ({"rotation": 180.0}, "rotation is in degrees, 0 to 90"),
        ({"occluders": -1}, "occluders 0 or more"),
    ],
)
def test_settings_that_make_no_sense(wrong, words):
    with pytest.raises(ValueError, match=words):
        ImageAugment(**wrong)


def test_a_distorted_camera_is_refused():
    batch = spotted()
    bent = replace(batch.cameras, distortion=batch.cameras.distortion + 0.1)
    assert isinstance(bent, Cameras)
    with pytest.raises(ValueError, match="does not turn and zoom with a picture"):
        ImageAugment()(batch.replaced(cameras=bent))
