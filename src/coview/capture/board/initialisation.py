"""From corners in pictures to where bundle adjustment can begin: lenses, board poses, a tree of cameras."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from coview.cameras import Cameras
from coview.formats.io.camera_names import listed
from coview.geometry.bundle.board_scene import BoardObservations, BoardScene
from coview.geometry.epipolar.view_graph import NotDeterminedError

LEAST_CORNERS = 6  # seen in one picture, without which its board has no pose
_LENS_VIEWS = 40  # pictures that a lens is begun from
_TELLS_APART = 1.5  # ratio of misses above which the worse of two poses is wrong
_INSTANTS = 30  # that a pair of cameras is begun from


def spread_views(
    pixels: Float[Tensor, "views corners 2"],
    weights: Float[Tensor, "views corners"],
    corners: Float[Tensor, "corners 3"],
    count: int,
) -> Int[Tensor, "chosen"]:
    """Up to `count` views that differ most: farthest-point choice by where the board is, how large, and how
    it is turned and tilted (the affine map from board to picture)."""
    ones = torch.ones_like(corners[:, :1])
    flat = torch.cat([corners[:, :2] / corners[:, :2].abs().max(), ones], dim=-1)
    seen = torch.nan_to_num(pixels)
    affine = torch.linalg.pinv(weights[..., None].sqrt() * flat) @ (weights[..., None].sqrt() * seen)
    features = affine.flatten(1)
    if len(features) <= count:
        return torch.arange(len(features))
    chosen = [int(weights.sum(dim=1).argmax())]
    nearest = (features - features[chosen[0]]).norm(dim=-1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (features - features[chosen[-1]]).norm(dim=-1))
    return torch.tensor(sorted(chosen))


def start_lens(
    seen: BoardObservations, corners: Float[Tensor, "corners 3"], size: tuple[int, int]
) -> Float[Tensor, "9"]:
    """fx, fy, cx, cy, k1, k2, p1, p2, k3 of one camera from its sightings, good enough to begin with [Zhang00].

    Square pixels, k1 and k2 alone. Pixels."""
    chosen = spread_views(seen.pixels, seen.weights, corners, _LENS_VIEWS)
    objects, images = [], []
    for place in chosen.tolist():
        inside = seen.weights[place] > 0
        objects.append(corners[inside].float().numpy())
        images.append(seen.pixels[place][inside].float().numpy()[:, None])
    longest = float(max(size))
    guess = cv2.initCameraMatrix2D(objects, images, size, 1.0)
    if not 0.3 * longest < guess[0, 0] < 5 * longest:  # boards nearly parallel to the picture give anything
        guess = np.array([[longest, 0, (size[0] - 1) / 2], [0, longest, (size[1] - 1) / 2], [0, 0, 1.0]])
    flags = (
        cv2.CALIB_USE_INTRINSIC_GUESS
        | cv2.CALIB_FIX_ASPECT_RATIO
        | cv2.CALIB_ZERO_TANGENT_DIST
        | cv2.CALIB_FIX_K3
    )
    _, matrix, bent, _, _ = cv2.calibrateCamera(objects, images, size, guess, None, flags=flags)
    lens = torch.tensor([matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2], *bent.ravel()[:5]])
    return lens.double()


def board_poses(
    flat: Float[Tensor, "corners 2"],
    weights: Float[Tensor, "corners"],
    corners: Float[Tensor, "corners 3"],
) -> Float[Tensor, "solutions 3 4"]:
    """Camera-from-board poses that explain one picture, the better one first; metres [Collins14].

    `flat`: undistorted, at depth one. A plane seen from afar has two: tilted this way or that. None where too
    few corners are seen."""
    inside = weights > 0
    if int(inside.sum()) < LEAST_CORNERS:
        return corners.new_zeros(0, 3, 4)
    places = flat[inside].numpy()[:, None]
    _, turns, shifts, _ = cv2.solvePnPGeneric(
        corners[inside].numpy(), places, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
    )
    poses = [np.concatenate([cv2.Rodrigues(r)[0], t], axis=1) for r, t in zip(turns, shifts, strict=True)]
    return torch.from_numpy(np.stack(poses)).double()


def start_scene(
    lenses: Cameras,
    seen: BoardObservations,
    corners: Float[Tensor, "corners 3"],
    instants: int,
    names: Sequence[str],
) -> BoardScene:
    """Cameras by a tree of pairs that saw the board at once, boards by whoever saw them best.

    The first camera is the world. Raises NotDeterminedError naming the groups of cameras that never saw the
    board together."""
    flat = lenses[seen.view].normalise(torch.nan_to_num(seen.pixels))
    poses = [board_poses(*one, corners) for one in zip(flat, seen.weights, strict=True)]
    rows = {
        (int(view), int(instant)): place
        for place, (view, instant) in enumerate(zip(seen.view, seen.instant, strict=True))
        if len(poses[place])
    }
    placed = _tree(lenses, seen, poses, rows, corners, names)
    cameras = Cameras(
        lenses.intrinsics,
        torch.stack([placed[v] for v in range(len(names))]),
        lenses.size,
        lenses.distortion,
        lenses.fisheye,
    )
    return BoardScene(
        cameras,
        _boards(cameras, seen, poses, corners, instants),
        torch.zeros(len(names), dtype=torch.float64),
    )


# --- cameras ---------------------------------------------------------------------------------------


def _tree(
    lenses: Cameras,
    seen: BoardObservations,
    poses: list[Tensor],
    rows: dict[tuple[int, int], int],
    corners: Tensor,
    names: Sequence[str],
) -> dict[int, Tensor]:
    """Camera-from-world of every camera, along the pairs that saw the board together most often."""
    when: dict[int, set[int]] = {view: set() for view in range(len(names))}
    for view, instant in rows:
        when[view].add(instant)
    placed = {0: torch.eye(3, 4, dtype=torch.float64)}
    while len(placed) < len(names):
        pairs = [(len(when[a] & when[b]), a, b) for a in placed for b in when if b not in placed]
        shared, known, new = max(pairs)
        if shared == 0:
            raise NotDeterminedError(_why_apart(when, names))
        both = sorted(when[known] & when[new])
        places = [(rows[known, i], rows[new, i]) for i in both]
        if shared == 1:
            _check_tilt_seen(lenses, seen, poses, places[0], corners, names)
        turn = _relative(lenses, seen, poses, places, corners)
        placed[new] = _after(turn, placed[known])
    return placed


def _relative(
    lenses: Cameras,
    seen: BoardObservations,
    poses: list[Tensor],
    places: list[tuple[int, int]],
    corners: Tensor,
) -> Float[Tensor, "3 4"]:
    """New-from-known: of all that single instants say, what explains both pictures of the others best.

    Each instant says up to four, for each picture's pose is one of two."""
    spread = torch.linspace(0, len(places) - 1, min(len(places), _INSTANTS)).round().long()
    places = [places[i] for i in spread.tolist()]
    said = [_after(to, _inverse(of)) for known, new in places for of in poses[known] for to in poses[new]]
    candidates = torch.stack(said)
    errors = []
    for known, new in places:
        options = torch.stack(
            [
                _error(lenses[int(seen.view[new])], _after(candidates, of), seen, new, corners)
                + _error(lenses[int(seen.view[known])], of, seen, known, corners)
                for of in poses[known]
            ]
        )
        errors.append(options.amin(dim=0))
    return candidates[int(torch.stack(errors).median(dim=0).values.argmin())]


