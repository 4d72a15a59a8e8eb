"""2D heatmaps of joints: positions from maps, maps from positions, and conversion between map cells and image pixels.

Positions in a map are (column, row) with whole numbers at the centres of its cells, as pixels are in images.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError


def soft_argmax(
    heatmaps: Float[Tensor, "*batch joints height width"],
    multiplier: float = 100.0,
    *,
    normalise: Literal["softmax", "relu"] = "softmax",
) -> Float[Tensor, "*batch joints 2"]:
    """Expected position under each heatmap, normalised to a distribution. [Iskakov19]

    Args:
        heatmaps: Any scale.
        multiplier: Factor before the softmax; with 100 a single peak of height 1 is found exactly, with 1 the result
            is near the map's centre.
        normalise: "softmax", of `multiplier` times the map; or "relu", the positive part divided by its sum.

    Returns:
        Column and row in map cells, float32 at least; with "relu" NaN (gradient 0) where nothing is positive.

    Raises:
        InputError: `normalise` is neither of the two.
    """
    maps = _precise(heatmaps)
    if normalise == "softmax":
        shares = (multiplier * maps).flatten(-2).softmax(dim=-1).view(maps.shape)
    elif normalise == "relu":
        positive = maps.relu()
        mass = positive.sum(dim=(-2, -1), keepdim=True)
        shares = torch.where(mass > 0, positive / torch.where(mass > 0, mass, 1.0), torch.nan)
    else:
        raise InputError(f"soft_argmax: normalise is 'softmax' or 'relu', got {normalise!r}.")
    height, width = maps.shape[-2:]
    columns, rows = (torch.arange(size).to(maps) for size in (width, height))
    return torch.stack(
        [(shares.sum(dim=-2) * columns).sum(dim=-1), (shares.sum(dim=-1) * rows).sum(dim=-1)], dim=-1
    )


def hard_argmax(
    heatmaps: Float[Tensor, "*batch joints height width"],
) -> Float[Tensor, "*batch joints 2"]:
    """Position of each map's largest value; of equal values the first.

    Args:
        heatmaps: Any scale.

    Returns:
        Column and row in map cells, whole numbers; without gradient.
    """
    index = heatmaps.flatten(-2).argmax(dim=-1)
    width = heatmaps.shape[-1]
    return torch.stack([index % width, index // width], dim=-1).to(_precise(heatmaps).dtype)


def peaks(
    heatmaps: Float[Tensor, "*batch joints height width"], multiplier: float, reach: int = 2
) -> tuple[Float[Tensor, "*batch joints 2"], Float[Tensor, "*batch joints"]]:
    """Mean position and share of the largest peak of the softmax of each map.

    Args:
        heatmaps: Any scale.
        multiplier: Factor before the softmax.
        reach: Cells to each side of the largest value that belong to the peak.

    Returns:
        Column and row in map cells; and the peak's share of the whole: 1 for one narrow peak, ½ for two equal ones,
        near 0 for a flat map.
    """
    maps = _precise(heatmaps)
    share = (multiplier * maps).flatten(-2).softmax(dim=-1).reshape(maps.shape)
    middle = hard_argmax(maps)
    rows, columns = (torch.arange(maps.shape[axis]).to(share) for axis in (-2, -1))
    near = ((columns - middle[..., :1]).abs() <= reach)[..., None, :]
    near = near & ((rows - middle[..., 1:]).abs() <= reach)[..., :, None]
    own = share * near
    mass = own.sum(dim=(-2, -1))
    across, down = (own.sum(dim=-2) * columns).sum(dim=-1), (own.sum(dim=-1) * rows).sum(dim=-1)
    return torch.stack([across, down], dim=-1) / mass[..., None], mass


def map_stride(image_size: tuple[int, int], map_size: tuple[int, int]) -> tuple[float, float]:
    """Image pixels per map cell, (across, down).

    Args:
        image_size: Width and height in pixels.
        map_size: Width and height in cells.

    Raises:
        InputError: A size is below 1.
    """
    if min(*image_size, *map_size) < 1:
        raise InputError(f"map_stride: sizes must be at least 1, got image {image_size}, map {map_size}.")
    return image_size[0] / map_size[0], image_size[1] / map_size[1]


def image_pixels(
    cells: Float[Tensor, "*batch 2"], stride: tuple[float, float], *, half_pixel: bool = True
) -> Float[Tensor, "*batch 2"]:
    """Image pixels of positions in a map.

    Args:
        cells: Column and row in map cells.
        stride: Pixels per cell, as `map_stride` gives it.
        half_pixel: Whether the map covers the same area as the image: (i + ½) stride − ½. Without, cell i lies at
            pixel i stride, as the released weights were trained [Iskakov19].

    Returns:
        Pixels (x, y).
    """
    scale = cells.new_tensor(stride)
    return (cells + 0.5) * scale - 0.5 if half_pixel else cells * scale


def map_cells(
    pixels: Float[Tensor, "*batch 2"], stride: tuple[float, float], *, half_pixel: bool = True
) -> Float[Tensor, "*batch 2"]:
    """Positions in a map of image pixels: the inverse of `image_pixels`.

    Args:
        pixels: Pixels (x, y).
        stride: Pixels per cell, as `map_stride` gives it.
        half_pixel: As in `image_pixels`.

    Returns:
        Column and row in map cells.
    """
    scale = pixels.new_tensor(stride)
    return (pixels + 0.5) / scale - 0.5 if half_pixel else pixels / scale


def cells_from_world(
    pixels_from_world: Float[Tensor, "*batch 3 4"], stride: tuple[float, float], *, half_pixel: bool = True
) -> Float[Tensor, "*batch 3 4"]:
    """Projection matrices into map cells from those into image pixels.

    Args:
        pixels_from_world: Projection matrices into pixels.
        stride: Pixels per cell, as `map_stride` gives it.
        half_pixel: As in `image_pixels`.

    Returns:
        Projection matrices from the same world into map cells.
    """
    shift = 0.5 if half_pixel else 0.0
    across, down, depth = pixels_from_world.unbind(dim=-2)
    across = (across + shift * depth) / stride[0] - shift * depth
    down = (down + shift * depth) / stride[1] - shift * depth
    return torch.stack([across, down, depth], dim=-2)


def gaussian_maps(
    joints: Float[Tensor, "*batch joints 2"],
    confidence: Float[Tensor, "*batch joints"],
    size: tuple[int, int],
    sigma: float,
) -> Float[Tensor, "*batch joints height width"]:
    """Heatmaps with a Gaussian of height 1 around each joint: targets for 2D detectors.

    Args:
        joints: Column and row in map cells, may be fractional.
        confidence: A joint of confidence 0 or NaN has an empty map.
        size: Height and width of the maps in cells.
        sigma: Standard deviation in map cells.

    Returns:
        Values in [0, 1]; a joint outside the map shows the part of its Gaussian that is inside.

    Raises:
        InputError: `sigma` is not positive.
    """
    if not sigma > 0:
        raise InputError(f"gaussian_maps: sigma is in map cells and must be positive, got {sigma}.")
    seen = (confidence > 0) & joints.isfinite().all(dim=-1)
    place = torch.where(seen[..., None], joints, 0.0)
    across, down = (
        # e^-30 is negligible; smaller values would be denormal numbers, which are slow
        ((torch.arange(length).to(place) - place[..., axis, None]).square() * (-0.5 / sigma**2)).clamp_min(
            -30
        )
        for axis, length in enumerate(reversed(size))
    )
    drawn = down.exp()[..., :, None] * across.exp()[..., None, :]
    return torch.where(seen[..., None, None], drawn, 0.0)


def _precise(maps: Tensor) -> Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))
