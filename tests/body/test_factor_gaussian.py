import pytest
import torch

from coview.body.factor_gaussian import FACTORS, PoseFactors, product


def gaussian(joints: int = 17, rank: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """A mean and a covariance of so many factors and a rest of each joint's own; metres."""
    generator = torch.Generator().manual_seed(joints)
    factors = 0.1 * torch.randn(3 * joints, rank, generator=generator).double()
    own = 0.02 * torch.randn(joints, 3, 3, generator=generator).double()
    rest = torch.block_diag(*(own @ own.mT + 1e-4 * torch.eye(3).double()))
    return torch.randn(joints, 3, generator=generator), factors @ factors.mT + rest


def sightings(mean: torch.Tensor, count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Poses around the mean and their noise, of a millimetre to a metre; poses last."""
    generator = torch.Generator().manual_seed(1)
    roots = torch.randn(count, len(mean), 3, 3, generator=generator)
    sizes = 10 ** torch.empty(count, len(mean), 1, 1).uniform_(-3, 0, generator=generator)
    noise = sizes**2 * (roots @ roots.mT + 0.1 * torch.eye(3))
    poses = mean + 0.3 * torch.randn(count, *mean.shape, generator=generator)
    return poses.permute(1, 2, 0), noise.permute(1, 2, 3, 0)


@pytest.mark.parametrize("joints", [17, 5])
def test_it_is_the_dense_posterior(joints):
    """The slow twin: [Bovy11 eq. 8, 9] with matrices of all numbers, in float64."""
    mean, spread = gaussian(joints)
    fast = PoseFactors.from_covariance(mean, spread)
    poses, noise = sightings(mean)
    found, sure = fast.posterior(poses, noise)
    spread = fast.covariance().double()
    for number in range(poses.shape[-1]):
        known = torch.block_diag(*noise[..., number].double())
        gain = torch.linalg.solve(spread + known, known).mT
        off = (poses[..., number] - mean).double().flatten()
        best = poses[..., number].double().flatten() - gain @ off
        torch.testing.assert_close(found[..., number].double().flatten(), best, atol=5e-4, rtol=0)
        both = (known - gain @ known).reshape(joints, 3, joints, 3)
        own = torch.stack([both[joint, :, joint] for joint in range(joints)])
        torch.testing.assert_close(sure[..., number].double(), own, atol=1e-5, rtol=2e-2)


def test_few_factors_are_found_again():
    mean, spread = gaussian()
    found = PoseFactors.from_covariance(mean, spread)
    assert found.factors.shape == (51, FACTORS)
    torch.testing.assert_close(found.covariance().double(), spread, atol=1e-4, rtol=0)


def test_each_joint_nearly_keeps_its_own_covariance():
    """Of a covariance of many factors: what they leave of a joint is its rest."""
    mean, spread = gaussian(rank=51)
    near = PoseFactors.from_covariance(mean, spread).covariance().double()
    ours, theirs = (each.reshape(17, 3, 17, 3) for each in (near, spread))
    for joint in range(17):
        torch.testing.assert_close(ours[joint, :, joint], theirs[joint, :, joint], atol=0.02, rtol=0)
    assert float((near - spread).norm()) < 0.15 * float(spread.norm())


def test_a_joint_that_nobody_sees_goes_where_the_factors_say():
    mean, spread = gaussian()
    fast = PoseFactors.from_covariance(mean, spread)
    draw = fast.factors @ torch.randn(FACTORS, 1, generator=torch.Generator().manual_seed(2))
    truth = mean[..., None] + draw.unflatten(0, (17, 3))
    noise = 1e-6 * torch.eye(3)[..., None].repeat(17, 1, 1, 1)
    seen = truth.clone()
    seen[4], noise[4] = mean[4, :, None], torch.eye(3)[..., None]
    found, sure = fast.posterior(seen, noise)
    assert float((found - truth)[4].norm()) < 3 * float(sure[4].diagonal(dim1=0, dim2=1).sum().sqrt())
    assert float((found - truth)[4].norm()) < 0.5 * float((seen - truth)[4].norm())


def test_products_are_matrix_products():
    a, b = torch.rand(5, 3, 3, 7), torch.rand(1, 3, 2, 7)
    expected = (a.permute(0, 3, 1, 2) @ b.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    torch.testing.assert_close(product(a, b), expected)
