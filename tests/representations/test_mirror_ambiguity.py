import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.data.synthetic.recordings import SyntheticConfig
from coview.losses import scale_free_error
from coview.representations.mirror_ambiguity import (
    mirror_decision,
    mirrored,
    perspective_image,
    perspective_residual,
    same_size_mean,
)
from coview.representations.normalised import image_rays, ray_from_camera, rotated_rays

FOCAL = 1145 / 1000 / 2**0.5  # of SyntheticConfig's cameras, in image diagonals


def views(instants: int = 60, focal: float = FOCAL) -> tuple[torch.Tensor, torch.Tensor]:
    """True poses in camera axes, root-centred, and the rays of their joints; double precision."""
    batch = SyntheticConfig(instants=instants, subjects=min(3, instants)).train().instants
    poses = batch.cameras.to_camera(batch.joints3d[:, None]).double()
    rays = image_rays(batch.joints2d.double(), batch.image_size.double(), focal)
    return (poses - poses[..., :1, :]).flatten(0, 1), rays.flatten(0, 1)


def in_ray_frames(poses: torch.Tensor, rays: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rotation = ray_from_camera(rays[..., 0, :])
    return poses @ rotation.mT, rotated_rays(rays, rotation)


def test_perspective_explains_true_poses_exactly_and_orthography_does_not():
    """T5b: noise-free perspective data with the true pose and rotation."""
    poses, rays = in_ray_frames(*views())
    ones = torch.ones_like(rays[..., 0])
    exact = scale_free_error(perspective_image(poses, rays, ones), rays, ones)
    flat = scale_free_error(poses[..., :2], rays, ones)
    assert exact.mean() < 1e-5
    assert 0.01 < flat.mean() < 0.05


def test_an_unknown_focal_length_costs_little():
    poses, rays = in_ray_frames(*views(focal=1.0))  # 1.23 times too long, as for unknown cameras
    ones = torch.ones_like(rays[..., 0])
    assert scale_free_error(perspective_image(poses, rays, ones), rays, ones).mean() < 0.012


def test_size_of_the_pose_does_not_matter():
    poses, rays = in_ray_frames(*views(2))
    ones = torch.ones_like(rays[..., 0])
    image = perspective_image(poses, rays, ones)
    torch.testing.assert_close(perspective_image(1000 * poses, rays, ones), 1000 * image)


def test_moving_away_is_no_explanation():
    """The depth is constant in the gradient: stretching a pose in z changes only the perspective."""
    poses, rays = in_ray_frames(*views(2))
    poses.requires_grad_()
    perspective_image(poses, rays, torch.ones_like(rays[..., 0])).sum().backward()
    assert poses.grad.isfinite().all()
    assert (poses.grad[..., :2] > 0.5).all()


@pytest.mark.parametrize(
    "pose", [torch.zeros(2, 5, 3), torch.full((2, 5, 3), -1e6), torch.full((2, 5, 3), 1e6)]
)
def test_absurd_poses_have_finite_images_and_gradients(pose):
    pose = pose.clone().requires_grad_()
    image = perspective_image(pose, torch.zeros(2, 5, 2), torch.zeros(2, 5))
    image.sum().backward()
    assert image.isfinite().all()
    assert pose.grad.isfinite().all()


@settings(deadline=None, max_examples=10)
@given(
    noise=st.sampled_from([0.0, 0.02, 0.04]), focal=st.sampled_from([0.5, 1.0, 1.23, 2.0]), flip=st.booleans()
)
def test_a_mirrored_model_is_detected(noise, focal, flip):
    """T5, with 3D noise (metres) and a wrong focal length; 40 instants of 4 views."""
    poses, rays = views(40, focal * FOCAL)
    poses, rays = in_ray_frames(
        poses + noise * torch.randn(poses.shape, generator=torch.Generator().manual_seed(0)), rays
    )
    decision = mirror_decision(mirrored(poses) if flip else poses, rays, torch.ones_like(rays[..., 0]))
    assert decision.flipped == flip
    assert decision.sigmas > 5
    assert decision.views == len(poses)
    assert (decision.mirrored_residual < decision.residual) == flip


def test_the_decision_needs_neither_scale_nor_the_unseen():
    poses, rays = in_ray_frames(*views(20))
    weights = torch.ones_like(rays[..., 0])
    weights[:, 3], rays[:, 3] = 0, rays[:, 0]
    weights[:10] = 0  # views nobody saw
    decision = mirror_decision(mirrored(77 * poses), rays, weights)
    assert decision.flipped
    assert decision.views == len(poses) - 10


def test_without_views_nothing_is_flipped():
    poses, rays = views(2)
    decision = mirror_decision(poses, rays, torch.zeros_like(rays[..., 0]))
    assert (decision.flipped, decision.sigmas, decision.views) == (False, 0.0, 0)


def test_true_poses_leave_no_residual():
    poses, rays = views(10)
    ones = torch.ones_like(rays[..., 0])
    assert perspective_residual(poses, rays, ones).max() < 1e-5  # float32 images
    assert perspective_residual(mirrored(poses), rays, ones).mean() > 0.02


def test_degenerate_views_have_bounded_residuals():
    flat = torch.zeros(3, 6, 3, dtype=torch.float64)
    residual = perspective_residual(
        flat, torch.randn(3, 6, 2, dtype=torch.float64), torch.ones(3, 6).double()
    )
    assert (residual <= 10).all()


def test_same_size_mean_is_not_outvoted_by_the_larger_pose():
    first, second = torch.randn(2, 17, 3, generator=torch.Generator().manual_seed(0))
    mean = same_size_mean(first, second)
    grown = same_size_mean(100 * first, second)
    torch.testing.assert_close(grown / grown.norm(), mean / mean.norm())
    torch.testing.assert_close(same_size_mean(first, first), first)
    assert same_size_mean(torch.zeros(17, 3), torch.zeros(17, 3)).isfinite().all()
