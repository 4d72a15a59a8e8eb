"""What tells a wrong detection from a poor one in this recording."""

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.errors import InputError
from coview.geometry.triangulation.triangulate import triangulate_robust

LEAST = 0.01  # of the image's diagonal: detectors have long tails, and a poor view is better than none
SOME_FRAMES = 500  # that the residuals are judged from


def automatic_threshold(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    least: float | None = None,
) -> float:
    """Three times the robust standard deviation of the residuals when all views vote; pixels.

    A 2D error of standard deviation σ per axis has the median length 1.177 σ. The spread includes what
    the calibration gets wrong: views are dropped for disagreeing more than is usual in this recording. At
    least `least` (1 % of the image's diagonal), and just that where nothing can be triangulated."""
    if least is None:
        least = LEAST * float(cameras.size.norm(dim=-1).mean())
    some = torch.linspace(0, len(pixels) - 1, min(len(pixels), SOME_FRAMES)).long()
    every = triangulate_robust(
        cameras, pixels[some].double(), weights[some].double(), threshold=1e9, solver="linear"
    )
    residuals = every.residuals[every.residuals.isfinite()]
    return max(least, 3.0 * float(residuals.median()) / 1.177) if residuals.numel() else least


def check_settings(min_confidence: float, threshold: float | None) -> None:
    """ValueError for numbers that would silently use nothing, or everything."""
    if not 0 <= min_confidence <= 1:
        raise InputError(
            f"min_confidence {min_confidence:g} is no confidence: it must be in [0, 1]. Detections below it are left "
            f"out."
        )
    if threshold is not None and not threshold > 0:
        raise InputError(
            f"threshold {threshold:g} must be above 0 pixels; leave it out to take it from the recording."
        )
