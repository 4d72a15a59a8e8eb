"""`triangulate`, `project`, `undistort`: right answers for every kind of array, named errors for wrong ones."""

import warnings

import cv2
import numpy as np
import pytest
import torch

import coview
from coview.errors import InputError
from coview.geometry.rotations import axis_angle_from_rotation

RIG = coview.example_cameras(4)
JOINTS = np.random.default_rng(0).uniform([-1, -1, 0], [1, 1, 2], size=(20, 17, 3))
PIXELS = coview.project(RIG, JOINTS)


def near(points, atol=1e-3):
    np.testing.assert_allclose(np.asarray(points, dtype=float), JOINTS, atol=atol)


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_in_numpy_out(robust, dtype):
    points = coview.triangulate(RIG, PIXELS.astype(dtype), robust=robust)
    assert isinstance(points, np.ndarray)
    assert points.dtype == dtype
    near(points)


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_in_torch_out(robust, dtype):
    points = coview.triangulate(RIG, torch.from_numpy(PIXELS).to(dtype), robust=robust)
    assert points.dtype == dtype
    near(points)


def test_the_precision_of_the_pixels_is_kept():
    """Cameras are of float32 here; pixels of float64 and cameras of float64 lose nothing."""
    fine = RIG.to(torch.float64)
    near(coview.triangulate(fine, coview.project(fine, JOINTS)), atol=1e-9)


def test_integers_and_lists_give_float64():
    whole = np.rint(PIXELS).astype(int)
    for pixels in (whole, torch.from_numpy(whole), whole.tolist()):
        points = coview.triangulate(RIG, pixels)
        assert "float64" in str(points.dtype)
        near(points, atol=0.01)


@pytest.mark.parametrize("kind", [np.float16, torch.float16, torch.bfloat16])
def test_half_precision_gives_float32(kind):
    pixels = PIXELS.astype(kind) if kind is np.float16 else torch.from_numpy(PIXELS).to(kind)
    assert "float32" in str(coview.triangulate(RIG, pixels).dtype)


def test_any_memory_layout():
    transposed = np.ascontiguousarray(PIXELS.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
    backwards = np.ascontiguousarray(PIXELS[::-1])[::-1]
    for pixels in (transposed, backwards, torch.from_numpy(PIXELS).mT.contiguous().mT):
        near(coview.triangulate(RIG, pixels))


def test_batches_of_any_shape():
    assert coview.triangulate(RIG, PIXELS[0]).shape == (17, 3)
    assert coview.triangulate(RIG, PIXELS[:, :, :1]).shape == (20, 1, 3)
    assert coview.triangulate(RIG, PIXELS.reshape(4, 5, 4, 17, 2)).shape == (4, 5, 17, 3)
    assert coview.triangulate(RIG, PIXELS[:0]).shape == (0, 17, 3)
    assert coview.triangulate(RIG, PIXELS[:, :, :0]).shape == (20, 0, 3)


def test_cameras_of_every_instant():
    moving = RIG.expand(20, 4)
    near(coview.triangulate(moving, PIXELS))
    np.testing.assert_allclose(coview.project(moving, JOINTS), PIXELS, rtol=1e-9)


def test_a_wrong_detection_does_no_harm():
    pixels = PIXELS.copy()
    pixels[:, 1, 3] += 200
    near(coview.triangulate(RIG, pixels))
    assert np.abs(coview.triangulate(RIG, pixels, robust=False) - JOINTS)[:, 3].max() > 0.05


def test_confidence_of_another_kind_counts():
    pixels = PIXELS.copy()
    pixels[:, 1, 3] += 200
    confidence = torch.ones(20, 4, 17)
    confidence[:, 1, 3] = 0
    near(coview.triangulate(RIG, pixels, confidence, robust=False))
    near(coview.triangulate(RIG, pixels, confidence.numpy(), robust=False))
    near(coview.triangulate(RIG, pixels, confidence.long().tolist(), robust=False))


def test_not_seen_is_not_known():
    pixels = PIXELS.copy()
    pixels[0, :3, 5] = np.nan
    points = coview.triangulate(RIG, pixels)
    assert np.isnan(points[0, 5]).all()
    assert np.isfinite(points).all(axis=-1).sum() == 20 * 17 - 1


def test_details():
    found = coview.triangulate(RIG, PIXELS.astype(np.float32), details=True)
    assert found.covariance.shape == (20, 17, 3, 3)
    assert found.covariance.dtype == np.float32
    assert found.inliers.shape == found.residuals.shape == (20, 4, 17)
    assert found.inliers.dtype == np.bool_
    assert found.inliers.all()
    assert found.residuals.max() < 0.01


def test_the_linear_method_is_differentiable():
    pixels = torch.from_numpy(PIXELS).requires_grad_()
    coview.triangulate(RIG, pixels, robust=False).sum().backward()
    assert pixels.grad is not None
    assert bool(pixels.grad.isfinite().all())


def test_a_distorted_lens():
    cameras = coview.make_cameras(
        RIG.intrinsics, RIG.rotation, RIG.translation, (1000, 1000), [-0.2, 0.05, 0.001, -0.001, 0.0]
    )
    pixels = coview.project(cameras, JOINTS)
    near(coview.triangulate(cameras, pixels), atol=1e-9)
    straight = coview.undistort(cameras, pixels)
    np.testing.assert_allclose(straight, coview.project(RIG, JOINTS), atol=1e-2)
    assert np.abs(straight - pixels).max() > 1


def test_project_is_what_opencv_projects():
    cameras = coview.make_cameras(
        RIG.intrinsics, RIG.rotation, RIG.translation, (1000, 1000), [-0.2, 0.05, 0.001, -0.001, 0.01]
    )
    pixels = coview.project(cameras, JOINTS[0])
    for view in range(4):
        rvec = axis_angle_from_rotation(cameras.rotation[view]).numpy()
        lens = cameras.intrinsics[view].numpy(), cameras.distortion[view, :5].numpy()
        theirs, _ = cv2.projectPoints(JOINTS[0], rvec, cameras.translation[view].numpy(), *lens)
        np.testing.assert_allclose(pixels[view], theirs[:, 0], atol=1e-6)


def test_undistort_keeps_what_is_not_known():
    pixels = PIXELS.copy()
    pixels[0, 0, 0] = np.nan
    straight = coview.undistort(RIG, pixels)
    assert np.isnan(straight[0, 0, 0]).all()
    np.testing.assert_allclose(straight[1:], pixels[1:])


# --- named errors --------------------------------------------------------------------------------


def test_swapped_views_and_joints():
    with pytest.raises(coview.CoviewError) as error:
        coview.triangulate(RIG, PIXELS.swapaxes(1, 2))
    assert str(error.value) == (
        "pixels: expected (*batch, views=4, joints, 2), got (20, 17, 4, 2): views and joints are swapped. "
        "Pass pixels.swapaxes(-3, -2)."
    )


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (PIXELS.T, "the array is transposed"),
        (PIXELS.swapaxes(0, 1), "batch and views are swapped"),
        (PIXELS.swapaxes(2, 3), "joints and coordinates are swapped"),
        (PIXELS[:, :3], "there are 4 cameras and 3 views"),
        (PIXELS[0, :, 0], "an axis of joints is missing"),
        (np.concatenate([PIXELS, PIXELS[..., :1]], axis=-1), "a third number"),
        (PIXELS.astype(str), "numbers are needed"),
        (None, "got NoneType"),
    ],
)
@pytest.mark.parametrize("function", [coview.triangulate, coview.undistort])
def test_wrong_pixels_are_named(function, pixels, words):
    with pytest.raises(coview.CoviewError, match=f"^pixels: .*{words}"):
        function(RIG, pixels)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_another_number_of_cameras(count):
    with pytest.raises(
        InputError, match=rf"views={count}, joints, 2\), got \(20, 4, 17, 2\): there are {count} cameras"
    ):
        coview.triangulate(coview.example_cameras(count), PIXELS)


