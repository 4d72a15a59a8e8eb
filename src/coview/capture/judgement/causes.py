"""Why cameras do not agree: what would make them fit, found by trying the mistakes that people make.

Every hypothesis changes the cameras or the pixels, and is accepted where with it all pairs of cameras agree and the
bodies lie in front of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.geometry.sampling import evenly
from coview.geometry.triangulation.pair_agreement import levels, relative_distances
from coview.geometry.triangulation.triangulate import in_front

# frames that hypotheses are tried on
_FRAMES = 80
# epipolar distance in person sizes up to which a camera fits with a hypothesis, and times it is better than without
_FITS, _BETTER = 0.03, 3.0
# share of the joints in front of the cameras
_IN_FRONT = 0.8
# more cameras than that are not tried in exchange: the number of pairs grows
_MANY = 12
# frames by which a camera may be out of step, at most
_LATEST = 600
_RESOLUTIONS = (2.0, 0.5, 1.5, 2 / 3, 3.0, 1 / 3)
_FOCALS = (0.5, 0.67, 0.75, 1.33, 1.5, 2.0)


@dataclass(frozen=True)
class Seen:
    """What the cameras are compared on: a few frames, undistorted once, since every hypothesis would do it again."""

    # of batch `views`, without distortion
    cameras: Cameras
    # undistorted, (frames, views, joints, 2)
    pixels: Float[Tensor, "frames views joints 2"]
    # of detections
    weights: Float[Tensor, "frames views joints"]
    # number of people, the joints of one after those of another
    people: int

    @staticmethod
    def of(cameras: Cameras, pixels: Tensor, weights: Tensor, people: int) -> "Seen":
        """From raw pixels.

        Args:
            cameras: of batch `views`.
            pixels: raw, (frames, views, joints, 2).
            weights: of detections.
            people: number of people."""
        perfect, straight = cameras.to(torch.float64).undistorted(pixels.double())
        return Seen(perfect, straight, weights.double(), people)


@dataclass(frozen=True)
class Hypothesis:
    """One mistake: what to say of it, and what it does."""

    # a sentence's end: "fit if exchanged"
    words: str
    # the views it is about; empty: all
    views: tuple[int, ...]
    # what would be right
    mended: Callable[[Seen], Seen]


def likely_cause(
    cameras: Cameras,
    pixels: Float[Tensor, "frames views joints 2"],
    weights: Float[Tensor, "frames views joints"],
    people: int,
    names: tuple[str, ...],
    suspects: tuple[int, ...] = (),
) -> str:
    """Say what would make cameras agree with the others.

    Args:
        cameras: of batch `views`.
        pixels: raw 2D joints, (frames, views, joints, 2).
        weights: of the joints, (frames, views, joints); 0: not seen.
        people: number of people, the joints of one after those of another.
        names: of the cameras.
        suspects: views that do not agree with the others; empty: nobody knows which do.

    Returns:
        Sentences' content such as "cam02 and cam03 fit if exchanged"; empty where no hypothesis fits."""
    some = evenly(len(pixels), _FRAMES)
    seen = Seen.of(cameras, pixels[some], weights[some], people)
    normalised = Seen.of(cameras, pixels[some] * cameras.size[:, None], weights[some], people)
    before = _apart(seen)
    found: list[tuple[float, str]] = []
    for hypothesis in _hypotheses(len(cameras), suspects, normalised):
        mended = hypothesis.mended(seen)
        after = _apart(mended)
        judged = hypothesis.views if suspects and hypothesis.views else tuple(range(len(cameras)))
        then, now = (float(torch.stack([each[view] for view in judged]).max()) for each in (before, after))
        if now <= _FITS and then > _BETTER * now and _in_front(mended, judged):
            who = " and ".join(names[view] for view in hypothesis.views)
            found.append((now, f"{who} {hypothesis.words}".strip()))
    if not found:
        return _shifted(Seen.of(cameras, pixels, weights, people), names, suspects) if suspects else ""
    best = min(value for value, _ in found)
    return ", or ".join(
        list(dict.fromkeys(words for value, words in found if value <= 1.1 * best + 1e-4))[:2]
    )


def _apart(seen: Seen) -> Float[Tensor, "views"]:
    """Distance of every camera to the others: of its pairs the lower median; infinite where it has none."""
    return levels(_pairs(seen), len(seen.cameras))[0].nan_to_num(torch.inf)


