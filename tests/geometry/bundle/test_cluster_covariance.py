import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.bundle.bundle_adjustment import adjust
from coview.geometry.bundle.cluster_covariance import Clusters, shrunk_scatter

TIMES, JOINTS = 30, 12


def test_the_scatter_of_few_scores_is_drawn_to_the_identity_and_of_many_is_kept():
    random = torch.Generator().manual_seed(0)
    wide = torch.tensor([3.0, 1.0, 1.0, 1.0], dtype=torch.float64)
    many = torch.randn(20_000, 4, generator=random, dtype=torch.float64) * wide
    scatter = shrunk_scatter(many) / len(many)
    assert torch.allclose(scatter.diagonal(), wide.square(), rtol=0.05)
    few = shrunk_scatter(many[:5]) / 5
    assert torch.linalg.eigvalsh(few)[0] > 0.1  # five vectors in four dimensions
    assert torch.isclose(few.trace(), many[:5].square().sum() / 5)


def normalised_errors(repeated: bool, together: bool) -> torch.Tensor:
    """Squared errors of camera centres over their stated variances, of several adjustments."""
    cameras = ring_cameras(3).to(torch.float64)
    joint, time = torch.arange(JOINTS).repeat(TIMES), torch.arange(TIMES).repeat_interleave(JOINTS)
    found = []
    for seed in range(8):
        random = torch.Generator().manual_seed(seed)
        points = torch.randn(TIMES * JOINTS, 3, generator=random, dtype=torch.float64) * 0.7
        points[:, 2] += 1
        pixels = cameras.project(points[None])
        noise = torch.randn(3, TIMES, JOINTS, 2, generator=random, dtype=torch.float64)
        noise = noise[:, :1].expand_as(noise) if repeated else noise
        noise = noise[:, :, :1].expand_as(noise) if together else noise
        block = time * 10 // TIMES
        clusters = Clusters(joint if repeated else time * JOINTS + joint, block * JOINTS + joint, block)
        adjusted = adjust(
            cameras, points, pixels + noise.flatten(1, 2), torch.ones(pixels.shape[:2]), clusters=clusters
        )
        variance = adjusted.centre_covariance.diagonal(dim1=1, dim2=2).sum(dim=-1)
        found.append((adjusted.cameras.centres - cameras.centres).square().sum(dim=-1)[1:] / variance[1:])
    return torch.cat(found)


def test_stated_variances_hold_for_new_and_for_repeated_errors():
    assert 0.5 < normalised_errors(repeated=False, together=False).mean() < 1.6
    assert 0.3 < normalised_errors(repeated=True, together=False).mean() < 1.6


def test_joints_that_err_together_are_seen():
    assert normalised_errors(repeated=False, together=True).mean() < 2.5
