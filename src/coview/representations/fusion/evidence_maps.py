"""Maps of the evidence of several views for the position of a joint, and their maxima. [Kim22]

A map is the sum over views of Gaussians around reprojected joints and of ridges along epipolar lines.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from coview.errors import InputError
from coview.representations.fusion.cross_view_evidence import JointEvidence, Scale, without_lone_lines

# items whose grids are computed at once, so that they fit into a processor's cache
_BLOCK = 64
_ASCENT_STEPS = 6
# half the size of the box in which lines are drawn, as shares of the grid
_HALF_WIDTH, _HALF_HEIGHT = 0.3, 0.4
# sine of the angle between two lines below which they are not intersected
_PARALLEL = 0.05
# Weight of the current position in each step of the ascent: far from all evidence, and along a single line, the
# position does not change. Also the least total weight that a mean divides by.
_FLAT = 1e-4


@dataclass(frozen=True)
class FusionSettings:
    """How maps are drawn and searched, and which maxima are accepted.

    Defaults are those of the authors' code [Kim22]; `OURS` below was better in our measurements.
    Lengths called cells are shares 1/resolution of the norm of a 2D pose (32 mm for an adult at 64)."""

    # confidence below which joints are moved
    threshold: float = 0.85
    # quantile of a data set's confidences that is the threshold, instead of `threshold`
    quantile: float | None = None
    # how the maximum is found. grid: the best cell; ascent, ours: gradient ascent without a grid
    search: Literal["grid", "ascent"] = "grid"
    # cells of the grid per norm of the pose, in both directions
    resolution: int = 64
    # standard deviation of the Gaussian around a reprojected joint, in cells
    joint_sigma: float = 3.0
    # standard deviation of the Gaussian across a line, in cells
    line_sigma: float = 2.0
    # cells to each side of a reprojected joint beyond which the grid's Gaussian is cut off
    joint_reach: int = 3
    # cells to each side of a line beyond which the grid's ridge is cut off
    line_reach: int = 2
    # how the scale of a pose in a view is fitted. norm: by the norm of all detected joints; robust, ours: by least
    # squares over joints above the threshold, also between views
    scale: Scale = "norm"
    # whether a view's own predicted pose is evidence for its joints
    own_view: bool = True
    # least sine of the angle between two view axes for which epipolar lines are used
    min_axis_sine: float = 0.0
    # share by which the evidence for the new position must exceed that for the old one; None: any; ours
    margin: float | None = None
    # largest move of a joint in norms of the pose; a joint that would move farther stays; ours
    farthest: float = float("inf")

    def __post_init__(self) -> None:
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise InputError(
                f"FusionSettings: quantile is a share between 0 and 1 (0.25, not 25), got {self.quantile}."
            )
        if self.resolution < 8 or min(self.joint_sigma, self.line_sigma, self.farthest) <= 0:
            raise InputError(
                f"FusionSettings: resolution must be at least 8 and joint_sigma, line_sigma, farthest positive, "
                f"got {self.resolution}, {self.joint_sigma}, {self.line_sigma} and {self.farthest}."
            )


FAITHFUL = FusionSettings()
# With rotations wrong by 8° and a detector that errs in 6 of 100 joints, this threshold and margin bring
# more joints within 20 px of the truth than 0.25 and 0.1 do; with 20° far fewer are harmed. Figures: docs.
OURS = FusionSettings(
    quantile=0.15, search="ascent", scale="robust", min_axis_sine=0.1, margin=1.0, farthest=0.5
)


def map_maxima(
    evidence: JointEvidence, before: Float[Tensor, "2 items"], settings: FusionSettings
) -> tuple[Float[Tensor, "2 items"], Float[Tensor, "items"], Float[Tensor, "items"]]:
    """The maximum of each map, and the map's height there and at the old position.

    Args:
        evidence: Points and lines of each item.
        before: Old positions, as shares of the norm of the 2D pose.
        settings: How maps are drawn and searched.

    Returns:
        New positions; heights there, 0 where there is no evidence and the position is meaningless; and heights at
        the old positions.
    """
    if settings.search == "ascent":
        place = maxima_by_ascent(evidence, before, settings)
        height, height_before = map_height(evidence, torch.stack([place, before], dim=1), settings)
        return place, height, height_before
    evidence = within_grid(evidence, settings)
    parts = [maxima_on_grid(part, settings) for part in _blocks(evidence)]
    place, height = (torch.cat(each, dim=-1) for each in zip(*parts, strict=True))
    return place, height, map_height(evidence, before[:, None], settings, windows=True)[0]


def map_height(
    evidence: JointEvidence,
    places: Float[Tensor, "2 places items"],
    settings: FusionSettings,
    *,
    windows: bool = False,
) -> Float[Tensor, "places items"]:
    """Value of each item's map at given positions.

    Args:
        evidence: Points and lines of each item.
        places: Positions, as shares of the norm of the 2D pose.
        settings: Widths of the Gaussians.
        windows: Whether Gaussians and lines are cut off as on the grid.

    Returns:
        0 or more.
    """
    # 1 places items
    x, y = places[:, None] * settings.resolution
    away_x = x - settings.resolution * evidence.x[:, None]
    away_y = y - settings.resolution * evidence.y[:, None]
    bump = (
        _gaussian(away_x.square() + away_y.square(), settings.joint_sigma) * evidence.point_weights[:, None]
    )
    a, b, c = evidence.a[:, None], evidence.b[:, None], settings.resolution * evidence.c[:, None]
    distance = a * x + b * y + c
    ridge = _gaussian(distance.square(), settings.line_sigma) * evidence.line_weights[:, None]
    if windows:
        bump = bump * (torch.maximum(away_x.abs(), away_y.abs()) <= settings.joint_reach + 0.5)
        reach = settings.line_reach + 0.5
        inside = (x.abs() < _HALF_WIDTH * settings.resolution + reach) & (
            y.abs() < _HALF_HEIGHT * settings.resolution + reach
        )
        ridge = ridge * ((distance.abs() <= reach * (a.abs() + b.abs())) & inside)
    return bump.sum(dim=0) + ridge.sum(dim=0)


def _gaussian(squared: Tensor, sigma: float) -> Tensor:
    # e^-30 is negligible; smaller values would be denormal numbers, which are slow
    return (squared * (-0.5 / sigma**2)).clamp_min(-30.0).exp()


# --- anywhere, ours -----------------------------------------------------------------------------------


def maxima_by_ascent(
    evidence: JointEvidence, before: Float[Tensor, "2 items"], settings: FusionSettings
) -> Float[Tensor, "2 items"]:
    """The maximum of each map by ascent from the best of a few candidates. ours

    Candidates are every point, their mean, every intersection of two lines and the old position: a map of few
    Gaussians has its maxima near these. All take one step, and the highest of them continues. Each step goes to the
    maximum of the parabolas that touch the Gaussians from below, so that no step goes downhill.

    Args:
        evidence: Points and lines of each item.
        before: Old positions, as shares of the norm of the 2D pose.
        settings: Widths of the Gaussians, which are not cut off.

    Returns:
        Positions in the same unit.
    """
    points = torch.stack([evidence.x, evidence.y])
    total = evidence.point_weights.sum(dim=0).clamp_min(_FLAT)
    middle = (points * evidence.point_weights).sum(dim=1) / total
    starts = torch.stack([middle, before], dim=1)
    places = torch.cat([points, _crossings(evidence, before), starts], dim=1)
    places = _uphill(evidence, places, settings)
    best = map_height(evidence, places, settings).argmax(dim=0)
    place = places.gather(1, best.expand(2, 1, -1))
    for _ in range(_ASCENT_STEPS):
        place = _uphill(evidence, place, settings)
    return place[:, 0]


def _crossings(
    evidence: JointEvidence, otherwise: Float[Tensor, "2 items"]
) -> Float[Tensor, "2 pairs items"]:
    """Intersections of all pairs of lines; `otherwise` where they are parallel or one has weight 0."""
    count = len(evidence.a)
    first, second = torch.triu_indices(count, count, 1, device=evidence.a.device)
    a, b, c, weight = (
        (each[first], each[second]) for each in (evidence.a, evidence.b, evidence.c, evidence.line_weights)
    )
    sine = a[0] * b[1] - b[0] * a[1]
    good = (sine.abs() > _PARALLEL) & (weight[0] * weight[1] > 0)
    meeting = torch.stack([b[0] * c[1] - c[0] * b[1], c[0] * a[1] - a[0] * c[1]])
    return torch.where(good, meeting / torch.where(good, sine, 1.0), otherwise[:, None])


def _uphill(
    evidence: JointEvidence, place: Float[Tensor, "2 places items"], settings: FusionSettings
) -> Float[Tensor, "2 places items"]:
    """One step of the ascent from every position."""
    joint, line = settings.joint_sigma / settings.resolution, settings.line_sigma / settings.resolution
    a, b, c = evidence.a[:, None], evidence.b[:, None], evidence.c[:, None]
    away_x, away_y = evidence.x[:, None] - place[0], evidence.y[:, None] - place[1]
    attraction = _gaussian(away_x.square() + away_y.square(), joint) * evidence.point_weights[:, None]
    distance = a * place[0] + b * place[1] + c
    push = _gaussian(distance.square(), line) * evidence.line_weights[:, None] * (joint / line) ** 2
    across_x, across_y = push * a, push * b
    # without evidence near, or along a single line, the position does not change
    both = attraction.sum(dim=0) + _FLAT
    xx, yy = (across_x * a).sum(dim=0) + both, (across_y * b).sum(dim=0) + both
    xy = (across_x * b).sum(dim=0)
    right_x = (attraction * away_x).sum(dim=0) - (across_x * distance).sum(dim=0)
    right_y = (attraction * away_y).sum(dim=0) - (across_y * distance).sum(dim=0)
    step = torch.stack([yy * right_x - xy * right_y, xx * right_y - xy * right_x])
    return place + step / (xx * yy - xy * xy)


# --- on a grid, as the authors do ---------------------------------------------------------------------


def within_grid(evidence: JointEvidence, settings: FusionSettings) -> JointEvidence:
    """The evidence that can be drawn on the grid: points inside it, and lines that cross its middle. [Kim22]

    A line must have two columns, or two rows (the authors lose vertical lines), in the box
    0.2 < x < 0.8, 0.1 < y < 0.9 of the grid; a single remaining line gets weight 0.

    Args:
        evidence: Points and lines of each item.
        settings: Size of the grid.

    Returns:
        The same with weight 0 for what is not drawn.
    """
    inside = (torch.minimum(evidence.x, evidence.y) >= -0.5) & (torch.maximum(evidence.x, evidence.y) < 0.5)
    cells = _cells(settings, evidence.x)
    columns = cells[_within(_HALF_WIDTH, settings)][:, None, None]
    rows = cells[_within(_HALF_HEIGHT, settings)][:, None, None]

    def crossed(along: Tensor, slope: Tensor, other: Tensor, limit: float) -> Tensor:
        flat = other.abs() < 1e-6
        position = (slope * along + evidence.c) / torch.where(flat, 1.0, other)
        return ((position.abs() < limit) & ~flat).sum(dim=0) >= 2

    a, b = evidence.a, evidence.b
    drawn = crossed(columns, a, b, _HALF_HEIGHT) | crossed(rows, b, a, _HALF_WIDTH)
    return replace(
        evidence,
        point_weights=evidence.point_weights * inside,
        line_weights=without_lone_lines(evidence.line_weights * drawn),
    )


def maxima_on_grid(
    evidence: JointEvidence, settings: FusionSettings
) -> tuple[Float[Tensor, "2 items"], Float[Tensor, "items"]]:
    """Centre and height of the best cell of each map.

    Args:
        evidence: Points and lines of each item, as `within_grid` gives them.
        settings: Size of the grid and of the Gaussians.

    Returns:
        Positions, as shares of the norm of the 2D pose; and heights.
    """
    cells = _cells(settings, evidence.x)
    surface = _grid_of_points(evidence, cells, settings)
    rows, columns, ridges = _grid_of_lines(evidence, cells, settings)
    surface[:, rows, columns] += ridges
    height, best = surface.flatten(1).max(dim=1)
    return torch.stack([cells[best % len(cells)], cells[best // len(cells)]]), height


def _grid_of_points(
    evidence: JointEvidence, cells: Tensor, settings: FusionSettings
) -> Float[Tensor, "items cells cells"]:
    """A Gaussian is a product of one along x and one along y: a matrix product sums over views."""

    def falloff(at: Tensor) -> Tensor:
        """Gaussians along one axis: items sources cells."""
        away = (at.mT[..., None] - cells) * settings.resolution
        return _gaussian(away.square(), settings.joint_sigma) * (away.abs() <= settings.joint_reach + 0.5)

    weighted = falloff(evidence.y) * evidence.point_weights.mT[..., None]
    return weighted.mT @ falloff(evidence.x)


def _grid_of_lines(
    evidence: JointEvidence, cells: Tensor, settings: FusionSettings
) -> tuple[slice, slice, Float[Tensor, "items rows columns"]]:
    """Rows, columns and heights of the part of the grid where lines are drawn."""
    reach = settings.line_reach + 0.5
    columns, rows = (_within(h + reach / settings.resolution, settings) for h in (_HALF_WIDTH, _HALF_HEIGHT))
    a, b, c = (settings.resolution * each.mT[..., None] for each in (evidence.a, evidence.b, evidence.c))
    distance = (a * cells[columns] + c)[..., None, :] + (b * cells[rows])[
        ..., None
    ]  # items lines rows columns
    # half of what a square window covers when it moves along a line
    covered = reach * (evidence.a.abs() + evidence.b.abs()).mT
    lowest = (covered.square() * (-0.5 / settings.line_sigma**2))[..., None, None]
    exponent = distance.square_().mul_(-0.5 / settings.line_sigma**2)
    heights = exponent.clamp_min(lowest).exp_().masked_fill_(exponent < lowest, 0.0)
    summed = evidence.line_weights.mT[:, None] @ heights.flatten(2)
    return rows, columns, summed[:, 0].unflatten(-1, exponent.shape[-2:])


def _cells(settings: FusionSettings, like: Tensor) -> Float[Tensor, "cells"]:
    """Centres of the cells: cell H/2 is the root."""
    return torch.arange(settings.resolution, device=like.device, dtype=like.dtype) / settings.resolution - 0.5


def _within(limit: float, settings: FusionSettings) -> slice:
    """The cells whose centre is less than `limit` from the middle."""
    half = settings.resolution // 2
    cells = min(half - 1, int(limit * settings.resolution))
    return slice(half - cells, half + cells + 1)


def _blocks(evidence: JointEvidence) -> list[JointEvidence]:
    names = [field.name for field in fields(evidence)]
    parts = zip(*(getattr(evidence, name).split(_BLOCK, dim=-1) for name in names), strict=True)
    return [JointEvidence(**dict(zip(names, part, strict=True))) for part in parts]