def test_where_views_are_as_many_as_joints_the_rays_tell():
    with pytest.raises(InputError, match=r"views and joints are swapped\. Both axes have length 4"):
        coview.triangulate(RIG, PIXELS[:, :, :4].swapaxes(1, 2))
    with pytest.raises(InputError, match=r"views and batch are swapped\. Both axes have length 4"):
        coview.triangulate(RIG, PIXELS[:4].swapaxes(0, 1))
    with pytest.raises(InputError, match="views and joints are swapped"):
        coview.triangulate(RIG[:2], PIXELS[0, :2, :2].swapaxes(0, 1))


@pytest.mark.parametrize("seed", range(5))
def test_right_axes_of_equal_length_pass_however_noisy(seed):
    noise = np.random.default_rng(seed).normal(size=(4, 4, 4, 2))
    pixels = PIXELS[:4, :, :4]
    for strength in (0, 3, 30, 300):
        assert coview.triangulate(RIG, pixels + strength * noise).shape == (4, 4, 3)
    assert coview.triangulate(RIG, 1000 * noise).shape == (4, 4, 3)


def test_points_without_coordinates():
    with pytest.raises(
        InputError, match=r"^points: expected \(\*batch, joints, 3\), got .*joints and coordinates"
    ):
        coview.project(RIG, JOINTS[0].T)
    with pytest.raises(InputError, match="it has 1 axis"):
        coview.project(RIG, [0, 0, 1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": 0}, "threshold: it is in pixels and must be above 0"),
        ({"robust": False, "threshold": 5}, "belong to robust=True"),
        ({"robust": False, "details": True}, "belong to robust=True"),
        ({"confidence": np.ones((20, 17, 4))}, "^confidence: expected .* views and joints are swapped"),
        ({"confidence": -np.ones((20, 4, 17))}, "^confidence: it must be 0"),
    ],
)
def test_wrong_options_are_named(options, words):
    with pytest.raises(InputError, match=words):
        coview.triangulate(RIG, PIXELS, **options)


def test_a_threshold_needs_an_image_size():
    cameras = coview.Cameras.make(RIG.intrinsics, RIG.cam_from_world, 0 * RIG.size)
    with pytest.raises(InputError, match=r"^threshold: the cameras' image sizes are not known"):
        coview.triangulate(cameras, PIXELS)
    near(coview.triangulate(cameras, PIXELS, threshold=10))


def test_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frozen = PIXELS.copy()
        frozen.flags.writeable = False
        near(coview.triangulate(RIG, frozen))
