import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.geometry.rotations import nearest_rotation
from coview.representations.normalised import (
    image_rays,
    present,
    ray_from_camera,
    root_centred,
    root_mean_square,
    rotated_rays,
    unit_norm,
    weighted_centred,
    weighted_unit_norm,
)


def pose(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 100 * torch.randn(4, 6, 2, generator=generator) + 500, torch.ones(4, 6)


def test_present_leaves_what_was_seen():
    joints, confidence = pose()
    clean, weights = present(joints, confidence, 0)
    assert torch.equal(clean, joints)
    assert torch.equal(weights, confidence)


@pytest.mark.parametrize("how", ["nan pixel", "zero confidence", "both", "infinite"])
def test_present_moves_the_unseen_to_the_root_with_weight_zero(how):
    joints, confidence = pose()
    if how != "zero confidence":
        joints[1, 3] = torch.inf if how == "infinite" else torch.nan
    if how in ("zero confidence", "both"):
        confidence[1, 3] = 0
    clean, weights = present(joints, confidence, 0)
    assert torch.equal(clean[1, 3], joints[1, 0])
    assert weights[1, 3] == 0
    assert weights.sum() == 23


def test_present_drops_a_view_without_its_root():
    joints, confidence = pose()
    joints[2, 0], confidence[2, 0] = torch.nan, 0
    clean, weights = present(joints, confidence, 0)
    assert not weights[2].any()
    assert not clean[2].isnan().any()
    assert torch.equal(root_centred(clean, 0)[2, 0], torch.zeros(2))


def test_present_lets_no_nan_into_gradients():
    joints, confidence = pose()
    joints[1, 3], joints[2, 0] = torch.nan, torch.nan
    joints.requires_grad_()
    clean, weights = present(joints, confidence, 0)
    unit_norm(root_centred(clean, 0), weights > 0).square().sum().backward()
    assert joints.grad.isfinite().all()


def test_unit_norm_is_frobenius_norm_one():
    joints, _ = pose()
    flat = unit_norm(root_centred(joints, 0), torch.ones(4, 6, dtype=torch.bool))
    torch.testing.assert_close(flat.flatten(-2).norm(dim=-1), torch.ones(4))


def test_an_occlusion_does_not_enlarge_the_rest():
    joints = torch.tensor([[1.0, 1], [-1, 1], [1, -1], [-1, -1]])
    everything = unit_norm(joints, torch.tensor([True] * 4))
    hidden = unit_norm(joints, torch.tensor([True, True, True, False]))
    torch.testing.assert_close(hidden[:3], everything[:3])


def test_root_mean_square_of_nothing_can_divide():
    joints = torch.zeros(2, 5, 2, requires_grad=True)
    size = root_mean_square(joints, torch.tensor([True, False])[:, None].expand(2, 5))
    (joints.sum(dim=(-2, -1)) / size).sum().backward()
    assert (size > 0).all()
    assert joints.grad.isfinite().all()


def test_image_rays_by_hand():
    # 101 × 201 pixels: the centre is pixel (50, 100); diagonal √(101² + 201²)
    rays = image_rays(torch.tensor([[50.0, 100.0], [60.0, 90.0]]), torch.tensor([101.0, 201.0]), 1.0)
    diagonal = (101**2 + 201**2) ** 0.5
    torch.testing.assert_close(rays, torch.tensor([[0.0, 0.0], [10 / diagonal, -10 / diagonal]]))
    twice = image_rays(torch.tensor([[60.0, 90.0]]), torch.tensor([101.0, 201.0]), 2.0)
    torch.testing.assert_close(twice, rays[1:] / 2)


@settings(deadline=None, max_examples=30)
@given(x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_ray_frames_have_the_ray_as_their_z_axis_and_no_roll(x, y):
    ray = torch.tensor([x, y], dtype=torch.float64)
    rotation = ray_from_camera(ray)
    torch.testing.assert_close(rotation, nearest_rotation(rotation))  # orthonormal, det = +1
    direction = rotation @ torch.tensor([x, y, 1.0], dtype=torch.float64)
    torch.testing.assert_close(direction[:2], torch.zeros(2, dtype=torch.float64), atol=1e-12, rtol=0)
    assert direction[2] > 0
    assert abs(rotation[0, 1]) < 1e-12  # the camera's vertical has no x in the ray frame


def test_ray_frame_agrees_with_yaw_and_pitch():
    # methods/canonpose.md §11: A = (R_y(α) R_x(-β))ᵀ with α = atan x, β = atan(y / √(1 + x²))
    x, y = torch.tensor([0.4, -0.7], dtype=torch.float64)
    yaw, pitch = x.atan(), -(y / (1 + x * x).sqrt()).atan()
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    about_y = torch.stack([yaw.cos(), zero, yaw.sin(), zero, one, zero, -yaw.sin(), zero, yaw.cos()])
    about_x = torch.stack([one, zero, zero, zero, pitch.cos(), -pitch.sin(), zero, pitch.sin(), pitch.cos()])
    expected = (about_y.reshape(3, 3) @ about_x.reshape(3, 3)).T
    torch.testing.assert_close(ray_from_camera(torch.stack([x, y])), expected)


def test_turned_is_what_a_turned_camera_sees():
    points = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)) + torch.tensor([0.5, -0.5, 6.0])
    rays = points[:, :2] / points[:, 2:]
    rotation = ray_from_camera(rays[0])
    expected = points @ rotation.T
    torch.testing.assert_close(rotated_rays(rays, rotation), expected[:, :2] / expected[:, 2:])
    torch.testing.assert_close(rotated_rays(rays, rotation)[0], torch.zeros(2), atol=1e-6, rtol=0)


def test_weighted_place_and_size_forget_an_unsure_joint():
    """The paper's root and RMS do not: a wrong joint moves or shrinks all the others."""
    generator = torch.Generator().manual_seed(0)
    pose, weights = torch.randn(17, 2, generator=generator), torch.ones(17)
    wild = pose.clone()
    wild[0] += 30.0  # the root
    unsure = weights.clone()
    unsure[0] = 1e-4
    expected = weighted_unit_norm(pose, unsure)[1:]
    torch.testing.assert_close(weighted_unit_norm(wild, unsure)[1:], expected, atol=5e-3, rtol=0)
    by_root = unit_norm(root_centred(pose, 0), weights > 0), unit_norm(root_centred(wild, 0), weights > 0)
    assert (by_root[0] - by_root[1])[1:].abs().max() > 0.3


def test_weighted_place_and_size_by_hand():
    pose = torch.tensor([[0.0, 0.0], [4.0, 0.0], [9.0, 9.0]])
    weights = torch.tensor([0.5, 0.5, 0.0])
    torch.testing.assert_close(weighted_centred(pose, weights)[:2], torch.tensor([[-2.0, 0.0], [2.0, 0.0]]))
    # RMS coordinate of the two is √2; all three joints at that size have norm √2 · √6
    flat = weighted_unit_norm(pose, weights)
    torch.testing.assert_close(flat[1], torch.tensor([2 / 12**0.5, 0.0]))
    assert flat[2].tolist() == [0, 0]
    assert weighted_unit_norm(pose, torch.zeros(3)).isfinite().all()
    torch.testing.assert_close(weighted_centred(pose, torch.zeros(3)), pose)
