import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coview.geometry.rotations import rotation_from_axis_angle
from coview.losses import cross_view_error, limb_error, scale_free_error, view_disagreement


def poses(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    predicted, observed = torch.randn(2, 5, 8, 2, generator=generator)
    return predicted, observed, torch.rand(5, 8, generator=generator)


def slowly(predicted, observed, confidence):
    """The textbook: [Wandt21] eq. 5 for one pose, coordinate by coordinate."""
    joints = len(confidence)
    scale = [sum(float(v) ** 2 for p in pose for v in p) / (2 * joints) for pose in (predicted, observed)]
    total = 0.0
    for j in range(joints):
        for axis in range(2):
            a, b = predicted[j, axis] / scale[0] ** 0.5, observed[j, axis] / scale[1] ** 0.5
            total += float(confidence[j]) * abs(float(a - b))
    return total / (2 * joints)


def test_equals_the_slow_twin():
    predicted, observed, confidence = poses()
    expected = [slowly(p, o, c) for p, o, c in zip(predicted, observed, confidence, strict=True)]
    torch.testing.assert_close(scale_free_error(predicted, observed, confidence), torch.tensor(expected))


@settings(deadline=None, max_examples=20)
@given(scale=st.floats(1e-2, 1e3), seed=st.integers(0, 100))
def test_size_is_not_seen(scale, seed):
    predicted, observed, confidence = poses(seed)
    once, again = (scale_free_error(s * predicted, observed, confidence) for s in (1.0, scale))
    torch.testing.assert_close(once, again, rtol=1e-3, atol=1e-5)
    zero = scale_free_error(scale * observed, observed, confidence)
    torch.testing.assert_close(zero, torch.zeros(5), atol=1e-5, rtol=0)


def test_joints_without_confidence_do_not_count():
    predicted, observed, confidence = poses()
    confidence[:, 3] = 0
    expected = scale_free_error(predicted, observed, confidence)
    predicted[:, 3], observed[:, 3] = 100.0, -70.0
    torch.testing.assert_close(scale_free_error(predicted, observed, confidence), expected)


def test_batches_broadcast():
    predicted, observed, confidence = poses()
    every = scale_free_error(predicted[:, None], observed[None], confidence[None])
    assert every.shape == (5, 5)
    torch.testing.assert_close(every.diagonal(), scale_free_error(predicted, observed, confidence))


@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_a_pose_of_no_extent_has_a_finite_gradient(seen):
    predicted = torch.zeros(3, 8, 2, requires_grad=True)
    _, observed, _ = poses()
    error = scale_free_error(predicted, observed[:3], torch.full((3, 8), seen))
    error.sum().backward()
    assert error.isfinite().all()
    assert predicted.grad.isfinite().all()
    assert seen or not error.any()


def test_gradient():
    predicted, observed, confidence = (part.double() for part in poses())
    assert torch.autograd.gradcheck(
        lambda p: scale_free_error(p, observed, confidence), predicted.requires_grad_()
    )


def test_sized_by_weights_an_unsure_joint_does_not_shrink_the_rest():
    predicted = torch.randn(17, 2, generator=torch.Generator().manual_seed(0))
    observed = predicted.clone()
    observed[3] += 40.0
    confidence = torch.ones(17)
    confidence[3] = 1e-6
    assert scale_free_error(predicted, observed, confidence) > 0.2
    assert scale_free_error(predicted, observed, confidence, sized_by=confidence) < 1e-3
    unsized = scale_free_error(predicted, observed, torch.ones(17))
    same = scale_free_error(predicted, observed, torch.ones(17), sized_by=torch.ones(17))
    torch.testing.assert_close(unsized, same)


# --- views of one instant ---------------------------------------------------------------------------


def seen_from(views: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """One rigid pose of ten joints per instant in the axes of several cameras, and how far to trust it."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randn(3, 1, 10, 3, generator=generator)
    turn = rotation_from_axis_angle(3 * torch.randn(3, views, 3, generator=generator))
    moved = pose @ turn.mT + 5 * torch.randn(3, views, 1, 3, generator=generator)
    return moved, 0.3 + 0.7 * torch.rand(3, views, 10, generator=generator)


def pair_by_pair(poses, trust, min_joints):
    """The textbook: a Procrustes by SVD for every pair, joint by joint."""
    total, weight = 0.0, 0.0
    for instant, trusted in zip(poses.double(), trust.double(), strict=True):
        for v in range(len(instant)):
            for u in range(v):
                w = trusted[u] * trusted[v]
                if int((w > 0).sum()) < min_joints:
                    continue
                p, q = instant[u], instant[v]
                p_mean, q_mean = (w[:, None] * p).sum(0) / w.sum(), (w[:, None] * q).sum(0) / w.sum()
                left, _, right = torch.linalg.svd((w[:, None] * (p - p_mean)).T @ (q - q_mean))
                sign = torch.diag(torch.tensor([1.0, 1.0, torch.linalg.det(left @ right).sign()]).double())
                turn = right.T @ sign @ left.T
                gap = (p - p_mean) @ turn.T + q_mean - q
                total += float((w[:, None] * gap.abs()).sum())
                weight += float(w.sum())
    return total / weight


def test_one_rigid_pose_in_several_views_costs_nothing_however_they_stand():
    poses, trust = seen_from()
    assert view_disagreement(poses, trust) < 2e-5
    assert view_disagreement(torch.randn_like(poses), trust) > 0.3


def test_all_pairs_at_once_is_pair_by_pair():
    poses, trust = seen_from()
    poses = poses + 0.3 * torch.randn(poses.shape, generator=torch.Generator().manual_seed(1))
    trust = torch.where(trust < 0.5, 0.0, trust)  # some pairs are left with few joints
    expected = pair_by_pair(poses, trust, 6)
    assert view_disagreement(poses, trust) == pytest.approx(expected, rel=1e-4)


def test_a_joint_without_trust_does_not_move_the_others():
    """T5: with one view's wrist anywhere and trusted not at all, the motion is exact."""
    poses, trust = seen_from(2)
    poses[:, 0, 3] += 40.0
    trust[:, 0, 3] = 0.0
    assert view_disagreement(poses, trust) < 2e-5


def test_shrinking_one_view_costs():
    """With a scale in the motion it would not, and all views could shrink to a point."""
    poses, trust = seen_from(2)
    poses[:, 0] *= 0.5
    assert view_disagreement(poses, trust) > 0.2


def test_views_that_share_too_few_joints_cost_nothing_and_poison_nothing():
    poses, trust = seen_from(3)
    poses = (poses + 0.1 * torch.randn_like(poses)).requires_grad_()
    few = trust.clone()
    few[:, 2, 5:] = 0.0
    two = view_disagreement(poses[:, :2], trust[:, :2])
    torch.testing.assert_close(view_disagreement(poses, few), two)
    nothing = view_disagreement(poses, torch.zeros_like(trust))
    assert nothing == 0
    (nothing + view_disagreement(torch.zeros_like(poses) * poses, trust)).backward()
    assert poses.grad.isfinite().all()
    assert view_disagreement(poses[:, :1], trust[:, :1]) == 0  # one view agrees with itself


def test_what_one_view_says_of_another_costs_nothing_for_one_rigid_pose():
    poses, trust = seen_from()
    assert cross_view_error(poses, poses, trust) < 2e-5
    assert cross_view_error(poses[:, :1], poses[:, :1], trust[:, :1]) == 0  # nobody else saw anything
    assert cross_view_error(poses, poses, torch.zeros_like(trust)) == 0


def test_the_cheapest_pose_is_the_true_one_and_not_what_oneself_saw():
    """Errors of two pictures have nothing to do with each other."""
    truth, trust = seen_from()
    seen = truth + 0.1 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    assert cross_view_error(truth, seen, trust) < 0.85 * cross_view_error(seen, seen, trust)


def test_only_the_pose_learns_from_what_another_view_saw():
    poses, trust = seen_from(3)
    poses, seen = poses.requires_grad_(), (poses + 0.1).detach().requires_grad_()
    trust[:, 2, 5:] = 0.0  # too few joints for a motion
    (cross_view_error(poses, seen, trust) + cross_view_error(0 * poses, seen, trust)).backward()
    assert poses.grad.isfinite().all()
    assert seen.grad is None


def test_upright_poses_may_turn_about_the_vertical_and_lean_at_a_price():
    poses, trust = seen_from(1)
    angle = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    turn = rotation_from_axis_angle(angle[..., None] * torch.tensor([0.0, 0.0, 1.0]))
    upright = poses @ turn.mT + torch.randn(3, 4, 1, 3)
    trust = trust.expand(3, 4, 10)
    assert view_disagreement(upright, trust, upright=True) < 2e-5
    assert cross_view_error(upright, upright, trust, upright=True) < 2e-5
    leaning = upright @ rotation_from_axis_angle(torch.tensor([0.2, 0.0, 0.0])).mT
    for cost in (view_disagreement, lambda *a, **k: cross_view_error(a[0], *a, **k)):
        assert cost(leaning, trust) < 2e-5
        assert cost(leaning, trust, upright=True) > 0.05


def test_upright_the_motion_takes_part_in_the_gradient():
    """Held constant, what one step gains is lost by the motion that follows."""
    poses, trust = seen_from(3)
    poses = (poses + 0.3 * torch.randn(poses.shape, generator=torch.Generator().manual_seed(1))).double()
    trust = torch.where(trust < 0.5, 0.0, trust).double()
    assert torch.autograd.gradcheck(
        lambda p: view_disagreement(p, trust, upright=True), poses.requires_grad_()
    )
    seen = poses.detach() + 0.1
    assert torch.autograd.gradcheck(lambda p: cross_view_error(p, seen, trust, upright=True), poses)
    line = torch.tensor([0.001, 0.002, 0.0]) + torch.tensor([0.0, 0.0, 1.0]) * torch.randn(1, 2, 10, 1)
    line.requires_grad_()
    view_disagreement(line, torch.ones(1, 2, 10), upright=True).backward()
    assert line.grad.isfinite().all()


def test_limbs_cost_the_square_of_what_they_lack():
    lengths, means = torch.tensor([[1.0, 2.0, 5.0]]), torch.tensor([1.5, 2.0, 1.0])
    trust = torch.tensor([[1.0, 1.0, 0.0]])
    assert limb_error(lengths, means, trust) == pytest.approx(0.5**2 / 2)
    assert limb_error(lengths, means, torch.zeros_like(trust)) == 0
