"""The residual beyond which a detection counts as an outlier, from the recording itself."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.geometry.triangulation.pair_agreement import pair_agreement, view_sizes
from coview.geometry.triangulation.triangulate import triangulate_robust

LEAST = 0.01  # of the image's diagonal: detectors have long tails, and a poor view is better than none
SOME_FRAMES = 500  # that the residuals are judged from
# of the person's size in the image: a detection farther off is not of that joint, however bad the others are
MOST = 0.10


def automatic_threshold(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    least: float | None = None,
) -> float:
    """Inlier threshold: three robust standard deviations of the residuals of the agreeing views' linear fit, pixels.

    A 2D error of standard deviation σ per axis has the median length 1.177 σ. The deviation includes errors of the
    calibration: views are dropped for disagreeing more than is usual in this recording. Cameras that do not agree with
    the others (`pair_agreement`) have no part in it, and it is never more than a tenth of the person's size.

    Args:
        cameras: of batch `views`.
        pixels: raw (distorted), (frames, views, joints, 2).
        weights: of detections, (frames, views, joints); 0: not seen.
        least: pixels, the smallest threshold; None for 1 % of the image's diagonal.

    Returns:
        Pixels, at least `least` unless a person is smaller than ten times that; `least` where nothing can be
        triangulated."""
    if least is None:
        least = LEAST * float(cameras.size.norm(dim=-1).mean())
    some = torch.linspace(0, len(pixels) - 1, min(len(pixels), SOME_FRAMES)).long()
    usable = pair_agreement(cameras, pixels, weights).usable
    kept = torch.where(usable[..., None], weights, 0.0)[some].double()
    every = triangulate_robust(cameras, pixels[some].double(), kept, threshold=1e9, solver="linear")
    residuals = every.residuals[every.residuals.isfinite()]
    size = float(view_sizes(pixels[some], kept).nanmedian())
    most = MOST * size if size > 0 else math.inf
    return min(max(least, 3.0 * float(residuals.median()) / 1.177), most) if residuals.numel() else least


def check_settings(min_confidence: float, threshold: float | None) -> None:
    """Refuse settings that would use no detections, or all of them.

    Args:
        min_confidence: in [0, 1]; detections below it are left out.
        threshold: pixels, above 0; None: automatic.

    Raises:
        InputError: a setting is out of range."""
    if not 0 <= min_confidence <= 1:
        raise InputError(
            f"min_confidence {min_confidence:g} is no confidence: it must be in [0, 1]. Detections below it are left "
            f"out."
        )
    if threshold is not None and not threshold > 0:
        raise InputError(
            f"threshold {threshold:g} must be above 0 pixels; leave it out to take it from the recording."
        )
