"""Solving for intrinsics, cameras and clocks from detections of a board; refuses what these do not determine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from coview.cameras import Cameras
from coview.capture.board.initialisation import initial_lens, initial_scene
from coview.capture.board.observations import LONGEST_GAP
from coview.formats.calibration.board import Board
from coview.geometry.bundle.board_bundle import BoardsAdjusted, adjust_boards
from coview.geometry.bundle.board_scene import (
    COLUMNS,
    BoardObservations,
    BoardScene,
    BoardUnknowns,
    board_rates,
)
from coview.geometry.epipolar.view_graph import NotDeterminedError
from coview.geometry.triangulation.triangulate import triangulate

# views of the board below which the intrinsics of a camera are not estimated
LEAST_PICTURES = 6
# pixels: corners are detected to 0.1 to 0.3; those on a board that moved or is not flat are worse
_HUBER = 1.0
# rounds of adjustment, the motion of the board taken from the one before
_ROUNDS = 8
# pixels: standard deviation of a corner before it is estimated from the residuals
_FIRST_SIGMA = 0.3
# relative: beyond it a focal length is not determined
_MOST_FOCAL_SIGMA = 0.03
# of the image's diagonal: a median residual beyond it is no calibration
_MOST_RESIDUAL = 0.002
# Standard deviations of the priors on aspect ratio, principal point (share of the diagonal), k1 and k2, p1 and p2, k3
_ASPECT, _CENTRE, _RADIAL, _TANGENTIAL, _THIRD = 0.002, 0.03, 0.3, 0.003, 0.1
# seconds: standard deviation of the prior on a time offset
_CLOCK = 0.5


@dataclass(frozen=True)
class BoardRecording:
    """Detections of all cameras, ready to be solved."""

    # of the cameras
    names: tuple[str, ...]
    # width and height, pixels
    sizes: tuple[tuple[int, int], ...]
    # the board, with its corners in metres
    board: Board
    # detections by view and instant
    seen: BoardObservations
    # seconds; NaN for pictures, whose board did not move
    times: Float[Tensor, "instants"]


@dataclass(frozen=True)
class BoardSolution:
    """The solved cameras and boards, in the first camera's frame."""

    # the detections that were solved
    recording: BoardRecording
    # result of bundle adjustment, with covariances
    adjusted: BoardsAdjusted

    @property
    def cameras(self) -> Cameras:
        """The cameras, views; the world is the first camera's frame, metres."""
        return self.adjusted.scene.cameras

    def residuals(self, view: int) -> Float[Tensor, "seen"]:
        """Reprojection residuals of every corner that a camera saw.

        Args:
            view: Index of the camera.

        Returns:
            Pixels.
        """
        mine = self.adjusted.residuals[self.recording.seen.view == view]
        return mine[mine.isfinite()]


def solve_boards(recording: BoardRecording, given: Cameras | None = None) -> BoardSolution:
    """Solve for cameras, clocks and board poses by robust bundle adjustment.

    Args:
        recording: Detections of all cameras.
        given: Cameras whose intrinsics are kept; None: intrinsics are estimated too.

    Returns:
        The solution, with covariances.

    Raises:
        NotDeterminedError: Where the detections do not determine the cameras, or no cameras explain them; the message
            says what to record.
    """
    seen, names = recording.seen, recording.names
    _check_enough(recording, given is not None)
    intrinsics = _initial_intrinsics(recording) if given is None else given
    start = initial_scene(intrinsics, seen, recording.board.corners, len(recording.times), names)
    solution = BoardSolution(recording, _rounds(recording, start, given is None))
    _check_fits(solution)
    if given is None:
        _check_focal(solution)
    return solution


def solve_intrinsics(recording: BoardRecording, view: int) -> BoardSolution:
    """Solve for the intrinsics of one camera from its own views of the board.

    Args:
        recording: Detections of all cameras.
        view: Index of the camera.

    Returns:
        A solution of that camera alone.

    Raises:
        NotDeterminedError: As `solve_boards`.
    """
    mine = recording.seen.where(recording.seen.view == view)
    instants = torch.arange(len(mine))
    alone = replace(
        recording,
        names=recording.names[view : view + 1],
        sizes=recording.sizes[view : view + 1],
        seen=replace(mine, view=torch.zeros_like(mine.view), instant=instants),
        times=torch.full((len(mine),), torch.nan, dtype=torch.float64),
    )
    return solve_boards(alone)


