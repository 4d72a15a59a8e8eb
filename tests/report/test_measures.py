import math

import pytest
import torch

from coview.data.synthetic.recordings import random_motion, ring_cameras
from coview.report.measures import (
    agreements,
    bones,
    coverage,
    millimetres_per_pixel,
    predicted_by_others,
    quantiles,
    views_used,
)
from coview.skeletons import Skeleton

TRIO = Skeleton(
    "trio", ("left_hip", "pelvis", "right_hip"), (("pelvis", "left_hip"), ("pelvis", "right_hip")), "pelvis",
    (("left_hip", "right_hip"),),
)  # fmt: skip


def test_spread_ignores_what_is_not_known():
    found = quantiles(torch.tensor([1.0, 2.0, 3.0, torch.nan]))
    assert (found.median, found.count) == (2.0, 3)
    assert found.high == pytest.approx(2.9)  # linear interpolation between 2 and 3
    assert quantiles(torch.full((3,), torch.nan)).count == 0


def test_quantiles_of_very_many_values_is_thinned_evenly():
    found = quantiles(torch.linspace(0, 1, 3_000_001))
    assert found.median == pytest.approx(0.5, abs=1e-3)
    assert found.high == pytest.approx(0.95, abs=1e-3)


def test_agreement_counts_detections_and_those_used():
    errors = torch.tensor([[[1.0, 9.0]], [[3.0, torch.nan]]])  # 2 frames, 1 view, 2 joints
    seen = torch.tensor([[[True, True]], [[True, False]]])
    used = torch.tensor([[[True, False]], [[True, False]]])
    (camera,) = agreements(errors, used, seen, ("only",), axis=1)
    assert camera.pixels.median == 2.0
    assert camera.detected == 0.75
    assert camera.used == pytest.approx(2 / 3)
    first, second = agreements(errors, used, seen, ("a", "b"), axis=2)
    assert (first.used, second.used) == (1.0, 0.0)
    assert second.pixels.median != second.pixels.median


def test_bones_length_spread_and_asymmetry():
    points = torch.zeros(3, 3, 3)
    points[:, 0, 1] = torch.tensor([0.10, 0.11, 0.12])  # left hip
    points[:, 2, 1] = torch.tensor([-0.10, -0.10, torch.nan])
    left, right = bones(points, TRIO)
    assert left.mean == pytest.approx(0.11)
    assert left.relative_std == pytest.approx(0.01 / 0.11, rel=1e-4)
    assert right.frames == 2
    assert left.asymmetry == right.asymmetry == pytest.approx(2 * (0.11 - 0.10) / 0.21, rel=1e-4)


def test_coverage_counts_views_and_takes_the_least_certain_direction():
    points = torch.zeros(4, 1, 3)
    points[3] = torch.nan
    inliers = torch.tensor([[1, 1], [1, 0], [0, 0], [0, 0]]).bool()[..., None]
    covariance = torch.diag(torch.tensor([1e-6, 4e-6, 9e-6])).expand(4, 1, 3, 3).clone()
    covariance[3] = torch.nan
    (row,) = coverage(points, views_used(inliers, None), covariance, 2, ("nose",))
    assert row.valid_share == 0.75
    assert row.views == pytest.approx((0.5, 0.25, 0.25))
    assert row.sigma == pytest.approx(3e-3, rel=1e-3)


def test_coverage_without_counts_and_covariance():
    (row,) = coverage(torch.zeros(2, 1, 3), views_used(None, None), None, 4, ("nose",))
    assert row.views == ()
    assert row.sigma != row.sigma


def test_a_pixel_is_worth_depth_over_focal_length():
    # by hand: the origin is √(5² + 1.5²) m from a camera at 1.5 m that looks at it; f = 1145 px
    cameras = ring_cameras(2, target=(0.0, 0.0, 0.0))
    worth = millimetres_per_pixel(torch.zeros(3, 1, 3), cameras)
    assert worth.tolist() == pytest.approx([1000 * 5.2202 / 1145] * 2, rel=1e-4)


def test_a_camera_is_compared_with_what_the_others_predict():
    cameras = ring_cameras(4)
    pixels = cameras.project(random_motion(40, seed=0)[:, None])
    pixels[:, 2] += 30.0
    found = predicted_by_others(cameras, pixels, threshold=14.0)
    assert found[2] == pytest.approx(30.0 * 2**0.5, rel=0.01)
    assert max(found[view] for view in (0, 1, 3)) < 1e-2
    assert all(math.isnan(value) for value in predicted_by_others(cameras[:2], pixels[:, :2], 14.0))
