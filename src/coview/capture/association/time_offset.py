"""Time offsets of cameras where several people are in view who are not matched yet.

That all cameras began at once is the first hypothesis, and is kept unless the recording contradicts it: unless another
offset explains far more of what two cameras see (`synchrony`), by a test, and all pairs of cameras agree on it.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from coview.capture.association.association import (
    Association,
    TrackedDetections,
    associate_tracked,
    tracked_detections,
)
from coview.capture.association.consistent_offsets import SAME, PairShift, consistent_offsets
from coview.capture.association.shift_proposals import proposed_shifts
from coview.capture.association.synchrony import (
    NOISIEST,
    Match,
    TwoViews,
    agreements,
    compared,
    fitted_again,
    match_at,
    match_of,
)
from coview.geometry.self_calibration.time_offset import LEAST

# share of what both see that is explained, from which on two views are taken to fit
_FITS = 0.5
# times the noise that detectors can have, from which on people who fit are looked at again at other shifts
_POORLY = 1.5
# share more than at any other shift, from which on people who move show that two views are in step
_TELLS = 0.08
# share more at another shift by the geometry on time, from which on that shift is looked at, and how many of them
_SEEMS, _LOOKED_AT = 0.03, 40
# weight of a pair that fits on time, and at other times as well
QUIET = 0.01
# share more than on time, and standard deviations of that difference, from which on another shift is believed
_BETTER, _DEVIATIONS = 0.1, 4.0
# seconds: shifts this far apart are different
_APART = 0.4
# seconds between the shifts that are looked at, and around a match
_STEP, _AROUND = 0.08, 0.4
# seconds of a recording that are looked at, those in which most is seen: memory and time
_LONGEST = 40.0


def people_time_offsets(
    joints: Float[Tensor, "views frames people joints 2"],
    confidence: Float[Tensor, "views frames people joints"],
    fps: float,
    *,
    min_confidence: float = 0.3,
    reach: float = 10.0,
    seed: int = 0,
) -> Float[Tensor, "views"]:
    """Estimate the time offset of every camera where several people are in view and not matched yet, to a frame or so.

    On time is kept where people hardly move: they fit at any offset.

    Args:
        joints: 2D detections, pixels, NaN where not seen; the order of people within a frame means nothing.
        confidence: Confidence of every detected joint.
        fps: Frames per second.
        min_confidence: Joints below this confidence are taken as not seen.
        reach: Seconds; the largest offset that is tried. Two cameras must share 1.5 s.
        seed: Seed of the search for the geometry of two cameras.

    Returns:
        Seconds that each camera started later than the first; 0 for one of which nothing shows that it did.
    """
    own = tracked_detections(joints, confidence, min_confidence=min_confidence)
    return associate_in_time(own, fps, reach=reach, seed=seed)[1] / fps


def associate_in_time(
    own: TrackedDetections, fps: float, *, reach: float = 10.0, seed: int = 0
) -> tuple[Association, Float[Tensor, "views"]]:
    """Match people across views of which neither geometry nor time offsets are known.

    Args:
        own: Detections and tracks, every view at its own frames.
        fps: Frames per second.
        reach: Seconds; the largest offset that is tried. Two views must share 1.5 s.
        seed: Seed of the search for the geometry of two views.

    Returns:
        Who is who, and the frames by which each view started later than the first; zeros where all began at once or
        nothing shows that they did not.
    """
    on_time = associate_tracked(own, seed=seed)
    offsets = torch.zeros(len(own.joints), dtype=torch.float64)
    part = _busiest(own, round(_LONGEST * fps))
    most = min(round(reach * fps), part.stop - part.start - round(LEAST * fps))
    if most < 1 or (not on_time.count and not bool((own.tracks >= 0).any())):
        return on_time, offsets
    pairs = {
        (a, b): TwoViews(TrackedDetections(own.joints[[a, b], part], own.tracks[[a, b], part]), fps)
        for a, b in combinations(range(len(own.joints)), 2)
    }
    found: list[PairShift] = []
    for (a, b), views in pairs.items():
        now = match_of(views, on_time.ids[[a, b], part], 0, seed)
        known = consistent_offsets(found, len(offsets))
        implied = round(float(known[b] - known[a]))
        found += _judged(a, b, views, now, most, implied, seed)
    offsets = consistent_offsets(found, len(offsets))
    apart = float(offsets.max() - offsets.min())
    if not SAME < apart <= most:
        return on_time, torch.zeros_like(offsets)
    shifted = associate_tracked(own, offsets.tolist(), seed=seed)
    if not _better(pairs, part, on_time, shifted, offsets, seed):
        return on_time, torch.zeros_like(offsets)
    return shifted, _refined(pairs, part, shifted, offsets, most, seed)


# --- inside --------------------------------------------------------------------------------------


def _judged(
    a: int, b: int, views: TwoViews, on_time: Match | None, most: int, implied: int, seed: int
) -> list[PairShift]:
    """What two views say of the time between them: in step, so many frames apart, or (empty) nothing."""
    found, alike = _at_once(a, b, views, on_time, most)
    if not found and SAME < abs(implied) <= most:
        # what other pairs say costs one search instead of several
        closed = _best_shift(a, b, views, on_time, [implied], most, seed)
        if closed is not None:
            return [closed]
    if not found:
        # all cameras together may match people wrongly whom these two alone match rightly
        alone = match_at(views, 0, seed)
        rightly, also = _at_once(a, b, views, alone, most)
        found, alike, on_time = (rightly, also, alone) if rightly else (found, alike, on_time)
    if found and found[0].weight > QUIET:
        return found
    shifts = proposed_shifts(views.own, views.fps, most, implied, alike, thorough=not found)
    best = _best_shift(a, b, views, on_time, shifts, most, seed)
    return found if best is None else [best]


def _best_shift(
    a: int, b: int, views: TwoViews, on_time: Match | None, shifts: list[int], most: int, seed: int
) -> PairShift | None:
    """Of these shifts the one that explains the views better than on time does, by most; None: none does."""
    best = None
    for shift in shifts:
        # the people who were matched on time first, since a search costs more
        for match in _matches(views, on_time, shift, seed):
            shifted = _centred(views, match, most)
            gain = None if abs(shifted.shift) <= SAME else _gain(shifted, on_time, views)
            if gain is not None and (best is None or gain > best.weight):
                best = PairShift(a, b, float(shifted.shift), gain)
            if gain is not None:
                break
        if best is not None and best.weight > 2 * _BETTER:
            break
    return best


def _matches(views: TwoViews, on_time: Match | None, shift: int, seed: int) -> Iterator[Match]:
    """Matches at a shift: of the people who were matched on time, then of whoever fits."""
    if on_time is not None:
        same = fitted_again(replace(on_time, shift=shift), views.common(shift))
        if same is not None:
            yield same
    other = match_at(views, shift, seed)
    if other is not None:
        yield other


def _at_once(
    a: int, b: int, views: TwoViews, on_time: Match | None, most: int
) -> tuple[list[PairShift], list[int]]:
    """On time, as far as two views fit at once; and the shifts at which they seem to fit better."""
    if on_time is None:
        return [], []
    step = max(1, round(_STEP * views.fps))
    shifts = torch.arange(-most, most + 1, step)
    shifts = shifts[shifts.abs() >= min(_APART * views.fps, 0.6 * most)]
    zero, *others = agreements(
        on_time, views, torch.cat([torch.zeros(1, dtype=torch.long), shifts]), on_time.noise
    )
    curve = torch.stack(others)
    better = [int(shifts[place]) for place in curve.argsort(descending=True) if curve[place] > zero + _SEEMS]
    if zero < _FITS or on_time.distance > _POORLY * NOISIEST:
        return [], better[:_LOOKED_AT]
    if zero - float(curve.max()) < _TELLS:
        return [PairShift(a, b, 0.0, QUIET)], better[:_LOOKED_AT]
    return [PairShift(a, b, float(_centred(views, on_time, most).shift), float(zero))], []


def _gain(shifted: Match, on_time: Match | None, views: TwoViews) -> float | None:
    """The share by which a shift explains the views better than on time does; None where that is not significant."""
    same = fitted_again(replace(shifted, shift=0), views.common(0))
    # whoever is matched at a shift may be matched so on time too: that shift was found by chance
    others = [match for match in (on_time, same) if match is not None]
    if not others:
        own = float(agreements(shifted, views, torch.tensor([shifted.shift]), shifted.noise))
        return own if own >= _FITS else None
    noise = min(match.noise for match in (shifted, *others))
    found = [compared(shifted, other, views, noise) for other in others]
    gain = min(each.first - each.second for each in found)
    sure = (
        found[0].first >= _FITS and gain >= _BETTER and min(each.deviations for each in found) >= _DEVIATIONS
    )
    return gain if sure else None


def _centred(views: TwoViews, match: Match, most: int) -> Match:
    """The same people at the shift, near the match's own, at which they fit best."""
    reach = round(_AROUND * views.fps)
    for _ in range(3):
        near = torch.arange(max(-most, match.shift - reach), min(most, match.shift + reach) + 1)
        best = int(near[agreements(match, views, near, match.noise).argmax()])
        refitted = fitted_again(replace(match, shift=best), views.common(best))
        if best == match.shift or refitted is None:
            break
        match = refitted
    return match


