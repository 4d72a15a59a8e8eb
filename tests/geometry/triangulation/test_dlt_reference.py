import numpy as np
import pytest
import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.dlt_reference import homogeneous_dlt
from coview.geometry.triangulation.undistorted import triangulate_undistorted

MILLIMETRES = torch.tensor([1.0, 1.0, 1.0, 1000.0], dtype=torch.float64)  # per column, up to a factor


def seen(views: int = 4, joints: int = 17, noise: float = 3.0, seed: int = 0):  # type: ignore[no-untyped-def]
    """Truth (metres), pixels of two frames with noise, projections, all float64."""
    generator = torch.Generator().manual_seed(seed)
    cameras = ring_cameras(max(views, 5)).pixels_from_world[:views].double()
    truth = torch.tensor([0, 0, 1.0]) + 0.5 * torch.randn(2, joints, 3, generator=generator)
    homogeneous = torch.cat([truth, torch.ones_like(truth[..., :1])], dim=-1).double()
    image = torch.einsum("vij,fnj->fvni", cameras, homogeneous)
    pixels = image[..., :2] / image[..., 2:]
    return truth.double(), pixels + noise * torch.randn(pixels.shape, generator=generator), cameras


def by_numpy(pixels: np.ndarray, projections: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The slow twin, one joint: rows in the precision given, the textbook's SVD."""
    rows = []
    for (x, y), p, w in zip(pixels, projections, weights, strict=True):
        rows += [w * (x * p[2] - p[0]), w * (y * p[2] - p[1])]
    vector = np.linalg.svd(np.stack(rows))[2][-1]
    return vector[:3] / vector[3]


@pytest.mark.parametrize("views", [2, 4, 31])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_the_points_are_those_of_the_slow_twin(views: int, kind: torch.dtype):
    """Within 0.1 mm in millimetres of an uncentred world (specification §10)."""
    _, pixels, projections = seen(views)
    pixels, projections = pixels.to(kind), (projections * MILLIMETRES).to(kind)
    weights = torch.rand(2, views, 17, generator=torch.Generator().manual_seed(1)).to(kind) + 0.1
    found = homogeneous_dlt(pixels, projections, weights)
    assert found.dtype == kind
    for frame in range(2):
        for joint in range(17):
            given = (pixels[frame, :, joint], projections, weights[frame, :, joint])
            twin = by_numpy(*(each.numpy() for each in given))
            limit = 0.1 if kind == torch.float32 else 1e-6
            np.testing.assert_allclose(found[frame, joint].numpy(), twin, atol=limit, rtol=0)


def test_without_noise_it_is_the_truth():
    truth, pixels, projections = seen(noise=0.0)
    torch.testing.assert_close(homogeneous_dlt(pixels, projections, torch.ones_like(pixels[..., 0])), truth)


def test_the_answer_depends_on_the_unit():
    """Metres instead of millimetres move points by 0.6 mm in the mean, for 3 px (specification §8)."""
    _, pixels, projections = seen(joints=200)
    ones = torch.ones_like(pixels[..., 0])
    metres = homogeneous_dlt(pixels, projections, ones)
    millimetres = homogeneous_dlt(pixels, projections * MILLIMETRES, ones)
    moved = (1000 * metres - millimetres).norm(dim=-1)
    assert 0.1 < moved.mean() < 3
    assert (1000 * (metres - triangulate_undistorted(pixels, projections, ones)).norm(dim=-1)).mean() < 5


def test_gradient():
    _, pixels, projections = seen(joints=2)
    weights = torch.rand(2, 4, 2, generator=torch.Generator().manual_seed(1)).double() + 0.5
    inputs = [each.requires_grad_() for each in (pixels, projections, weights)]
    assert torch.autograd.gradcheck(homogeneous_dlt, inputs)


def gradients(pixels, projections, weights):  # type: ignore[no-untyped-def]
    pixels, weights = pixels.requires_grad_(), weights.requires_grad_()
    found = homogeneous_dlt(pixels, projections, weights)
    found.nansum().backward()
    return found.detach(), pixels.grad, weights.grad


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_gradients_are_finite_for_duplicated_cameras(kind: torch.dtype):
    """Two identical views, and four of them: the depth is nowhere."""
    _, pixels, projections = seen(noise=0.0)
    for views in ([0, 0], [0, 0, 0, 0], [0, 0, 1]):
        given = pixels[:, views].to(kind), (projections * MILLIMETRES)[views].to(kind)
        found, *grads = gradients(*given, torch.ones(2, len(views), 17).to(kind))
        assert all(grad.isfinite().all() for grad in grads)
        assert len(set(views)) == 1 or found.isfinite().all()


def test_gradients_are_finite_for_a_dominating_confidence():
    _, pixels, projections = seen()
    weights = torch.full((2, 4, 17), 1e-5)
    weights[:, 0] = 1.0
    found, *grads = gradients(pixels.float(), (projections * MILLIMETRES).float(), weights)
    assert found.isfinite().all()
    assert all(grad.isfinite().all() for grad in grads)
    assert grads[1].abs().max() > 0


def test_unseen_joints_are_unknown_and_pull_nothing():
    _, pixels, projections = seen()
    weights = torch.ones_like(pixels[..., 0])
    weights[0, :, 3] = 0  # nobody
    weights[0, 1:, 4] = 0  # one view
    pixels[1, 2, 5] = torch.nan  # three views
    found, *grads = gradients(pixels, projections, weights)
    assert found[0, 3:5].isnan().all()
    assert found.isfinite().all(dim=-1).sum() == 2 * 17 - 2
    for grad in grads:
        assert grad.isfinite().all()
        assert (grad[0, :, 3:5] == 0).all()
    rest = [0, 1, 3]
    expected = homogeneous_dlt(pixels[1, rest], projections[rest], weights[1, rest])[5]
    torch.testing.assert_close(found[1, 5], expected)


def test_one_view_is_an_error():
    _, pixels, projections = seen()
    with pytest.raises(ValueError, match="one ray has no depth"):
        homogeneous_dlt(pixels[:, :1], projections[:1], torch.ones(2, 1, 17).double())
