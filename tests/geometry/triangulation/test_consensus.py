"""The robust choice of views, through `triangulate_robust_undistorted`, against a loop that cannot be misread."""

import itertools

import pytest
import torch

from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.consensus import view_pairs
from coview.geometry.triangulation.undistorted import (
    triangulate_robust_undistorted,
    triangulate_undistorted,
)

LIMIT = 15.0


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rig(views: int) -> torch.Tensor:
    return ring_cameras(max(views, 5)).pixels_from_world[:views].double()


def image(point: torch.Tensor, projection: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel and depth of one point in one camera."""
    u, v, depth = projection[:, :3] @ point + projection[:, 3]
    return torch.stack([u, v]) / depth, depth


def scene(views: int, frames: int, outliers: float, missing: float, seed: int):  # type: ignore[no-untyped-def]
    truth = 0.6 * normal(frames, 17, 3, seed=seed) + torch.tensor([0, 0, 1.0]).double()
    projections = rig(views)
    homogeneous = torch.cat([truth, torch.ones_like(truth[..., :1])], dim=-1)
    seen = torch.einsum("vij,fnj->fvni", projections, homogeneous)
    pixels = seen[..., :2] / seen[..., 2:] + 3 * normal(frames, views, 17, 2, seed=seed + 1)
    random = torch.Generator().manual_seed(seed)
    wrong = torch.rand(pixels.shape[:-1], generator=random) < outliers
    angle = 2 * torch.pi * torch.rand(wrong.shape, generator=random)
    pixels = pixels + 80 * wrong[..., None] * torch.stack([angle.cos(), angle.sin()], dim=-1)
    weights = 0.5 + 0.5 * torch.rand(wrong.shape, generator=random).double()
    weights[torch.rand(wrong.shape, generator=random) < missing] = 0
    return truth, projections, pixels, weights, wrong


def fitted(pixels, projections, weights, views):  # type: ignore[no-untyped-def]
    """Least squares of w (u p₃ - p₁) X = 0, w (v p₃ - p₂) X = 0 with X₄ = 1, over the views given."""
    rows = [
        weights[v] * (pixels[v, i] * projections[v, 2] - projections[v, i]) for v in views for i in range(2)
    ]
    rows = torch.stack(rows)
    return torch.linalg.lstsq(rows[:, :3], -rows[:, 3:]).solution[:, 0]


def judged(point, pixels, projections, weights):  # type: ignore[no-untyped-def]
    """The views within the limit, and the cost: miss², nearly flat beyond the limit, flat beyond ten."""
    inliers, cost = [], 0.0
    for v in range(len(weights)):
        if weights[v] == 0:
            continue
        where, depth = image(point, projections[v])
        miss = (where - pixels[v]).square().sum().item() if depth > 0.001 else float("inf")
        if miss < LIMIT**2:
            inliers.append(v)
        cost += weights[v].item() ** 2 * (min(miss, LIMIT**2) + 0.002 * min(miss, 100 * LIMIT**2))
    return inliers, cost


def by_loops(pixels, projections, weights) -> list[int]:  # type: ignore[no-untyped-def]
    """The slow twin: every pair of views that see the joint proposes, all judge, the refit judges once more."""
    seen = [v for v in range(len(weights)) if weights[v] > 0]
    best: list[int] = []
    least = float("inf")
    for pair in itertools.combinations(seen, 2):
        inliers, cost = judged(fitted(pixels, projections, weights, pair), pixels, projections, weights)
        if cost < least:
            best, least = inliers, cost
    if len(best) < 2:
        return []
    again, _ = judged(fitted(pixels, projections, weights, best), pixels, projections, weights)
    return again if len(again) >= len(best) else best


@pytest.mark.parametrize(("views", "missing"), [(3, 0.1), (4, 0.1), (6, 0.3)])
def test_the_inliers_are_those_of_the_loops(views: int, missing: float):
    _, projections, pixels, weights, _ = scene(views, 6, outliers=0.2, missing=missing, seed=views)
    found = triangulate_robust_undistorted(
        pixels, projections, weights, threshold=LIMIT, solver="linear", max_ambiguity=torch.inf
    )
    twin = torch.zeros_like(found.inliers)
    for frame, joint in itertools.product(range(6), range(17)):
        twin[frame, by_loops(pixels[frame, :, joint], projections, weights[frame, :, joint]), joint] = True
    same = (twin == found.inliers).all(dim=1)
    # With six views not every pair is tried once the odds are better than 1000 to 1.
    assert same.all() if views <= 4 else same.double().mean() > 0.98
    expected = triangulate_undistorted(pixels, projections, weights * twin)
    torch.testing.assert_close(found.points[same], expected[same], equal_nan=True, atol=1e-9, rtol=0)


def test_outliers_are_found():
    truth, projections, pixels, weights, wrong = scene(5, 100, outliers=0.05, missing=0.05, seed=1)
    found = triangulate_robust_undistorted(pixels, projections, weights)
    knowable = ((weights > 0) & ~wrong).sum(dim=1) >= 3
    assert (found.inliers == (weights > 0) & ~wrong).all(dim=1)[knowable].double().mean() > 0.99
    error = (found.points - truth)[knowable].norm(dim=-1)
    assert error.isfinite().double().mean() > 0.98
    assert error.nanmean() < 0.02
    assert (triangulate_undistorted(pixels, projections, weights) - truth)[knowable].norm(
        dim=-1
    ).mean() > 0.03


def test_sixteen_views_few_pairs_and_the_same_answer_for_the_same_seed():
    truth, projections, pixels, weights, wrong = scene(16, 40, outliers=0.3, missing=0.2, seed=2)
    one = triangulate_robust_undistorted(pixels, projections, weights, seed=5)
    again = triangulate_robust_undistorted(pixels, projections, weights, seed=5)
    other = triangulate_robust_undistorted(pixels, projections, weights, seed=6)
    assert torch.equal(one.points.nan_to_num(), again.points.nan_to_num())
    assert torch.equal(one.inliers, again.inliers)
    good = (weights > 0) & ~wrong
    for found in (one, other):
        assert (found.inliers == good).double().mean() > 0.999
        assert (found.points - truth)[good.sum(dim=1) > 4].norm(dim=-1).max() < 0.06


def test_two_of_sixteen_views_are_enough_whichever_they_are():
    _, projections, pixels, _, _ = scene(16, 8, outliers=0.0, missing=0.0, seed=3)
    weights = torch.zeros(8, 16, 17).double()
    pairs = [pair for pair in itertools.combinations(range(16), 2) if pair[1] - pair[0] not in (8,)]
    for number, (frame, joint) in enumerate(itertools.product(range(8), range(17))):
        weights[frame, list(pairs[number % len(pairs)]), joint] = 1
    found = triangulate_robust_undistorted(pixels, projections, weights)
    assert found.points.isfinite().all()
    assert torch.equal(found.inliers, weights > 0)


def test_pairs_are_all_or_a_seeded_choice():
    assert view_pairs(4, 28, seed=0) == list(itertools.combinations(range(4), 2))
    assert view_pairs(1, 28, seed=0) == []
    some = view_pairs(16, 28, seed=0)
    assert len(set(some)) == 28
    assert some == view_pairs(16, 28, seed=0) != view_pairs(16, 28, seed=1)


def test_the_order_of_the_cameras_does_not_matter():
    _, projections, pixels, weights, _ = scene(4, 30, outliers=0.1, missing=0.1, seed=4)
    found = triangulate_robust_undistorted(pixels, projections, weights)
    order = [2, 0, 3, 1]
    again = triangulate_robust_undistorted(pixels[:, order], projections[order], weights[:, order])
    torch.testing.assert_close(again.points, found.points, equal_nan=True)
    torch.testing.assert_close(again.covariance, found.covariance, equal_nan=True)
    assert torch.equal(again.inliers, found.inliers[:, order])


def test_behind_a_camera_nothing_is_seen():
    # Two cameras side by side looking along z; mirrored in their centres, (0, 0, 4) becomes (0, 0, -4):
    # it has the same images, and the rays meet there alone if we exchange the pixels.
    left, right = torch.eye(3, 4), torch.eye(3, 4)
    left[0, 3], right[0, 3] = 1.0, -1.0
    pixels = torch.tensor([[[0.25, 0.0]], [[-0.25, 0.0]]])
    projections, weights = torch.stack([left, right]), torch.ones(2, 1)
    ahead = triangulate_robust_undistorted(pixels, projections, weights, threshold=0.1)
    torch.testing.assert_close(ahead.points, torch.tensor([[0.0, 0, 4]]), atol=1e-5, rtol=0)
    behind = triangulate_robust_undistorted(pixels.flip(0), projections, weights, threshold=0.1)
    torch.testing.assert_close(triangulate_undistorted(pixels.flip(0), projections, weights), -ahead.points)
    assert behind.points.isnan().all()
    assert not behind.inliers.any()
    assert behind.residuals.isnan().all()


def test_two_views_that_contradict_each_other_are_no_point():
    truth, projections, pixels, _, _ = scene(2, 5, outliers=0.0, missing=0.0, seed=5)
    weights = torch.ones(5, 2, 17).double()
    assert triangulate_robust_undistorted(pixels, projections, weights).points.isfinite().all()
    pixels[:, 0, :, 1] += 60  # across the epipolar lines, which are nearly level here
    found = triangulate_robust_undistorted(pixels, projections, weights)
    assert found.points.isnan().all()
    along = pixels.clone()
    along[:, 0, :, 1] -= 60
    along[:, 0, :, 0] += 60  # along them: no residual shows it, as the docstring says
    assert triangulate_robust_undistorted(along, projections, weights).points.isfinite().double().mean() > 0.9
    assert (triangulate_robust_undistorted(along, projections, weights).points - truth).norm(
        dim=-1
    ).nanmedian() > 0.1


def test_where_two_pairs_are_equally_right_the_point_is_unknown():
    """Two views see one place and two another: nobody can know which, unless the caller takes either."""
    here, there = torch.tensor([0.1, 0.2, 1.0]).double(), torch.tensor([-0.3, 0.5, 1.3]).double()
    projections = rig(4)
    pixels = torch.stack([image(p, projections[v])[0] for v, p in enumerate((here, here, there, there))])
    weights = torch.ones(4, 1).double()
    unknown = triangulate_robust_undistorted(pixels[:, None], projections, weights)
    assert unknown.points.isnan().all()
    assert not unknown.inliers.any()
    either = triangulate_robust_undistorted(
        pixels[:, None], projections, weights, max_ambiguity=torch.inf
    ).points[0]
    assert torch.minimum((either - here).norm(), (either - there).norm()) < 1e-6


def test_where_two_pairs_are_equally_right_the_covariance_says_so():
    here, there = torch.tensor([0.1, 0.2, 1.0]).double(), torch.tensor([-0.3, 0.5, 1.3]).double()
    projections = rig(4)
    pixels = torch.stack([image(p, projections[v])[0] for v, p in enumerate((here, here, there, there))])
    weights = torch.ones(4, 1).double()
    found = triangulate_robust_undistorted(
        pixels[:, None], projections, weights, sigma=3.0, max_ambiguity=torch.inf
    )
    apart = there - here if found.inliers[0, 0] else here - there
    assert found.inliers.sum() == 2
    along = apart / apart.norm()
    deviation = (along @ found.covariance[0] @ along).sqrt()
    # Which pair costs less is decided by the rejected views alone; the chance of the other is below a half.
    assert 0.1 * apart.norm() < deviation < 0.8 * apart.norm()
    alone = triangulate_robust_undistorted(
        pixels[:2, None], projections[:2], torch.ones(2, 1).double(), sigma=3.0
    )
    assert alone.covariance.diagonal(dim1=-2, dim2=-1).sum() < 0.1 * deviation**2
