"""Points from pixels and pixels from points: `triangulate`, `project`, `undistort`."""

from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from coview.api.arrays import ArrayLike, Number, read
from coview.api.axes import Axis, expect
from coview.api.views import check_batches, check_cameras, check_pixels, check_placed, read_confidence
from coview.cameras import Cameras
from coview.errors import InputError
from coview.geometry.triangulation.triangulate import triangulate as linear_points
from coview.geometry.triangulation.triangulate import triangulate_robust
from coview.geometry.triangulation.undistorted import reprojection_residuals

Array = TypeVar("Array")

# of the image's diagonal: a detection further from the point that the others agree on is wrong rather than poor
WRONG = 0.01
_SOME = 64  # instants from which the order of equally long axes is judged
# an order of axes is refused only where it fits this badly (pixels) and another one this many times better
_BAD_FIT, _FAR_BETTER = 20.0, 10.0


class TriangulatedJoints(NamedTuple):
    """What `triangulate(..., details=True)` returns: points, and all that is known about how good they are.

    Attributes:
        points: (*batch, joints, 3), metres, world frame; NaN where a point is not determined.
        covariance: (*batch, joints, 3, 3), square metres; for a detector that errs by a third of the threshold.
        inliers: (*batch, views, joints), bool; the views that the point was fitted to.
        residuals: (*batch, views, joints), pixels between what was seen and the point's image; NaN: not seen.
    """

    points: Any
    covariance: Any
    inliers: Any
    residuals: Any


def triangulate(
    cameras: Cameras,
    pixels: Array,
    confidence: ArrayLike | None = None,
    robust: bool = True,
    *,
    threshold: Number | None = None,
    details: bool = False,
) -> Any:
    """Triangulate joints: 3D points in metres from their pixels in two or more calibrated views.

    Lens distortion is removed first. `robust=True` finds for every point the largest set of views that agree
    ([Torr00], every pair of views is tried) and the point of least reprojection error in these [HZ04 §12]; a wrong
    detection then does no harm where two other views agree. `robust=False` is the confidence-weighted linear method
    (DLT) [HZ04 §12.2, Iskakov19], which one wrong detection moves without limit; it is differentiable.

    Args:
        cameras: The calibrated cameras, one per view, in the order of the views; or with batch axes in front, one set
            per instant. See `make_cameras` and `read_calibration`.
        pixels: (*batch, views, joints, 2), as filmed; (0, 0) is the centre of the top-left pixel. NaN: not seen. NumPy
            array, tensor or nested lists.
        confidence: (*batch, views, joints), 0 (not seen) or more: a detection's standard deviation goes as
            1 / confidence. Default: all that are not NaN count alike.
        robust: Whether to leave out views that contradict the others.
        threshold: Pixels beyond which a detection is wrong rather than poor; default: 1 % of the images' diagonal.
            Only of `robust`.
        details: Return covariance, inliers and residuals too. Only of `robust`.

    Returns:
        (*batch, joints, 3), metres in the world of the cameras, in the kind that `pixels` came in (integers and lists:
        float64); or with `details` a `TriangulatedJoints`. NaN where fewer than two views see the joint or agree on
        it, where the rays are parallel, and where other views agree as well on another place. With exactly two views a
        wrong detection can be told only where it lies across the epipolar line.

    Raises:
        CoviewError: Axes in another order, another number of views than cameras, fewer than two cameras, cameras whose
            place is not known, confidence of another shape; the message names the axes.

    Example:
        >>> import coview, numpy as np
        >>> cameras = coview.example_cameras(4)
        >>> joints = np.array([[0.1, 0.3, 1.0], [0.2, -0.1, 1.4]])
        >>> pixels = coview.project(cameras, joints)
        >>> pixels.shape
        (4, 2, 2)
        >>> pixels[0, 1] += 80  # one wrong detection
        >>> coview.triangulate(cameras, pixels).round(3)
        array([[ 0.1,  0.3,  1. ],
               [ 0.2, -0.1,  1.4]])
    """
    values, kind = read("pixels", pixels)
    check_pixels(values, check_cameras(cameras, least=2))
    check_placed(cameras)
    check_batches(cameras, values)
    weights = read_confidence(confidence, values)
    _check_options(robust, threshold, details)
    used = _matched(cameras, values)
    check_order_by_geometry(used, values, weights)
    values = values.to(used.intrinsics)
    if not robust:
        return kind.give(linear_points(used, values, weights))
    limit = _threshold(used, threshold)
    found = triangulate_robust(used, values, weights, threshold=limit, sigma=limit / 3)
    if not details:
        return kind.give(found.points)
    parts = (found.points, found.covariance, found.inliers, found.residuals)
    return TriangulatedJoints(*(kind.give(part) for part in parts))


def project(cameras: Cameras, points: Array) -> Array:
    """Project 3D points into every camera: the pixels, lens distortion included, where each would film them.

    Pinhole projection [HZ04 eq. 6.7] with Brown-Conrady (OpenCV's coefficients) or equidistant fisheye distortion.

    Args:
        cameras: The calibrated cameras, one per view; or with batch axes in front, one set per instant.
        points: (*batch, joints, 3), metres, in the world of the cameras. NumPy array, tensor or nested lists.

    Returns:
        (*batch, views, joints, 2), pixels, in the kind that `points` came in; NaN for points behind a camera and for
        NaN points. Points outside the image are not left out.

    Raises:
        CoviewError: Points that have no last axis of x, y, z; cameras whose place is not known.

    Example:
        >>> import coview
        >>> cameras = coview.example_cameras(4)  # they look at (0, 0, 1)
        >>> coview.project(cameras, [[0, 0, 1]])[0].round(1)
        array([[499.5, 499.5]])
    """
    values, kind = read("points", points)
    check_cameras(cameras)
    check_placed(cameras)
    expect("points", values, Axis("joints"), Axis("", 3))
    check_batches(cameras, values[..., None, :, :])
    result: Array = kind.give(_matched(cameras, values).project(values[..., None, :, :]))
    return result


