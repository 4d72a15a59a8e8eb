"""2D heatmaps of joints: from maps to places, from places to maps, and between map cells and image pixels.

Places in a map are (column, row) with whole numbers at the centres of its cells, as pixels are in images.
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
    """Mean place (column, row; map cells) under each heatmap made a distribution. [Iskakov19]

    "softmax": of `multiplier` times the map; with 100 a lone peak of 1 is found exactly, with 1 it drowns in
    the mean of the flat rest, the map's centre. "relu": the positive part divided by its mass; NaN (gradient
    0) where nothing is positive. Computed in float32 at least."""
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
    """Place (column, row; map cells) of each map's largest value: whole numbers; the first of equals."""
    index = heatmaps.flatten(-2).argmax(dim=-1)
    width = heatmaps.shape[-1]
    return torch.stack([index % width, index // width], dim=-1).to(_precise(heatmaps).dtype)


def peaks(
    heatmaps: Float[Tensor, "*batch joints height width"], multiplier: float, reach: int = 2
) -> tuple[Float[Tensor, "*batch joints 2"], Float[Tensor, "*batch joints"]]:
    """The largest peak of the softmax of `multiplier` times each map: its mean place (column, row; map cells) and
    its share of the whole.

    A peak is what lies within `reach` cells of the largest value, either way. The share is 1 for a map with one
    narrow peak, a half for two equal ones, and next to nothing for a flat map."""
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
    """Image pixels per map cell, (across, down), for sizes (width, height)."""
    if min(*image_size, *map_size) < 1:
        raise InputError(f"map_stride: sizes must be at least 1, got image {image_size}, map {map_size}.")
    return image_size[0] / map_size[0], image_size[1] / map_size[1]


def image_pixels(
    cells: Float[Tensor, "*batch 2"], stride: tuple[float, float], *, half_pixel: bool = True
) -> Float[Tensor, "*batch 2"]:
    """Image pixels of places in a map; `stride` as `map_stride` gives it.

    With `half_pixel` the map covers the same area as the image: (i + ½) stride − ½. Without, cell i lies at
    pixel i stride, as the released weights were trained [Iskakov19]."""
    scale = cells.new_tensor(stride)
    return (cells + 0.5) * scale - 0.5 if half_pixel else cells * scale


def map_cells(
    pixels: Float[Tensor, "*batch 2"], stride: tuple[float, float], *, half_pixel: bool = True
) -> Float[Tensor, "*batch 2"]:
    """Places in a map of image pixels: the inverse of `image_pixels`."""
    scale = pixels.new_tensor(stride)
    return (pixels + 0.5) / scale - 0.5 if half_pixel else pixels / scale


def cells_from_world(
    pixels_from_world: Float[Tensor, "*batch 3 4"], stride: tuple[float, float], *, half_pixel: bool = True
) -> Float[Tensor, "*batch 3 4"]:
    """Projections into map cells from projections into image pixels; conventions of `image_pixels`."""
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
    """Maps of `size` (height, width) with a Gaussian of height 1 around each joint, to train 2D detectors on.

    Joints and sigma in map cells, sub-cell places kept. A joint of confidence 0 or NaN has an empty map, a
    joint outside the map shows as much as reaches in. ValueError: sigma not positive."""
    if not sigma > 0:
        raise InputError(f"gaussian_maps: sigma is in map cells and must be positive, got {sigma}.")
    seen = (confidence > 0) & joints.isfinite().all(dim=-1)
    place = torch.where(seen[..., None], joints, 0.0)
    across, down = (
        # e^-30 is nothing; smaller ones would be denormal numbers, which are slow
        ((torch.arange(length).to(place) - place[..., axis, None]).square() * (-0.5 / sigma**2)).clamp_min(
            -30
        )
        for axis, length in enumerate(reversed(size))
    )
    drawn = down.exp()[..., :, None] * across.exp()[..., None, :]
    return torch.where(seen[..., None, None], drawn, 0.0)


def _precise(maps: Tensor) -> Tensor:
    return maps.to(torch.promote_types(maps.dtype, torch.float32))