def _better(
    pairs: dict[tuple[int, int], TwoViews],
    part: slice,
    on_time: Association,
    shifted: Association,
    offsets: Float[Tensor, "views"],
    seed: int,
) -> bool:
    """Whether all cameras together are explained better by these offsets than on time, and no two of them worse."""
    gains = []
    # a few frames explain little more; where there are larger offsets, these decide
    least_shift = min(_APART * next(iter(pairs.values())).fps, 0.6 * float(offsets.max() - offsets.min()))
    for (a, b), views in pairs.items():
        shift = round(float(offsets[b])) - round(float(offsets[a]))
        if abs(shift) < max(least_shift, SAME):
            continue
        one = match_of(views, shifted.ids[[a, b], part], shift, seed)
        if one is None:
            continue
        others = (
            match_of(views, on_time.ids[[a, b], part], 0, seed),
            fitted_again(replace(one, shift=0), views.common(0)),
        )
        found = [
            compared(one, other, views, min(one.noise, other.noise)) for other in others if other is not None
        ]
        least = min(found, key=lambda each: each.first - each.second, default=None)
        if least is None:
            gains.append(float(agreements(one, views, torch.tensor([shift]), one.noise)))
            continue
        gain = least.first - least.second
        if gain <= -_BETTER and least.deviations <= -_DEVIATIONS:
            return False
        gains.append(gain)
    return bool(gains) and sum(gains) / len(gains) >= _BETTER