def undistort(cameras: Cameras, pixels: Array) -> Array:
    """Remove lens distortion: the pixels where cameras with the same matrix and no distortion would have filmed.

    The inverse of the lens model has no closed form; Newton's method finds it to rounding.

    Args:
        cameras: The cameras, one per view; where they stand does not matter.
        pixels: (*batch, views, joints, 2), as filmed. NumPy array, tensor or nested lists.

    Returns:
        (*batch, views, joints, 2), pixels, in the kind that `pixels` came in; NaN where they are NaN, and where the
        lens model cannot reach a pixel (far outside of where it was calibrated).

    Raises:
        CoviewError: Axes in another order, or another number of views than cameras.

    Example:
        >>> import coview
        >>> cameras = coview.example_cameras(2)  # they have no distortion
        >>> coview.undistort(cameras, [[[10, 20]], [[30, 40]]])
        array([[[10., 20.]],
        <BLANKLINE>
               [[30., 40.]]])
    """
    values, kind = read("pixels", pixels)
    check_pixels(values, check_cameras(cameras))
    check_batches(cameras, values)
    straight, residual = _matched(cameras, values).undistort(torch.nan_to_num(values))
    valid = values.isfinite().all(dim=-1) & (residual < 0.1)
    result: Array = kind.give(torch.where(valid[..., None], straight, torch.nan))
    return result


# --- inside --------------------------------------------------------------------------------------


def check_order_by_geometry(cameras: Cameras, pixels: Tensor, weights: Tensor) -> None:
    """Tell swapped axes of equal length by the rays: those of one joint meet, those of different joints do not.

    InputError where the detections of no order but another one agree: as given they miss the points by more than 20
    pixels (median), and with views swapped with another axis by less than a tenth of that."""
    views = pixels.shape[-3]
    swaps = [(axis, name) for axis, name in ((-2, "joints"), (-4, "batch")) if _length(pixels, axis) == views]
    if not swaps or views < 2 or cameras.fisheye.ndim > 1:
        return
    as_given = _median_error(cameras, pixels, weights)
    if not as_given > _BAD_FIT:
        return
    for axis, name in swaps:
        other = _median_error(cameras, pixels.swapaxes(-3, axis), weights.swapaxes(-2, axis + 1))
        if other < min(as_given / _FAR_BETTER, _BAD_FIT):
            raise InputError(
                f"pixels: views and {name} are swapped. Both axes have length {views}, so the shape "
                f"{tuple(pixels.shape)} cannot tell, but the rays do: as given, detections miss the points by "
                f"{as_given:.0f} pixels (median), and swapped by {other:.1f}. Pass pixels.swapaxes(-3, {axis})."
            )


def _length(pixels: Tensor, axis: int) -> int:
    return pixels.shape[axis] if pixels.ndim >= -axis else 0


@torch.no_grad()
def _median_error(cameras: Cameras, pixels: Tensor, weights: Tensor) -> float:
    """Median reprojection residual of the linear points of a few instants, pixels; infinite where there are none."""
    pixels, weights = pixels.reshape(-1, *pixels.shape[-3:]), weights.reshape(-1, *weights.shape[-2:])
    every = max(1, len(pixels) // _SOME)
    pixels, weights = pixels[::every], weights[::every]
    perfect, straight = cameras.undistorted(pixels.to(cameras.intrinsics))
    found = linear_points(perfect, straight, weights)
    residuals = reprojection_residuals(found, straight, perfect.pixels_from_world)
    residuals = residuals[residuals.isfinite() & (weights > 0)]
    return float(residuals.median()) if residuals.numel() else torch.inf


def _check_options(robust: bool, threshold: Number | None, details: bool) -> None:
    if not isinstance(robust, bool):
        raise InputError(f"robust: True or False, got {robust!r}.")
    if not robust and (threshold is not None or details):
        raise InputError(
            "triangulate: threshold and details belong to robust=True; the linear method leaves nothing out."
        )
    if threshold is not None and not threshold > 0:
        raise InputError(f"threshold: it is in pixels and must be above 0, got {threshold}.")


def _threshold(cameras: Cameras, given: Number | None) -> float:
    """In pixels. InputError where it would follow from an image size that is not known."""
    if given is not None:
        return float(given)
    diagonal = float(cameras.size.norm(dim=-1).mean())
    if not diagonal > 0:
        raise InputError(
            "threshold: the cameras' image sizes are not known, so a threshold cannot be taken from them. Give one in "
            "pixels, about three times what the detector errs by."
        )
    return WRONG * diagonal


def _matched(cameras: Cameras, values: Tensor) -> Cameras:
    """The cameras on the device of the values, in the finer of both types."""
    return cameras.to(values.device, torch.promote_types(cameras.intrinsics.dtype, values.dtype))
