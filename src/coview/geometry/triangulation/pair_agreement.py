"""Which calibrated cameras agree with each other on what they saw, judged pair by pair.

A camera that is wrong spoils the triangulation of all views, and with it every residual; it does not touch the pairs
that it does not belong to. So every pair is judged alone, by epipolar distances, and a camera is left out where the
pairs without it agree and those with it do not: for the whole recording, or from the moment at which it was moved.
"""

import itertools
from collections.abc import Set
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.epipolar.relative_pose import fundamental_from_projections, sampson_distance
from coview.geometry.sampling import evenly

# frames that pairs are judged from, evenly spaced
SOME_FRAMES = 600
# distances are in shares of the person's size in the image. A camera is left out where its distance to the others is
# above _APART and so many times that among the others: real rigs have cameras three times as far off as the best
_APART, _TIMES = 0.025, 4.0
# detections that a pair needs to be judged
_FEW = 30
# a camera that was moved: share of the frames before and after that, and how many times the distance changes
_SIDE, _STEP = 0.06, 4.0


@dataclass(frozen=True)
class LeftOut:
    """A camera that does not agree with the others in some of the frames."""

    # index of the view
    view: int
    # first frame, and the one after the last
    frames: tuple[int, int]
    # median epipolar distance to the others in these frames, in person sizes
    distance: float


@dataclass(frozen=True)
class PairAgreement:
    """How well the pairs of a rig agree, in shares of the person's size in the image."""

    # median epipolar distance, in the order of `pairs_of`, over the frames that are usable; NaN: seen too little
    pairs: Float[Tensor, "pairs"]
    # whether a camera's detections of a frame agree with the other cameras
    usable: Bool[Tensor, "frames views"]
    # cameras that are not usable throughout
    left_out: tuple[LeftOut, ...]

    @property
    def level(self) -> float:
        """Median over the pairs of cameras that are not left out for the whole recording; NaN where none is known."""
        kept = [bool(self.usable[:, view].any()) for view in range(self.usable.shape[1])]
        values = [
            float(v) for v, (a, b) in zip(self.pairs, pairs_of(len(kept)), strict=True) if kept[a] and kept[b]
        ]
        return float(torch.tensor(values).nanmedian()) if values else float("nan")


def pairs_of(views: int) -> list[tuple[int, int]]:
    """All pairs of views, the earlier one first.

    Args:
        views: number of views."""
    return list(itertools.combinations(range(views), 2))


def pair_agreement(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    people: int = 1,
) -> PairAgreement:
    """Judge every pair of cameras by the epipolar distances of what both saw, and find the cameras that are wrong.

    One wrong camera is found among three or more, as many as leave a majority of agreeing pairs among more. Where most
    pairs disagree nobody is left out: `level` tells. An error along the epipolar lines of a pair is not seen by it.

    Args:
        cameras: of batch `views`.
        pixels: raw (distorted), (frames, views, joints, 2).
        weights: of detections, (frames, views, joints); 0: not seen.
        people: number of people, the joints of one after those of another.

    Returns:
        Distances of the pairs, the cameras left out, and when."""
    some = evenly(len(pixels), SOME_FRAMES)
    perfect, straight = cameras.to(torch.float64).undistorted(pixels[some].double())
    distances = relative_distances(perfect, straight, weights[some], people)
    moved = _moved(distances, len(cameras))
    for view, (first, last), _ in moved:
        with_it = [k for k, pair in enumerate(pairs_of(len(cameras))) if view in pair]
        distances[with_it, first:last] = torch.nan
    pairs = _medians(distances)
    wrong = _wrong(pairs, len(cameras))
    ends = [*some.tolist(), len(pixels)]
    left_out = [LeftOut(view, (0, len(pixels)), distance) for view, distance in wrong.items()]
    left_out += [
        LeftOut(view, (0 if first == 0 else ends[first], ends[last]), distance)
        for view, (first, last), distance in moved
        if view not in wrong
    ]
    usable = torch.ones(len(pixels), len(cameras), dtype=torch.bool)
    for one in left_out:
        usable[one.frames[0] : one.frames[1], one.view] = False
    return PairAgreement(pairs, usable, tuple(sorted(left_out, key=lambda one: one.view)))


def relative_distances(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    people: int = 1,
) -> Float[Tensor, "pairs frames joints"]:
    """Epipolar (Sampson) distance of every joint in every pair of cameras, in shares of the person's size.

    For noise of standard deviation sigma per axis it is normal with that standard deviation [HZ04 eq. 11.9].

    Args:
        cameras: of batch `views`, without distortion.
        pixels: undistorted, (frames, views, joints, 2).
        weights: of detections, (frames, views, joints); 0: not seen.
        people: number of people, the joints of one after those of another.

    Returns:
        Shares, (pairs, frames, joints), in the order of `pairs_of`; NaN where not both views see the joint."""
    first, second = torch.tensor(pairs_of(len(cameras))).unbind(-1)
    seen = torch.where((weights > 0)[..., None], pixels, torch.nan)
    projections = cameras.pixels_from_world
    matrices = fundamental_from_projections(projections[first], projections[second])
    a, b = (seen[:, views].transpose(0, 1).flatten(1, 2) for views in (first, second))
    distances = sampson_distance(matrices, a, b).unflatten(1, (len(pixels), -1))
    each = [
        view_sizes(part, weight)
        for part, weight in zip(pixels.chunk(people, dim=2), weights.chunk(people, dim=2), strict=True)
    ]
    sizes = torch.stack([(size[first] + size[second]) / 2 for size in each], dim=-1)
    return (distances.unflatten(2, (people, -1)) / sizes[:, None, :, None]).flatten(2)