# --- solving -----------------------------------------------------------------------------------------


def _initial_intrinsics(recording: BoardRecording) -> Cameras:
    """Initial intrinsics of all cameras; extrinsics NaN."""
    seen, corners = recording.seen, recording.board.corners
    rows = [initial_lens(seen.where(seen.view == v), corners, size) for v, size in enumerate(recording.sizes)]
    lens = torch.stack(rows)
    intrinsics = torch.eye(3, dtype=torch.float64).repeat(len(lens), 1, 1)
    intrinsics[:, 0, 0], intrinsics[:, 1, 1] = lens[:, 0], lens[:, 1]
    intrinsics[:, :2, 2] = lens[:, 2:4]
    unknown = torch.full((len(lens), 3, 4), torch.nan, dtype=torch.float64)
    return Cameras.make(intrinsics, unknown, torch.tensor(recording.sizes).double(), lens[:, 4:])


def _rounds(recording: BoardRecording, scene: BoardScene, free_lens: bool) -> BoardsAdjusted:
    """Adjust until the clocks converge: they show in how the board moves, which the round before estimates."""
    corners, sigma = recording.board.corners, _FIRST_SIGMA
    for count in range(_ROUNDS):
        rates = board_rates(scene.boards, recording.times, LONGEST_GAP)
        timed = count > 0 and bool(rates.any()) and len(recording.names) > 1
        unknowns = _unknowns(recording.sizes, free_lens, timed)
        done = adjust_boards(scene, corners, recording.seen, unknowns, rates, huber=_HUBER, pixel_sigma=sigma)
        shift = (done.scene.clocks - scene.clocks).abs()
        converged = bool((shift <= 0.1 * done.column_sigma[:, -1] + 1e-4).all())
        scene, sigma = done.scene, max(done.sigma, 0.02) if math.isfinite(done.sigma) else sigma
        if count > 0 and converged:
            break
    return done


def _unknowns(sizes: Sequence[tuple[int, int]], free_lens: bool, timed: bool) -> BoardUnknowns:
    """What is estimated, with Gaussian priors on the intrinsics as wide as real cameras vary.

    What the pictures do not determine stays usual instead of becoming absurd, and its standard deviation says so.
    """
    views = len(sizes)
    free = torch.ones(views, COLUMNS, dtype=torch.bool)
    free[:, 6:15], free[:, 15] = free_lens, timed
    free[0, :6], free[0, 15] = False, False
    usual = torch.zeros(views, COLUMNS, dtype=torch.float64)
    prior_sigma = torch.full_like(usual, torch.inf)
    size = torch.tensor(sizes).double()
    usual[:, 8:10] = (size - 1) / 2
    prior_sigma[:, 7] = _ASPECT
    prior_sigma[:, 8:10] = _CENTRE * size.norm(dim=-1, keepdim=True)
    prior_sigma[:, 10:15] = torch.tensor([_RADIAL, _RADIAL, _TANGENTIAL, _TANGENTIAL, _THIRD]).double()
    prior_sigma[:, 15] = _CLOCK
    return BoardUnknowns(free, usual, prior_sigma)


# --- the check that does not depend on the estimated board poses -----------------------------------------------------


def distance_errors(
    cameras: Cameras, clocks: Float[Tensor, "views"], recording: BoardRecording
) -> Float[Tensor, "errors"]:
    """Errors of distances between triangulated corners of one instant against the print.

    All pairs of corners that two or more cameras saw; they do not depend on the estimated board poses. Views of a
    camera with a time offset are interpolated linearly between its frames.

    Args:
        cameras: The cameras.
        clocks: Seconds that each camera's clock differs from the first's.
        recording: Detections of all cameras.

    Returns:
        Metres; empty where no corner can be triangulated.
    """
    pixels = _read_at_once(recording, clocks)
    weights = pixels.isfinite().all(dim=-1).double()
    points = triangulate(cameras, pixels, weights)
    printed = torch.cdist(recording.board.corners, recording.board.corners)
    first, second = torch.triu_indices(len(printed), len(printed), 1)
    errors = (points[:, first] - points[:, second]).norm(dim=-1) - printed[first, second]
    return errors[errors.isfinite()]


