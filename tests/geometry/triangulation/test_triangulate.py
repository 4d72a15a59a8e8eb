"""Triangulation of what distorted lenses saw; its numbers are tested in test_undistorted and test_consensus."""

from dataclasses import replace

import pytest
import torch

from coview.body.procedural_motion import random_motion
from coview.cameras import Cameras
from coview.data.synthetic.recordings import ring_cameras
from coview.geometry.triangulation.triangulate import in_front, triangulate, triangulate_robust
from coview.geometry.triangulation.undistorted import (
    triangulate_robust_undistorted,
    triangulate_undistorted,
)


def bent_ring(views: int = 4) -> Cameras:
    """Brown-Conrady lenses, and a fisheye among them."""
    cameras = ring_cameras(views).to(torch.float64)
    bent = torch.zeros(views, 8, dtype=torch.float64)
    bent[:, :4] = torch.tensor([-0.2, 0.05, 0.001, -0.002])
    return replace(cameras, distortion=bent, fisheye=torch.arange(views) == 2)


def scene(frames: int = 6) -> tuple[Cameras, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(frames, 17, 3, generator=generator, dtype=torch.float64) * 1.5
    cameras = bent_ring()
    pixels = cameras.project(truth[:, None])
    return cameras, truth, pixels, torch.ones(pixels.shape[:-1], dtype=torch.float64)


@pytest.mark.parametrize("robust", [False, True])
def test_raw_pixels_give_the_points_that_they_show(robust):
    cameras, truth, pixels, weights = scene()
    found = (
        triangulate_robust(cameras, pixels, weights).points
        if robust
        else triangulate(cameras, pixels, weights)
    )
    torch.testing.assert_close(found, truth, atol=1e-9, rtol=0)


def test_it_is_the_same_as_undistorting_first_and_all_options_arrive():
    cameras, _, pixels, weights = scene()
    pixels = pixels + 3 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(1)).double()
    perfect, straight = cameras.undistorted(pixels)
    torch.testing.assert_close(
        triangulate(cameras, pixels, weights),
        triangulate_undistorted(straight, perfect.pixels_from_world, weights),
        rtol=0,
        atol=0,
    )
    for options in (
        {},
        {"sigma": 1.0, "threshold": 8.0, "solver": "linear"},
        {"max_ambiguity": torch.inf, "max_pairs": 2, "seed": 3},
    ):
        ours = triangulate_robust(cameras, pixels, weights, **options)
        once = triangulate_robust(perfect, straight, weights, **options)
        theirs = triangulate_robust_undistorted(straight, perfect.pixels_from_world, weights, **options)
        for field in ("points", "covariance", "inliers", "residuals"):
            expected = getattr(theirs, field)
            torch.testing.assert_close(getattr(ours, field), expected, rtol=0, atol=0, equal_nan=True)
            torch.testing.assert_close(getattr(once, field), expected, rtol=0, atol=0, equal_nan=True)


def test_a_pixel_that_is_not_finite_was_not_seen_whatever_its_weight():
    cameras, truth, pixels, weights = scene()
    pixels[0, 1, 2], pixels[1, 0, 3, 0] = torch.nan, torch.inf
    found = triangulate_robust(cameras, pixels, weights)
    assert not bool(found.inliers[0, 1, 2] | found.inliers[1, 0, 3])
    torch.testing.assert_close(found.points, truth, atol=1e-9, rtol=0)
    torch.testing.assert_close(triangulate(cameras, pixels, weights), truth, atol=1e-9, rtol=0)


def test_every_instant_may_have_its_own_cameras():
    cameras, truth, pixels, weights = scene()
    own = Cameras.stack([cameras] * len(pixels))
    torch.testing.assert_close(triangulate(own, pixels, weights), truth, atol=1e-9, rtol=0)


@pytest.mark.parametrize("function", [triangulate, triangulate_robust])
def test_one_view_is_refused(function):
    cameras, _, pixels, weights = scene()
    with pytest.raises(ValueError, match="1 view"):
        function(cameras[:1], pixels[:, :1], weights[:, :1])


def test_what_lies_behind_the_cameras_is_told_from_what_was_not_seen():
    cameras = ring_cameras(4).to(torch.float64)
    pixels = cameras.project(random_motion(20, seed=0).double()[:, None])
    weights = torch.ones(pixels.shape[:-1], dtype=torch.float64)
    weights[3, 2, 5] = 0
    found = in_front(cameras, pixels, weights)
    assert found.isnan().nonzero().tolist() == [[3, 2, 5]]
    assert float(found.nanmean()) == 1
    # the same pixels, of what is behind
    reversed_axes = replace(cameras, cam_from_world=-cameras.cam_from_world)
    assert float(in_front(reversed_axes, pixels, weights).nanmean()) == 0
