"""Initialisation of bundle adjustment from detected corners: intrinsics, board poses, a tree of cameras."""

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

# corners in one picture below which its board has no pose
LEAST_CORNERS = 6
# views that initial intrinsics are estimated from
_LENS_VIEWS = 40
# ratio of reprojection errors above which the worse of two poses is wrong
_TELLS_APART = 1.5
# instants that the initial pose of a pair of cameras is estimated from
_INSTANTS = 30


def spread_views(
    pixels: Float[Tensor, "views corners 2"],
    weights: Float[Tensor, "views corners"],
    corners: Float[Tensor, "corners 3"],
    count: int,
) -> Int[Tensor, "chosen"]:
    """Choose views that differ most by farthest-point sampling of the affine maps from board to picture.

    Args:
        pixels: Corners in every view, pixels, NaN where hidden.
        weights: 1 for corners seen, else 0.
        corners: Corners on the board, metres.
        count: Views to choose at most.

    Returns:
        Indices of the chosen views, ascending.
    """
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


def initial_lens(
    seen: BoardObservations, corners: Float[Tensor, "corners 3"], size: tuple[int, int]
) -> Float[Tensor, "9"]:
    """Estimate the intrinsics of one camera from its views of the board, as a start of bundle adjustment [Zhang00].

    Square pixels; k1 and k2 alone.

    Args:
        seen: Detections of the camera.
        corners: Corners on the board, metres.
        size: Width and height of the image, pixels.

    Returns:
        fx, fy, cx, cy in pixels, then k1, k2, p1, p2, k3.
    """
    chosen = spread_views(seen.pixels, seen.weights, corners, _LENS_VIEWS)
    objects, images = [], []
    for place in chosen.tolist():
        inside = seen.weights[place] > 0
        objects.append(corners[inside].float().numpy())
        images.append(seen.pixels[place][inside].float().numpy()[:, None])
    longest = float(max(size))
    guess = cv2.initCameraMatrix2D(objects, images, size, 1.0)
    # boards nearly parallel to the picture give anything
    if not 0.3 * longest < guess[0, 0] < 5 * longest:
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
    """Find the poses of the board that explain one picture; a plane seen from afar has two [Collins14].

    Args:
        flat: Corners, undistorted, at depth one.
        weights: 1 for corners seen, else 0.
        corners: Corners on the board, metres.

    Returns:
        Camera-from-board, metres, the better one first; none where fewer than `LEAST_CORNERS` are seen.
    """
    inside = weights > 0
    if int(inside.sum()) < LEAST_CORNERS:
        return corners.new_zeros(0, 3, 4)
    places = flat[inside].numpy()[:, None]
    _, turns, shifts, _ = cv2.solvePnPGeneric(
        corners[inside].numpy(), places, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
    )
    poses = [np.concatenate([cv2.Rodrigues(r)[0], t], axis=1) for r, t in zip(turns, shifts, strict=True)]
    return torch.from_numpy(np.stack(poses)).double()


def initial_scene(
    intrinsics: Cameras,
    seen: BoardObservations,
    corners: Float[Tensor, "corners 3"],
    instants: int,
    names: Sequence[str],
) -> BoardScene:
    """Initialise the poses of cameras and boards: cameras along a tree of pairs that saw the board at once.

    Args:
        intrinsics: Cameras with intrinsics alone.
        seen: All detections.
        corners: Corners on the board, metres.
        instants: Number of instants.
        names: Names of the cameras.

    Returns:
        The scene in the first camera's frame, metres; clocks are zero.

    Raises:
        NotDeterminedError: Naming the groups of cameras that never saw the board at once.
    """
    flat = intrinsics[seen.view].normalise(torch.nan_to_num(seen.pixels))
    poses = [board_poses(*one, corners) for one in zip(flat, seen.weights, strict=True)]
    rows = {
        (int(view), int(instant)): place
        for place, (view, instant) in enumerate(zip(seen.view, seen.instant, strict=True))
        if len(poses[place])
    }
    placed = _tree(intrinsics, seen, poses, rows, corners, names)
    cameras = Cameras(
        intrinsics.intrinsics,
        torch.stack([placed[v] for v in range(len(names))]),
        intrinsics.size,
        intrinsics.distortion,
        intrinsics.fisheye,
    )
    return BoardScene(
        cameras,
        _boards(cameras, seen, poses, corners, instants),
        torch.zeros(len(names), dtype=torch.float64),
    )