def _read_at_once(
    recording: BoardRecording, clocks: Float[Tensor, "views"]
) -> Float[Tensor, "instants views corners 2"]:
    """Raw pixels of every instant at the first camera's time; NaN where not seen."""
    seen, times = recording.seen, recording.times
    shape = (len(times), len(recording.names), len(recording.board.corners), 2)
    pixels = torch.full(shape, torch.nan, dtype=torch.float64)
    hidden = (seen.weights == 0)[..., None]
    pixels[seen.instant, seen.view] = torch.where(hidden, torch.nan, seen.pixels)
    for view, clock in enumerate(clocks.tolist()):
        if clock != 0:
            pixels[:, view] = _between(pixels[:, view], times, times - clock)
    return pixels


def _between(
    pixels: Float[Tensor, "instants corners 2"],
    times: Float[Tensor, "instants"],
    at: Float[Tensor, "instants"],
) -> Float[Tensor, "instants corners 2"]:
    """Linear interpolation between neighbouring instants; NaN where they are too far apart."""
    after = torch.searchsorted(times, at).clamp(1, len(times) - 1)
    gap = times[after] - times[after - 1]
    share = (at - times[after - 1]) / gap
    inside = (gap > 0) & (gap <= LONGEST_GAP) & (share >= 0) & (share <= 1)
    blended = torch.lerp(pixels[after - 1], pixels[after], share[:, None, None])
    return torch.where(inside[:, None, None], blended, torch.nan)


# --- refusals -----------------------------------------------------------------------------------------


def _check_enough(recording: BoardRecording, given: bool) -> None:
    least = 1 if given else LEAST_PICTURES
    for view, name in enumerate(recording.names):
        count = int((recording.seen.view == view).sum())
        if count < least:
            way = "" if given else ", or give the intrinsics with --intrinsics"
            raise NotDeterminedError(
                f"camera '{name}' saw the board in {count} pictures, and needs at least {least}. Record the board "
                f"in front of it, near and far, in every corner of the picture, tilted by 30 to 45° each way{way}."
            )


def _check_fits(solution: BoardSolution) -> None:
    recording = solution.recording
    medians = [float(solution.residuals(view).median()) for view in range(len(recording.names))]
    limits = [_MOST_RESIDUAL * math.hypot(*size) for size in recording.sizes]
    if bool(solution.adjusted.scene.cameras.cam_from_world.isfinite().all()) and all(
        median <= limit for median, limit in zip(medians, limits, strict=True)
    ):
        return
    said = ", ".join(f"{name} {median:.1f} px" for name, median in zip(recording.names, medians, strict=True))
    raise NotDeterminedError(
        f"no cameras explain what was seen of the board: median residuals {said} (at most {max(limits):.1f} px is a "
        f"calibration). Usual causes: videos that are not synchronised to within a frame or two (--frame n of all must "
        f"be one instant), given intrinsics of other cameras, a board that is not flat, another count of squares."
    )


def _check_focal(solution: BoardSolution) -> None:
    sigma = solution.adjusted.column_sigma[:, 6]
    bad = [view for view in range(len(sigma)) if not float(sigma[view]) <= _MOST_FOCAL_SIGMA]
    if not bad:
        return
    said = "; ".join(_why_unknown(solution, view, float(sigma[view])) for view in bad)
    raise NotDeterminedError(
        f"the focal length is not determined: {said}. A board that is always parallel to the picture looks the same "
        f"near with a short lens and far with a long one. Record it tilted by 30 to 45° to the left, right, up and "
        f"down, near and far, or give the intrinsics with --intrinsics."
    )


def _why_unknown(solution: BoardSolution, view: int, sigma: float) -> str:
    tilts = board_tilts(solution, view)
    precision = f"known to ±{sigma:.0%} only" if math.isfinite(sigma) else "anything fits"
    return (
        f"camera '{solution.recording.names[view]}' ({precision}; {len(tilts)} pictures, the board tilted by "
        f"{float(tilts.min()):.0f} to {float(tilts.max()):.0f}°)"
    )


def board_tilts(solution: BoardSolution, view: int) -> Float[Tensor, "pictures"]:
    """Angle between the board and the picture plane in every view of a camera.

    Args:
        solution: The solved cameras and boards.
        view: Index of the camera.

    Returns:
        Degrees, from 0 to 90.
    """
    seen, scene = solution.recording.seen, solution.adjusted.scene
    boards = scene.boards[seen.instant[seen.view == view], :, 2]
    towards = (boards @ scene.cameras.rotation[view, 2]).abs().clamp(max=1)
    return towards.acos().rad2deg()
