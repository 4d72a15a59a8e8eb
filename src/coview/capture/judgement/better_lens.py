"""Whether other lenses of all cameras would fit clearly better: a wrong focal length leaves small residuals."""

from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.judgement.causes import Seen, level, with_lens
from coview.geometry.sampling import evenly

# frames that lenses are compared on
_FRAMES = 160
# of all cameras: what lenses are compared with the given ones, and how much better they have to be
_OTHER_FOCALS = (0.5, 0.6, 0.7, 0.8, 0.87, 1.15, 1.25, 1.4, 1.6, 2.0)
_SHAPES = (0.75, 0.87, 0.93, 1.07, 1.15, 1.33)
_OFFSETS = (-0.08, -0.04, 0.0, 0.04, 0.08)
_CLEARLY = 0.85


def better_lens(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    people: int,
) -> str:
    """Say which other focal length, or shape of the pixels, all cameras would agree better with.

    A wrong focal length of all cameras leaves small residuals and large errors.

    Args:
        cameras: of batch `views`.
        pixels: raw 2D joints, (frames, views, joints, 2).
        weights: of the joints, (frames, views, joints); 0: not seen.
        people: number of people, the joints of one after those of another.

    Returns:
        A sentence; empty where the given ones are about as good as any."""
    some = evenly(len(pixels), _FRAMES)
    seen = Seen.of(cameras, pixels[some], weights[some], people)
    tried = {f"{f:.3g} times the focal length (a zoom)": (f, f, 1.0, 1.0) for f in _OTHER_FOCALS}
    tried |= {f"2D joints {f:.3g} times as large (another resolution)": (1 / f,) * 4 for f in _OTHER_FOCALS}
    tried |= {
        f"2D joints {f:.3g} times as tall (squeezed pictures)": (1.0, 1 / f, 1.0, 1 / f) for f in _SHAPES
    }
    tried |= {f"pixels {f:.3g} times as tall as wide": (1.0, 1 / f, 1.0, 1.0) for f in _SHAPES}
    tried |= {
        f"principal points moved by {x:+.0%} and {y:+.0%} of the picture's sides (cropped pictures)": (
            1.0,
            1.0,
            1 + 2 * x,
            1 + 2 * y,
        )
        for x in _OFFSETS
        for y in _OFFSETS
        if x or y
    }
    levels = {words: level(with_lens(seen, factors)) for words, factors in tried.items()}
    best = min(levels, key=levels.__getitem__)
    if not levels[best] < _CLEARLY * level(seen):
        return ""
    return (
        f"the cameras agree better, {level(seen):.1%} to {levels[best]:.1%} of a person's size, with {best}"
    )