def _check_tilt_seen(
    lenses: Cameras,
    seen: BoardObservations,
    poses: list[Tensor],
    places: tuple[int, int],
    corners: Tensor,
    names: Sequence[str],
) -> None:
    """NotDeterminedError where the only common picture fits a board tilted this way about as well as that way."""
    for place in places:
        view = int(seen.view[place])
        errors = _error(lenses[view], poses[place], seen, place, corners)
        if len(errors) > 1 and float(errors[1]) < _TELLS_APART * float(errors[0]):
            raise NotDeterminedError(
                f"the cameras share a single picture of the board, and from camera '{names[view]}' it could "
                f"be tilted either way ({float(errors[0]):.2f} or {float(errors[1]):.2f} px off). "
                f"Record it at several instants, or larger and more tilted."
            )


def _error(camera: Cameras, boards: Tensor, seen: BoardObservations, place: int, corners: Tensor) -> Tensor:
    """Mean miss in pixels of a sighting, for board poses in its camera's frame; 1e6 behind the camera."""
    points = corners @ boards[..., :3].mT + boards[..., None, :, 3]
    unposed = Cameras(
        camera.intrinsics,
        torch.eye(3, 4, dtype=torch.float64),
        camera.size,
        camera.distortion,
        camera.fisheye,
    )
    misses = (unposed.project(points) - seen.pixels[place]).norm(dim=-1)
    inside = seen.weights[place] > 0
    return torch.nan_to_num(misses[..., inside], nan=1e6).mean(dim=-1)


def _boards(
    cameras: Cameras, seen: BoardObservations, poses: list[Tensor], corners: Tensor, instants: int
) -> Float[Tensor, "instants 3 4"]:
    """World-from-board at every instant: of what the cameras say, what all of them together miss least."""
    boards = torch.eye(3, 4, dtype=torch.float64).repeat(instants, 1, 1)
    for instant in seen.instant.unique().tolist():
        places = (seen.instant == instant).nonzero()[:, 0].tolist()
        said = [
            _after(_inverse(cameras.cam_from_world[int(seen.view[p])]), pose)
            for p in places
            for pose in poses[p]
        ]
        candidates = torch.stack(said)
        errors = torch.zeros(len(candidates), dtype=torch.float64)
        for place in places:
            view = int(seen.view[place])
            errors += _error(
                cameras[view], _after(cameras.cam_from_world[view], candidates), seen, place, corners
            )
        boards[instant] = candidates[int(errors.argmin())]
    return boards


def _after(second: Tensor, first: Tensor) -> Tensor:
    """The rigid motion `first`, then `second`."""
    rotation = second[..., :3] @ first[..., :3]
    shift = (second[..., :3] @ first[..., 3:])[..., 0] + second[..., 3]
    return torch.cat([rotation, shift[..., None]], dim=-1)


def _inverse(motion: Tensor) -> Tensor:
    turned = motion[..., :3].mT
    return torch.cat([turned, -(turned @ motion[..., 3:])], dim=-1)


def _why_apart(when: dict[int, set[int]], names: Sequence[str]) -> str:
    """The groups of cameras that share no instant, and what to record."""
    groups: list[set[int]] = []
    for view, instants in when.items():
        touching = [group for group in groups if any(when[other] & instants for other in group)]
        groups = [group for group in groups if group not in touching]
        groups.append(set().union({view}, *touching))
    said = " | ".join(
        "{} ({})".format(
            listed(names[v] for v in group), ", ".join(f"{len(when[v])} pictures" for v in sorted(group))
        )
        for group in groups
    )
    return (
        f"the cameras fall into groups that never saw the board at the same instant: {said}. Nothing says how the "
        f"groups stand to each other. Record the board where a camera of one group and one of the other see it at "
        f"once (at least {LEAST_CORNERS} of its corners), or check that the videos are synchronised."
    )