def _in_front(seen: Seen, views: tuple[int, ...]) -> bool:
    found = in_front(seen.cameras, seen.pixels, seen.weights)
    return float(found[:, list(views)].nanmean()) > _IN_FRONT


def with_lens(seen: Seen, factors: tuple[float, float, float, float]) -> Seen:
    """Multiply focal lengths and principal points of all cameras.

    Args:
        seen: what the cameras are compared on.
        factors: of fx, fy, cx, cy."""
    scaled = seen.cameras.intrinsics.clone()
    for (row, column), factor in zip(((0, 0), (1, 1), (0, 2), (1, 2)), factors, strict=True):
        scaled[:, row, column] *= factor
    return replace(seen, cameras=replace(seen.cameras, intrinsics=scaled))


def level(seen: Seen) -> float:
    """Median epipolar distance over the pairs of cameras, in person sizes.

    Args:
        seen: what the cameras are compared on."""
    return float(_pairs(seen).nanmedian())


def _pairs(seen: Seen) -> Float[Tensor, "pairs"]:
    distances = relative_distances(seen.cameras, seen.pixels, seen.weights, seen.people)
    return distances.flatten(1).nanmedian(dim=1).values


# --- the mistakes ------------------------------------------------------------------------------------


def _hypotheses(views: int, suspects: tuple[int, ...], normalised: Seen) -> Iterator[Hypothesis]:
    alone = suspects or tuple(range(views))
    if not suspects:
        yield from _of_views((), plural=True)
        yield Hypothesis(
            "the cameras fit if the pixels are multiplied by the picture's size", (), lambda _: normalised
        )
    if views <= _MANY:
        for pair in combinations(range(views), 2):
            if not suspects or set(pair) & set(suspects):
                yield Hypothesis("fit if exchanged", pair, _exchange(pair))
    for view in alone:
        yield from _of_views((view,), plural=False)


def _of_views(views: tuple[int, ...], plural: bool) -> Iterator[Hypothesis]:
    """The mistakes that can be made with one camera, or with all of them (no views named)."""
    fit = "fit" if plural else "fits"
    whose = "the cameras" if plural else ""
    verb = f"{whose} {fit}".strip()
    turns = {
        1: "a quarter turn, with its lens",
        2: "a half turn (its picture is upside down)",
        3: "three quarter turns, with its lens",
    }
    for words, change in _POSES.items():
        yield Hypothesis(f"{verb} {words}", views, _with_pose(views, change))
    for quarter, words in turns.items():
        yield Hypothesis(
            f"{verb} if turned about the viewing axis by {words}", views, _with_turn(views, quarter)
        )
    for words, drawn in _PIXELS.items():
        yield Hypothesis(f"{verb} if the pixels are {words}", views, _with_pixels(views, drawn))
    for times in _RESOLUTIONS:
        words = f"{verb} if the pixels are multiplied by {times:.3g} (2D joints of another resolution)"
        yield Hypothesis(words, views, _with_pixels(views, partial(_times, times)))
    for times in _FOCALS:
        words = f"{verb} with {times:.3g} times the focal length"
        yield Hypothesis(words, views, _with_focal(views, times))


def _chosen(views: tuple[int, ...], count: int) -> Tensor:
    index = torch.zeros(count, dtype=torch.bool)
    index[list(views) if views else slice(None)] = True
    return index


Pose = tuple[Tensor, Tensor]
_POSES: dict[str, Callable[[Tensor, Tensor], Pose]] = {
    "if the rotation is transposed": lambda r, t: (r.mT, t),
    "if the pose is inverted (it says world from camera)": lambda r, t: (
        r.mT,
        -(r.mT @ t[..., None])[..., 0],
    ),
    "if what is given as translation is the camera's centre": lambda r, t: (r, -(r @ t[..., None])[..., 0]),
    "if what is given as centre is the translation": lambda r, t: (r, -(r.mT @ t[..., None])[..., 0]),
    "if turned about the viewing axis by a quarter turn": lambda r, t: _rolled(r, t, 1),
    "if turned about the viewing axis by three quarter turns": lambda r, t: _rolled(r, t, -1),
    "with OpenCV's axes instead of OpenGL's (y and z reversed)": lambda r, t: (
        r.new_tensor([1.0, -1.0, -1.0])[:, None] * r,
        r.new_tensor([1.0, -1.0, -1.0]) * t,
    ),
}
_PIXELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mirrored left to right": lambda p, size: torch.stack([size[..., 0] - 1 - p[..., 0], p[..., 1]], dim=-1),
    "counted from the picture's lower edge": lambda p, size: torch.stack(
        [p[..., 0], size[..., 1] - 1 - p[..., 1]], dim=-1
    ),
    "taken as (y, x)": lambda p, _: p.flip(-1),
}


