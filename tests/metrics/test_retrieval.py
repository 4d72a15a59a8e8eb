import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.metrics.joint_error import p_joint_error
from coview.metrics.retrieval import EmbeddedViews, mean_of_nearest, pose_distances, retrieval
from coview.networks.encoders import unit

INSTANTS, CAMERAS = 60, 3


def views(embedding: torch.Tensor, subjects: int = 2) -> EmbeddedViews:
    number = torch.arange(INSTANTS)
    return EmbeddedViews(
        embedding=unit(embedding),
        joints3d=torch.cat([random_motion(INSTANTS // 2, fps=2.0, seed=seed) for seed in (0, 1)]),
        subject=number * subjects // INSTANTS,
        sequence=number // 30,
        time=number % 30 / 2.0,
    )


def perfect() -> torch.Tensor:
    """The same direction in all cameras, one per instant: orthogonal to all others."""
    return torch.eye(INSTANTS)[:, None].expand(-1, CAMERAS, -1).clone()


def test_pose_distances_are_those_of_every_pair():
    poses = random_motion(6, fps=1.0, seed=3)
    found = pose_distances(poses[:2], poses)
    for one in range(2):
        for other in range(6):
            slow = p_joint_error(poses[other], poses[one]).mean()
            torch.testing.assert_close(found[one, other], slow, atol=1e-2, rtol=1e-4)
    assert found.diagonal().max() < 0.1


def test_the_mean_of_the_nearest_is_that_of_a_hand_made_table():
    # By hand: of the allowed answers the first query's nearest are numbers 2 and 0, the second's 1 and 2.
    nearness = torch.tensor([[0.5, 0.9, 0.8], [0.1, 0.9, 0.5]])
    error = torch.tensor([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
    allowed = torch.tensor([[True, False, True], [True, True, True]])
    assert mean_of_nearest(nearness, error, allowed, 1) == pytest.approx((30 + 50) / 2)
    assert mean_of_nearest(nearness, error, allowed, 2) == pytest.approx((20 + 55) / 2)
    assert mean_of_nearest(nearness, error, allowed, 3) == pytest.approx(50)  # the first has no three


def test_a_perfect_embedding_finds_the_same_instant_in_the_other_cameras():
    found = retrieval(views(perfect()))
    assert found["retrieval_pa_mpjpe_mm_at_1"] == pytest.approx(found["retrieval_least_mm_at_1"], abs=0.05)
    assert found["retrieval_least_mm_at_1"] == pytest.approx(0, abs=0.05)
    assert found["hit_percent_at_1"] == 100


def test_an_embedding_that_orders_as_poses_do_is_as_good_as_can_be():
    made = views(perfect())
    error = pose_distances(made.joints3d, made.joints3d)
    near = (
        -error.square() / 2e4
    ).exp()  # cosines that fall with the distance: the square root of the matrix has them
    values, vectors = torch.linalg.eigh(near.double())
    root = vectors * values.clamp_min(0).sqrt()
    ordered = views((root / root.norm(dim=-1, keepdim=True)).float()[:, None].expand(-1, CAMERAS, -1))
    found = retrieval(ordered)
    for k in (1, 5, 10, 20):
        best = found[f"retrieval_least_mm_at_{k}"]
        assert best - 0.1 <= found[f"retrieval_pa_mpjpe_mm_at_{k}"] <= 1.1 * best + 1
    assert found["others_pa_mpjpe_mm_at_1"] > found["retrieval_pa_mpjpe_mm_at_1"]


def test_a_random_embedding_is_chance():
    torch.manual_seed(0)
    found = retrieval(views(torch.randn(INSTANTS, CAMERAS, 16)))
    assert found["retrieval_pa_mpjpe_mm_at_20"] == pytest.approx(found["retrieval_chance_mm"], rel=0.05)
    assert found["others_pa_mpjpe_mm_at_20"] == pytest.approx(found["others_chance_mm"], rel=0.05)
    assert found["hit_percent_at_1"] < 10
    assert found["hit_chance_percent_at_1"] == pytest.approx(100 / INSTANTS, rel=0.01)


def test_a_constant_embedding_is_no_better_than_chance():
    found = retrieval(views(torch.ones(INSTANTS, CAMERAS, 4)))
    assert found["retrieval_pa_mpjpe_mm_at_20"] > 0.7 * found["retrieval_chance_mm"]


def test_the_query_camera_is_not_in_the_gallery():
    """An embedding that knows the camera alone finds nothing by it."""
    by_camera = torch.eye(CAMERAS).expand(INSTANTS, -1, -1).clone()
    assert retrieval(views(by_camera))["hit_percent_at_1"] < 20


def test_one_subject_has_no_others_and_one_camera_no_answers():
    assert not any(name.startswith("others_") for name in retrieval(views(perfect(), subjects=1)))
    assert retrieval(views(perfect()[:, :1])) == {}


def test_instants_without_pose_or_embedding_are_left_out():
    made = views(perfect())
    made.joints3d[3, 2] = torch.nan
    made.embedding[5, 1] = torch.nan
    found = retrieval(made)
    assert found["hit_percent_at_1"] == 100
    made.joints3d[:] = torch.nan
    assert retrieval(made) == {}
