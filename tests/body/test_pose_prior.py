import pytest
import torch

from coview.body.factor_gaussian import PoseFactors
from coview.body.pose_prior import PosePrior, learn_prior, to_body_frame
from coview.data.synthetic.recordings import random_motion
from coview.geometry.rotations import rotation_from_axis_angle
from coview.skeletons import H36M_17, Skeleton

UP = torch.tensor([0.0, 0.0, 1.0])


def noisy_poses(count: int = 2000, sigma: float = 0.02):
    """Poses, the same with noise, and the noise's covariance; one joint in fifty is five times less sure."""
    generator = torch.Generator().manual_seed(0)
    poses = torch.cat([random_motion(count // 4, fps=5.0, seed=seed, stature=1.7) for seed in range(4)])
    vague = torch.where(torch.rand(poses.shape[:2], generator=generator) < 0.02, 5.0, 1.0) * sigma
    noise = vague[..., None] * torch.randn(poses.shape, generator=generator)
    return poses, poses + noise, (vague**2)[..., None, None] * torch.eye(3)


def learnt(seen, covariance, parts: int = 2) -> PosePrior:
    prior = learn_prior(seen, covariance, UP.expand(len(seen), 3), H36M_17, parts)
    assert prior is not None
    return prior


def test_poses_are_nearer_to_the_truth_and_know_how_near():
    poses, seen, covariance = noisy_poses()
    prior = learnt(seen, covariance)
    assert len(prior.means) == 2
    found, sure = prior.posterior(seen, covariance, UP)
    before, after = ((each - poses).norm(dim=-1) for each in (seen, found))
    assert float(after.square().mean()) < 0.5 * float(before.square().mean())
    miss = (found - poses).double()
    squared = (miss[..., None, :] @ torch.linalg.inv(sure.double()) @ miss[..., None])[..., 0, 0]
    assert float(squared.median()) == pytest.approx(2.37, rel=0.25)  # the median of χ² with three
    assert (torch.linalg.eigvalsh(sure) > 0).all()


def test_it_is_the_textbook_posterior():
    _, seen, covariance = noisy_poses()
    prior = learnt(seen, covariance, 1)
    found, sure = prior.posterior(seen[:3], covariance[:3], UP)
    for number in range(3):
        pose, middle, turn = to_body_frame(seen[number, None], prior.across, UP, prior.means.mean(dim=0))
        big_turn = torch.block_diag(*[turn[0].double()] * 17)
        noise = big_turn @ torch.block_diag(*covariance[number].double()) @ big_turn.mT
        spread = PoseFactors.from_covariance(prior.means[0], prior.covariances[0]).covariance().double()
        mean = prior.means[0].double().flatten()
        both = torch.linalg.inv(torch.linalg.inv(spread) + torch.linalg.inv(noise))
        best = both @ (
            torch.linalg.solve(spread, mean) + torch.linalg.solve(noise, pose[0].double().flatten())
        )
        back = best.reshape(17, 3) @ turn[0].double() + middle[0].double()
        torch.testing.assert_close(found[number].double(), back, atol=2e-5, rtol=0)
        turned = (big_turn.mT @ both @ big_turn).reshape(17, 3, 17, 3)
        own = torch.stack([turned[joint, :, joint] for joint in range(17)])
        torch.testing.assert_close(sure[number].double(), own, atol=1e-6, rtol=1e-3)


def test_the_world_does_not_matter():
    _, seen, covariance = noisy_poses()
    turn = rotation_from_axis_angle(torch.tensor([0.7, -0.4, 1.9]))
    shift = torch.tensor([3.0, -1.0, 0.5])
    there, there_covariance = seen @ turn.mT + shift, turn @ covariance @ turn.mT
    one = learnt(seen, covariance).posterior(seen, covariance, UP)[0]
    up = turn @ UP
    prior = learn_prior(there, there_covariance, up.expand(len(seen), 3), H36M_17, 2)
    assert prior is not None
    other = prior.posterior(there, there_covariance, up)[0]
    torch.testing.assert_close(other, one @ turn.mT + shift, atol=2e-3, rtol=0)


def test_unknown_joints_stay_unknown_and_hurt_nobody():
    _, seen, covariance = noisy_poses()
    prior = learnt(seen, covariance)
    whole, _ = prior.posterior(seen, covariance, UP)
    seen[0, 5], covariance[0, 5] = torch.nan, torch.nan
    seen[1], covariance[1] = torch.nan, torch.nan
    found, sure = prior.posterior(seen, covariance, UP)
    assert found[0, 5].isnan().all()
    assert sure[0, 5].isnan().all()
    assert found[1].isnan().all()
    others = [joint for joint in range(17) if joint != 5]
    torch.testing.assert_close(found[0, others], whole[0, others], atol=0.03, rtol=0)
    torch.testing.assert_close(found[2:], whole[2:])


def test_a_joint_without_certainty_goes_where_the_others_say():
    poses, seen, covariance = noisy_poses()
    prior = learnt(seen, covariance)
    seen, covariance = seen[:50].clone(), covariance[:50].clone()
    seen[:, 3, 0] += 1.0
    covariance[:, 3] = torch.eye(3)
    found, _ = prior.posterior(seen, covariance, UP)
    assert float((found - poses[:50])[:, 3].norm(dim=-1).median()) < 0.15


def test_too_little_says_nothing():
    _, seen, covariance = noisy_poses(400)
    up = UP.expand(400, 3)
    assert learn_prior(seen, covariance, up, H36M_17, 5) is None
    face = Skeleton("face", ("nose", "left_eye"), (), "nose")
    assert learn_prior(seen[:, :2], covariance[:, :2], up, face, 5) is None


def test_a_part_of_a_single_pose_is_none():
    """It has no spread: a torn pose, far from all others, would get one of NaN."""
    _, seen, covariance = noisy_poses()
    seen[0] *= 20.0
    prior = learnt(seen, covariance)
    assert len(prior.means) == 1
    assert prior.covariances.isfinite().all()
    assert prior.posterior(seen, covariance, UP)[0].isfinite().all()