def _rolled(rotation: Tensor, translation: Tensor, sign: int) -> Pose:
    turn = rotation.new_tensor([[0.0, -sign, 0.0], [sign, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return turn @ rotation, translation @ turn.mT


def _with_pose(views: tuple[int, ...], change: Callable[[Tensor, Tensor], Pose]) -> Callable[[Seen], Seen]:
    def mended(seen: Seen) -> Seen:
        rotation, translation = change(seen.cameras.rotation, seen.cameras.translation)
        pose = torch.cat([rotation, translation[..., None]], dim=-1)
        chosen = _chosen(views, len(seen.cameras))[:, None, None]
        cameras = replace(seen.cameras, cam_from_world=torch.where(chosen, pose, seen.cameras.cam_from_world))
        return replace(seen, cameras=cameras)

    return mended


def _with_turn(views: tuple[int, ...], quarter: int) -> Callable[[Seen], Seen]:
    """The camera, not its picture, is turned: the pixels of a picture that was turned back fit it."""

    def mended(seen: Seen) -> Seen:
        chosen = _chosen(views, len(seen.cameras)).tolist()
        each = (
            seen.cameras[view].rotate(quarter) if turned else seen.cameras[view]
            for view, turned in enumerate(chosen)
        )
        return replace(seen, cameras=Cameras.stack(each))

    return mended


def _times(factor: float, pixels: Tensor, _: Tensor) -> Tensor:
    return pixels * factor


def _with_pixels(
    views: tuple[int, ...], change: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Seen], Seen]:
    def mended(seen: Seen) -> Seen:
        chosen = _chosen(views, len(seen.cameras))[:, None, None]
        changed = change(seen.pixels, seen.cameras.size[:, None])
        return replace(seen, pixels=torch.where(chosen, changed, seen.pixels))

    return mended


def _with_focal(views: tuple[int, ...], times: float) -> Callable[[Seen], Seen]:
    def mended(seen: Seen) -> Seen:
        chosen = _chosen(views, len(seen.cameras))[:, None, None]
        scaled = with_lens(seen, (times, times, 1.0, 1.0)).cameras.intrinsics
        intrinsics = torch.where(chosen, scaled, seen.cameras.intrinsics)
        return replace(seen, cameras=replace(seen.cameras, intrinsics=intrinsics))

    return mended


def _exchange(pair: tuple[int, int]) -> Callable[[Seen], Seen]:
    def mended(seen: Seen) -> Seen:
        order = list(range(len(seen.cameras)))
        order[pair[0]], order[pair[1]] = order[pair[1]], order[pair[0]]
        return replace(seen, cameras=seen.cameras[torch.tensor(order)])

    return mended


# --- a camera that is not in step ----------------------------------------------------------------------


def _shifted(seen: Seen, names: tuple[str, ...], suspects: tuple[int, ...]) -> str:
    """The number of frames by which one camera's 2D joints fit the others', where there is one."""
    most = min(len(seen.pixels) // 2, _LATEST)
    for view in suspects:
        apart = {by: float(_apart(_moved_by(seen, view, by))[view]) for by in range(-most, most + 1)}
        best = min(apart, key=apart.__getitem__)
        if best and apart[best] <= _FITS and apart[0] > _BETTER * apart[best]:
            return (
                f"{names[view]} fits if it is not in step: it began {abs(best)} frames "
                f"{'earlier' if best > 0 else 'later'} than the others"
            )
    return ""


def _moved_by(seen: Seen, view: int, by: int) -> Seen:
    """Frame i + `by` of one view beside frame i of the others, at some frames that exist in both."""
    first, last = max(0, -by), min(len(seen.pixels), len(seen.pixels) - by)
    some = torch.linspace(first, last - 1, min(last - first, _FRAMES // 2)).round().long()
    pixels, weights = seen.pixels[some], seen.weights[some]
    pixels[:, view], weights[:, view] = seen.pixels[some + by, view], seen.weights[some + by, view]
    return replace(seen, pixels=pixels, weights=weights)