def _refined(
    pairs: dict[tuple[int, int], TwoViews],
    part: slice,
    shifted: Association,
    offsets: Float[Tensor, "views"],
    most: int,
    seed: int,
) -> Float[Tensor, "views"]:
    """Offsets by least squares over the shifts at which the people of every pair of views fit best."""
    rows, values = [], []
    for (a, b), views in pairs.items():
        shift = round(float(offsets[b])) - round(float(offsets[a]))
        if abs(shift) > most:
            continue
        match = match_of(views, shifted.ids[[a, b], part], shift, seed)
        if match is None:
            continue
        centred = _centred(views, match, most)
        weight = float(agreements(centred, views, torch.tensor([centred.shift]), centred.noise))
        if weight >= _FITS and abs(centred.shift - shift) <= _AROUND * views.fps:
            row = torch.zeros(len(offsets), dtype=torch.float64)
            row[a], row[b] = -1.0, 1.0
            rows.append(row)
            values.append(float(centred.shift))
    if not rows:
        return offsets
    # a weak preference for the offsets so far, for views without a pair of their own
    keep = 1e-3 * torch.eye(len(offsets), dtype=torch.float64)
    left = torch.cat([torch.stack(rows), keep])
    right = torch.cat([torch.tensor(values, dtype=torch.float64), 1e-3 * offsets])
    found = torch.linalg.lstsq(left, right[:, None]).solution[:, 0]
    return found - found[0]


def _busiest(own: TrackedDetections, length: int) -> slice:
    """The stretch of frames in which most is seen."""
    seen = (own.tracks >= 0).sum(dim=(0, 2)).double()
    if len(seen) <= length:
        return slice(0, len(seen))
    total = torch.nn.functional.pad(seen.cumsum(0), (1, 0))
    first = int((total[length:] - total[:-length]).argmax())
    return slice(first, first + length)
