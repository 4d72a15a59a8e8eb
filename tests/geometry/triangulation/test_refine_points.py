"""Refinement, residuals and covariance, through the public functions of `coview.geometry.triangulation.triangulate`."""

import pytest
import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.undistorted import (
    refine_points,
    reprojection_residuals,
    triangulate_robust_undistorted,
    triangulate_undistorted,
)

CHI2_95 = 7.8147  # the 95 % quantile of χ² with three degrees of freedom


def rig(views: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """A ring without opposite cameras; two views stand 72° apart."""
    return ring_cameras(max(views, 5)).pixels_from_world[:views].to(dtype)


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def people(frames: int, joints: int = 17, seed: int = 0) -> torch.Tensor:
    return 0.6 * normal(frames, joints, 3, seed=seed) + torch.tensor([0, 0, 1.0], dtype=torch.float64)


def images(points: torch.Tensor, projections: torch.Tensor) -> torch.Tensor:
    """frames joints 3 -> frames views joints 2, as the textbook has it."""
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    image = torch.einsum("vij,fnj->fvni", projections.double(), homogeneous.double())
    return image[..., :2] / image[..., 2:]


def noisy(views: int, frames: int, pixels: float, seed: int = 0):  # type: ignore[no-untyped-def]
    truth, projections = people(frames, seed=seed), rig(views)
    seen = images(truth, projections)
    return truth, projections, seen + pixels * normal(*seen.shape, seed=seed + 1)


def test_residuals_by_hand_and_nan_where_there_is_none():
    # focal length 100 at the origin looking along z: (1, 0, 2) is seen at (50, 0); 3 right and 4 below: 5 px.
    camera = torch.diag(torch.tensor([100.0, 100, 1])) @ torch.eye(3, 4)
    points = torch.tensor([[1.0, 0, 2], [1, 0, 2], [1, 0, -2], [torch.nan, 0, 2]])
    pixels = torch.tensor([[53.0, 4], [torch.nan, 0], [-50, 0], [0, 0]])
    found = reprojection_residuals(points, pixels[None], camera[None])
    torch.testing.assert_close(found, torch.tensor([[5.0, *[torch.nan] * 3]]), equal_nan=True)


def test_refining_finds_the_least_reprojection_error():
    truth, projections, pixels = noisy(4, 20, pixels=10.0)
    weights = torch.rand(20, 4, 17).double() + 0.1
    start = triangulate_undistorted(pixels, projections, weights)
    found = refine_points(start, pixels, projections, weights, steps=10).requires_grad_()
    cost = (weights * reprojection_residuals(found, pixels, projections)).square().sum()
    (slope,) = torch.autograd.grad(cost, found)
    assert slope.abs().max() < 1e-3  # pixels² per metre; a centimetre away it is some thousands
    three = refine_points(start, pixels, projections, weights)
    assert (three - found).norm(dim=-1).max() < 1e-4
    assert (found - truth).norm(dim=-1).mean() < (start - truth).norm(dim=-1).mean()


def test_refining_never_makes_it_worse_and_leaves_nan_alone():
    _, projections, pixels = noisy(3, 20, pixels=5.0)
    weights = torch.ones(20, 3, 17).double()
    start = people(20, seed=9) + 3 * normal(20, 17, 3, seed=10)  # also behind cameras and outside the ring
    start[0, 0] = torch.nan
    found = refine_points(start, pixels, projections, weights, steps=1)
    assert found[0, 0].isnan().all()
    before = reprojection_residuals(start, pixels, projections).square().sum(dim=-2)
    after = reprojection_residuals(found, pixels, projections).square().sum(dim=-2)
    assert not (after > before + 1e-6).any()
    assert found.reshape(-1, 3)[1:].isfinite().all()


def test_covariance_is_that_of_the_jacobian():
    _, projections, pixels = noisy(3, 1, pixels=2.0)
    pixels, weights = pixels[:, :, :1], torch.tensor([1.0, 0.5, 0.8]).double()[None, :, None]
    found = triangulate_robust_undistorted(pixels, projections, weights, sigma=2.0)
    jacobian = torch.autograd.functional.jacobian(
        lambda x: (weights[..., None] * images(x[None, None], projections)).flatten(), found.points[0, 0]
    )
    expected = 4.0 * torch.linalg.inv(jacobian.T @ jacobian)
    torch.testing.assert_close(found.covariance[0, 0], expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("solver", ["linear", "reprojection"])
def test_covariance_is_the_scatter_of_repeated_measurements(solver):  # type: ignore[no-untyped-def]
    projections = rig(3)
    truth = torch.tensor([[[1.5, -0.5, 0.3]]]).double()
    weights = torch.tensor([1.0, 0.5, 0.7]).double()[None, :, None].expand(20_000, 3, 1)
    noise = 1.5 * normal(20_000, 3, 1, 2, seed=0) / weights[..., None]
    found = triangulate_robust_undistorted(
        images(truth, projections) + noise, projections, weights, sigma=1.5, solver=solver, threshold=100.0
    )
    scatter = (found.points - truth)[:, 0].T.cov()
    stated = found.covariance[:, 0].mean(dim=0)
    assert (scatter - stated).norm() < 0.03 * stated.norm()


@pytest.mark.parametrize("solver", ["linear", "reprojection"])
@pytest.mark.parametrize(("outliers", "weighted"), [(0.0, False), (0.0, True), (0.05, False)])
def test_the_95_per_cent_ellipsoid_holds_the_truth_95_per_cent_of_the_time(solver, outliers, weighted):  # type: ignore[no-untyped-def]
    projections = ring_cameras(4).pixels_from_world  # the benchmark's: opposite cameras and all
    truth = people(1200)
    pixels = images(truth, projections)
    random = torch.Generator().manual_seed(0)
    weights = (
        torch.rand(pixels.shape[:-1], generator=random) * 0.5 + 0.5 if weighted else torch.ones(1200, 4, 17)
    )
    pixels += 3 * normal(*pixels.shape, seed=1) / weights[..., None]
    wrong = torch.rand(pixels.shape[:-1], generator=random) < outliers
    angle = 2 * torch.pi * torch.rand(wrong.shape, generator=random)
    pixels += 80 * wrong[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    found = triangulate_robust_undistorted(
        pixels.float(), projections, weights, sigma=3.0, threshold=30.0 if weighted else 15.0, solver=solver
    )
    known = found.points.isfinite().all(dim=-1)
    error = (found.points - truth)[known]
    distance = (error * torch.linalg.solve(found.covariance[known].double(), error)).sum(dim=-1)
    # with outliers, some joints have two places that are as likely: those are unknown
    assert known.double().mean() > (0.99 if outliers else 0.999)
    assert 0.94 < (distance < CHI2_95).double().mean() < 0.96
