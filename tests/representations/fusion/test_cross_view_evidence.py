import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.geometry.rotations import rotation_from_axis_angle
from coview.representations.fusion.cross_view_evidence import evidence_for, pair_images, without_lone_lines

BOTH = pytest.mark.parametrize("perspective", [False, True], ids=["parallel", "perspective"])


def world(perspective: bool, seed: int = 0, views: int = 3, instants: int = 4, joints: int = 8):
    """A random pose before random cameras that look at its root: 2D, pose, rotation of views. float64"""
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(instants, joints, 3, generator=generator, dtype=torch.float64) / 3
    pose = (points - points[:, :1])[:, None].expand(-1, views, -1, -1)
    turn = torch.randn(instants, views, 3, generator=generator, dtype=torch.float64)
    rotation = rotation_from_axis_angle(turn)
    depth = 6 + 2 * torch.rand(instants, views, 1, generator=generator, dtype=torch.float64)
    inside = pose @ rotation.mT
    image = inside[..., :2] / (depth[..., None] + (inside[..., 2:] if perspective else 0.0))
    return image, pose, rotation, 1 / depth[..., 0]


def pairs_of(image, pose, rotation, perspective, scale="robust"):
    seen = torch.ones(image.shape[:-1], dtype=torch.bool)
    views = image.shape[1]
    every = rotation[:, None].expand(-1, views, -1, -1, -1)
    return pair_images(image, seen, seen, pose, every, scale=scale, perspective=perspective)


@BOTH
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_true_poses_and_rotations_image_where_the_joint_is(perspective, seed):
    image, pose, rotation, scale = world(perspective, seed)
    pairs = pairs_of(image, pose, rotation, perspective)
    expected = image.mT[:, None].expand_as(pairs.image)
    torch.testing.assert_close(pairs.image, expected, atol=1e-9, rtol=0)
    torch.testing.assert_close(pairs.scale, scale[:, None].expand_as(pairs.scale), rtol=1e-7, atol=0)
    torch.testing.assert_close(pairs.unit, image.square().sum(dim=(-2, -1)).sqrt(), rtol=1e-7, atol=0)


@BOTH
@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000))
def test_lines_go_through_the_true_joint(perspective, seed):
    image, pose, rotation, _ = world(perspective, seed)
    pairs = pairs_of(image, pose, rotation, perspective)
    instant, target, joint = torch.ones(image.shape[:-1]).nonzero(as_tuple=True)
    found = evidence_for(
        instant,
        target,
        joint,
        image,
        torch.ones(image.shape[:-1], dtype=torch.float64),
        pairs,
        own_view=True,
        own_scale=True,
        perspective=perspective,
        min_axis_sine=0.1,
    )
    x, y = (image[instant, target, joint] / pairs.unit[instant, target][:, None]).mT
    distance = (found.a * x + found.b * y + found.c)[found.line_weights > 0]
    assert distance.abs().max() < 1e-6
    assert (found.line_weights > 0).any()
    norm = (found.a.square() + found.b.square())[found.line_weights > 0]
    torch.testing.assert_close(norm, torch.ones_like(norm))


def test_line_is_the_image_of_points_on_the_ray():
    """Slow twin: points along the ray of the source, put into the target one by one."""
    image, pose, rotation, scale = world(True, views=2, instants=1)
    pairs = pairs_of(image, pose, rotation, True)
    one, zero = torch.tensor([1]), torch.tensor([0])
    weights = torch.ones(image.shape[:-1], dtype=torch.float64)
    line = evidence_for(
        zero,
        one,
        one * 5,
        image,
        weights,
        pairs,
        own_view=True,
        own_scale=True,
        perspective=True,
        min_axis_sine=0.0,
    )
    between = rotation[0, 1] @ rotation[0, 0].T
    for depth in (4.0, 6.0, 9.0):
        on_ray = depth * torch.cat([image[0, 0, 5], torch.ones(1, dtype=torch.float64)])
        from_root = on_ray - torch.tensor([0.0, 0.0, 1 / scale[0, 0]])
        in_target = between @ from_root + torch.tensor([0.0, 0.0, 1 / scale[0, 1]])
        x, y = in_target[:2] / in_target[2] / pairs.unit[0, 1]
        assert abs(line.a[0, 0] * x + line.b[0, 0] * y + line.c[0, 0]) < 1e-9


@BOTH
def test_an_outlier_bends_the_norm_but_not_the_fit(perspective):
    image, pose, rotation, scale = world(perspective)
    wild = image.clone()
    wild[:, :, 3] += 0.4
    seen = torch.ones(image.shape[:-1], dtype=torch.bool)
    trusted = seen.clone()
    trusted[:, :, 3] = False
    every = rotation[:, None].expand(-1, 3, -1, -1, -1)
    robust = pair_images(wild, seen, trusted, pose, every, scale="robust", perspective=perspective)
    plain = pair_images(wild, seen, trusted, pose, every, scale="norm", perspective=perspective)
    assert (robust.scale / scale[:, None] - 1).abs().max() < 1e-6
    assert (plain.scale / scale[:, None] - 1).min() > 0.05


def test_a_pose_of_no_size_and_an_empty_view_are_finite():
    image, pose, rotation, _ = world(True)
    seen = torch.ones(image.shape[:-1], dtype=torch.bool)
    seen[0, 1] = False
    image[0, 1] = 0
    every = rotation[:, None].expand(-1, 3, -1, -1, -1)
    for scale in ("norm", "robust"):
        pairs = pair_images(image, seen, seen, 0 * pose, every, scale=scale, perspective=True)
        assert all(t.isfinite().all() for t in (pairs.image, pairs.scale, pairs.unit))


def test_parallel_views_have_no_lines():
    image, pose, rotation, _ = world(False)
    same = rotation[:, :1].expand_as(rotation)
    pairs = pairs_of(image, pose, same, False)
    index = torch.arange(4)
    weights = torch.ones(image.shape[:-1], dtype=torch.float64)
    found = evidence_for(
        index,
        0 * index,
        0 * index + 3,
        image,
        weights,
        pairs,
        own_view=False,
        own_scale=True,
        perspective=False,
        min_axis_sine=0.0,
    )
    assert (found.line_weights == 0).all()
    assert all(each.isfinite().all() for each in (found.a, found.b, found.c))
    assert (found.point_weights[0] == 0).all()  # the target's own pose was not asked
    assert (found.point_weights[1:] == 1).all()


def test_a_lone_line_goes_and_two_stay():
    weights = torch.tensor([[0.9, 0.9, 0.0], [0.0, 0.5, 0.0], [0.0, 0.7, 0.0]])
    expected = torch.tensor([[0.0, 0.9, 0.0], [0.0, 0.5, 0.0], [0.0, 0.7, 0.0]])
    torch.testing.assert_close(without_lone_lines(weights), expected)