def view_sizes(
    pixels: Float[Tensor, "frames views joints 2"], weights: Float[Tensor, "frames views joints"]
) -> Float[Tensor, "views"]:
    """Median diagonal of the bounding box of the 2D joints of one person in every view, pixels.

    Args:
        pixels: 2D joints, (frames, views, joints, 2).
        weights: of the joints, (frames, views, joints); those of weight 0 are ignored.

    Returns:
        (views); over the frames with at least half of the joints that are seen at most, NaN where nobody is seen."""
    seen = (weights > 0)[..., None] & pixels.isfinite()
    low = torch.where(seen, pixels, torch.inf).amin(dim=-2)
    high = torch.where(seen, pixels, -torch.inf).amax(dim=-2)
    count = seen[..., 0].sum(dim=-1)
    enough = count >= (count.amax(dim=0) / 2).clamp(min=2)
    return torch.where(enough, (high - low).norm(dim=-1), torch.nan).nanmedian(dim=0).values


def levels(
    pairs: Float[Tensor, "pairs"], views: int, gone: Set[int] = frozenset()
) -> tuple[Float[Tensor, "views"], Float[Tensor, "views"]]:
    """Per view: the (lower) median of the pairs with it, and of the pairs without it, among those that are left.

    A camera that is wrong disagrees with every other: of two pairs the better one counts.

    Args:
        pairs: distances, in the order of `pairs_of`.
        views: number of views.
        gone: views that are left out.

    Returns:
        Both medians; NaN where there is no such pair, and for views that are gone."""
    index = pairs_of(views)
    with_it, without = (torch.full((views,), torch.nan, dtype=pairs.dtype) for _ in range(2))
    for view in set(range(views)) - gone:
        left = [k for k, pair in enumerate(index) if not gone & set(pair)]
        with_it[view] = pairs[[k for k in left if view in index[k]]].nanmedian()
        without[view] = pairs[[k for k in left if view not in index[k]]].nanmedian()
    return with_it, without


# --- inside ------------------------------------------------------------------------------------------


def _medians(distances: Float[Tensor, "pairs frames joints"]) -> Float[Tensor, "pairs"]:
    flat = distances.flatten(1)
    enough = flat.isfinite().sum(dim=1) >= _FEW
    return torch.where(enough, flat.nanmedian(dim=1).values, torch.nan)


def _wrong(pairs: Float[Tensor, "pairs"], views: int) -> dict[int, float]:
    """View: its distance to the others, of every camera that is to be left out; the worst first."""
    wrong: dict[int, float] = {}
    while views - len(wrong) > 2:
        with_it, without = levels(pairs, views, set(wrong))
        apart = torch.where((with_it > _APART) & (with_it > _TIMES * without), with_it / without, 0.0)
        worst = int(apart.argmax())
        if not float(apart[worst]) > 0:
            break
        wrong[worst] = float(with_it[worst])
    return wrong


def _moved(
    distances: Float[Tensor, "pairs frames joints"], views: int
) -> list[tuple[int, tuple[int, int], float]]:
    """Cameras whose distance to all others changes at some frame, when it is larger, and how large it is then.

    Of the two sides of the step the one where it disagrees is left out."""
    frames = distances.shape[1]
    side = max(5, round(_SIDE * frames))
    if views < 3 or frames < 4 * side:
        return []
    found = []
    for view in range(views):
        of_view = [k for k, pair in enumerate(pairs_of(views)) if view in pair]
        # of all partners the better half: another camera that moves does not count
        series = distances[of_view].nanmedian(dim=-1).values.nanmedian(dim=0).values
        if (step := _step(series, side)) is not None:
            found.append((view, *step))
    return found if _stand(distances, views, {view for view, _, _ in found}) else []


def _stand(distances: Float[Tensor, "pairs frames joints"], views: int, moved: set[int]) -> bool:
    """Whether most cameras stand still and agree: else distances change with where the person is."""
    others = [k for k, pair in enumerate(pairs_of(views)) if not moved & set(pair)]
    return 2 * len(moved) < views and float(_medians(distances[others]).nanmedian()) <= _APART


def _step(series: Float[Tensor, "frames"], side: int) -> tuple[tuple[int, int], float] | None:
    known = series.isfinite().nonzero()[:, 0]
    if len(known) < 4 * side:
        return None
    values = series[known]
    at = torch.arange(side, len(values) - side)
    logs = values.clamp(min=1e-4).log()
    spread = torch.stack(
        [(logs[:k] - logs[:k].median()).abs().sum() + (logs[k:] - logs[k:].median()).abs().sum() for k in at]
    )
    best = int(at[int(spread.argmin())])
    before, after = float(values[:best].median()), float(values[best:].median())
    calm, apart = min(before, after), max(before, after)
    # most frames of the side that disagrees do, most of the other side do not: a person who walks away is no step
    bad, good = (values[:best], values[best:]) if before > after else (values[best:], values[:best])
    middle = (calm * apart) ** 0.5
    clear = float((bad > middle).double().mean()) > 0.8 and float((good < middle).double().mean()) > 0.8
    if not (apart > _APART and apart > _STEP * calm and clear):
        return None
    first = int(known[best])
    return ((0, first) if before > after else (first, len(series))), apart