# --- cameras ---------------------------------------------------------------------------------------


def _tree(
    intrinsics: Cameras,
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
        shared, placed_view, new = max(pairs)
        if shared == 0:
            raise NotDeterminedError(_why_apart(when, names))
        both = sorted(when[placed_view] & when[new])
        places = [(rows[placed_view, i], rows[new, i]) for i in both]
        if shared == 1:
            _check_tilt_seen(intrinsics, seen, poses, places[0], corners, names)
        relative = _relative(intrinsics, seen, poses, places, corners)
        placed[new] = _after(relative, placed[placed_view])
    return placed


def _relative(
    intrinsics: Cameras,
    seen: BoardObservations,
    poses: list[Tensor],
    places: list[tuple[int, int]],
    corners: Tensor,
) -> Float[Tensor, "3 4"]:
    """New-from-known camera: of the poses that single instants give, the one with the least median error over all of
    them.

    Each instant gives up to four, for each picture's board pose is one of two.
    """
    chosen = torch.linspace(0, len(places) - 1, min(len(places), _INSTANTS)).round().long()
    places = [places[i] for i in chosen.tolist()]
    said = [
        _after(to, _inverse(of))
        for placed_view, new in places
        for of in poses[placed_view]
        for to in poses[new]
    ]
    candidates = torch.stack(said)
    errors = []
    for placed_view, new in places:
        options = torch.stack(
            [
                _error(intrinsics[int(seen.view[new])], _after(candidates, of), seen, new, corners)
                + _error(intrinsics[int(seen.view[placed_view])], of, seen, placed_view, corners)
                for of in poses[placed_view]
            ]
        )
        errors.append(options.amin(dim=0))
    return candidates[int(torch.stack(errors).median(dim=0).values.argmin())]


def _check_tilt_seen(
    intrinsics: Cameras,
    seen: BoardObservations,
    poses: list[Tensor],
    places: tuple[int, int],
    corners: Tensor,
    names: Sequence[str],
) -> None:
    """NotDeterminedError where the only common picture fits a board tilted this way about as well as that way."""
    for place in places:
        view = int(seen.view[place])
        errors = _error(intrinsics[view], poses[place], seen, place, corners)
        if len(errors) > 1 and float(errors[1]) < _TELLS_APART * float(errors[0]):
            raise NotDeterminedError(
                f"the cameras share a single picture of the board, and from camera '{names[view]}' it could "
                f"be tilted either way ({float(errors[0]):.2f} or {float(errors[1]):.2f} px off). "
                f"Record it at several instants, or larger and more tilted."
            )


def _error(camera: Cameras, boards: Tensor, seen: BoardObservations, place: int, corners: Tensor) -> Tensor:
    """Mean reprojection error, pixels, of one detection for board poses in its camera's frame; 1e6 behind it."""
    points = corners @ boards[..., :3].mT + boards[..., None, :, 3]
    unposed = Cameras(
        camera.intrinsics,
        torch.eye(3, 4, dtype=torch.float64),
        camera.size,
        camera.distortion,
        camera.fisheye,
    )
    errors = (unposed.project(points) - seen.pixels[place]).norm(dim=-1)
    inside = seen.weights[place] > 0
    return torch.nan_to_num(errors[..., inside], nan=1e6).mean(dim=-1)


def _boards(
    cameras: Cameras, seen: BoardObservations, poses: list[Tensor], corners: Tensor, instants: int
) -> Float[Tensor, "instants 3 4"]:
    """World-from-board at every instant: the candidate with the least reprojection error over all cameras."""
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
