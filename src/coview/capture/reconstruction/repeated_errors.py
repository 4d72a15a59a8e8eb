"""What errors that a detector repeats from frame to frame do to the covariance of smoothed paths.

Smoothing averages over frames, and the posterior covariance counts every frame's errors as new. Where they are
correlated, the average is worse than it says, the more so the stronger the smoothing. The smoother is locally that of
a stationary process [Silverman84]: it weighs frequencies by H(ω) = 1 / (1 + λ (2 − 2 cos ω)²), so what the noise
contributes to the posterior is known for any spectrum of the noise.
"""

import numpy as np
from jaxtyping import Bool, Float

# correlation below which the following ones are taken for chance
_NONE = 0.05
# frames: correlations further apart are not looked at
_FARTHEST = 200
# strengths of smoothing that are tabulated, and frequencies
_STRENGTHS, _FREQUENCIES = np.logspace(-6, 12, 120), np.linspace(0, np.pi, 4097)


def autocorrelation(
    errors: Float[np.ndarray, "2 views joints frames"], valid: Bool[np.ndarray, "views joints frames"]
) -> Float[np.ndarray, "lags"]:
    """Correlation of residuals with those of the same joint and view 1, 2, ... frames later, while it is positive.

    Args:
        errors: residuals of points that were triangulated frame by frame, pixels.
        valid: which of them count.

    Returns:
        As many numbers in (0, 1] as are not chance; none where errors are independent.
    """
    values = np.where(valid, errors, 0.0)
    variance = (values**2).sum() / max(2 * valid.sum(), 1)
    found: list[float] = []
    for lag in range(1, min(_FARTHEST, values.shape[-1] // 3)):
        count = 2 * (valid[..., lag:] & valid[..., :-lag]).sum()
        alike = (values[..., lag:] * values[..., :-lag]).sum() / max(count, 1) / max(variance, 1e-300)
        if alike < _NONE:
            break
        found.append(min(float(alike), 1.0))
    return np.array(found)


def inflation(
    smoothed: Float[np.ndarray, "*any"], correlations: Float[np.ndarray, "lags"]
) -> Float[np.ndarray, "*any"]:
    """Factor by which a smoothed position's covariance exceeds what it would be for independent errors.

    Args:
        smoothed: variance of the position as a share of that of one frame alone, in (0, 1].
        correlations: of the errors, as of `autocorrelation`.

    Returns:
        At least 1.
    """
    if not len(correlations):
        return np.ones_like(smoothed)
    lags = np.arange(1, len(correlations) + 1)
    spectrum = 1 + 2 * (correlations[:, None] * np.cos(lags[:, None] * _FREQUENCIES)).sum(axis=0)
    gain = 1 / (1 + _STRENGTHS[:, None] * (2 - 2 * np.cos(_FREQUENCIES)) ** 2)
    share = gain.mean(axis=1)
    noise, motion = (gain**2 * spectrum.clip(0)).mean(axis=1), (gain * (1 - gain)).mean(axis=1)
    factor = ((noise + motion) / share).clip(1)
    return np.interp(smoothed, share[::-1], factor[::-1])
