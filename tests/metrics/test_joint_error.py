import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes

from coview.metrics.joint_error import (
    correct_pose_score,
    joint_error,
    known_in_both,
    n_joint_error,
    p_joint_error,
)


def poses(count: int = 10, joints: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    truth, noise = torch.randn(2, count, joints, 3, generator=torch.Generator().manual_seed(seed))
    return truth + 0.1 * noise, truth


def test_p_mpjpe_agrees_with_scipy():
    """The slow twin: scipy aligns one pose at a time; its disparity is relative to the truth's size."""
    predicted, truth = poses()
    for one, other in zip(predicted.double(), truth.double(), strict=True):
        scaled, aligned, _ = procrustes(other.numpy(), one.numpy())
        centred = other - other.mean(dim=0)
        expected = 1000 * centred.norm() * torch.from_numpy(scaled - aligned).norm(dim=-1)
        torch.testing.assert_close(p_joint_error(one, other), expected)


def test_correct_pose_score_counts_thresholds():
    error = torch.tensor([[0.0, 1.0], [10.0, 150.5], [299.5, 0.0], [300.5, 0.0], [torch.nan, torch.nan]])
    # thresholds 1..300 that are not below the worst joint
    torch.testing.assert_close(correct_pose_score(error), torch.tensor([300.0, 150.0, 1.0, 0.0, 0.0]))


@settings(deadline=None, max_examples=10)
@given(scale=st.floats(0.1, 10), seed=st.integers(0, 100))
def test_size_is_no_error(scale, seed):
    predicted, truth = poses(seed=seed)
    torch.testing.assert_close(
        n_joint_error(scale * predicted, truth, 0), n_joint_error(predicted, truth, 0), atol=0.05, rtol=1e-4
    )


def test_p_is_not_above_n_and_n_not_above_root_aligned():
    predicted, truth = (pose - pose[:, :1] for pose in poses(200))
    plain, scaled = joint_error(predicted, truth)[:, 1:], n_joint_error(predicted, truth, 0)
    assert scaled.square().sum() < plain.square().sum()
    assert p_joint_error(predicted, truth).square().sum() < scaled.square().sum()


def test_a_joint_is_known_in_both_where_all_its_coordinates_are():
    predicted, truth = poses(1, 3)
    predicted[0, 0, 1], truth[0, 2] = torch.nan, torch.inf
    assert known_in_both(predicted, truth).tolist() == [[False, True, False]]
