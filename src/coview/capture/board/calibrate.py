"""Stage: calibration of cameras from a board that they filmed, ChArUco or checkerboard."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from coview.cameras import Cameras
from coview.capture.association.stage import update_people
from coview.capture.board.initialisation import LEAST_CORNERS
from coview.capture.board.observations import BoardDetections, check_found, detect_boards
from coview.capture.board.results import (
    board_clocks,
    board_provenance,
    board_remarks,
    board_world,
    camera_fit,
    focal_sigmas,
)
from coview.capture.board.solve import (
    BoardRecording,
    BoardSolution,
    distance_errors,
    solve_boards,
    solve_intrinsics,
)
from coview.capture.board.videos import Film, board_folders, films_of, find_films, instants
from coview.capture.calibration.assess import Calibrated
from coview.capture.calibration.install import install_calibration, with_notes
from coview.capture.judgement.of_session import judge_session, judged
from coview.errors import InputError
from coview.formats.calibration.board import Board, read_board
from coview.formats.calibration.calibration import (
    Calibration,
    calibration_for,
    read_calibration,
    write_calibration,
)
from coview.formats.calibration.fit_size import SizeMismatch
from coview.formats.session.lock import one_at_a_time
from coview.formats.session.session import BOARD_FOLDER, CALIBRATION_FILE, INTRINSICS_FILE, Session
from coview.geometry.bundle.board_scene import BoardObservations

# relative difference of frame rates beyond which frame n of two videos is not one instant
_RATES_DIFFER = 0.01


@one_at_a_time
def calibrate_from_board(
    session: Session | Path,
    board: str,
    *,
    videos: Path | None = None,
    intrinsics_videos: Path | None = None,
    intrinsics: Path | None = None,
    origin_frame: int | None = None,
    board_frames: int = 200,
    size_mismatch: SizeMismatch = "keep",
) -> Calibrated:
    """Calibrate cameras from a ChArUco board or a checkerboard that they filmed: intrinsics, poses and time offsets.

    The world is metric, by the size of the squares; its z axis points up from the board that lies on the floor in frame
    `origin_frame`, or else is the first camera's own up.

    Args:
        session: A session, or, before there is one, the folder to write to: then the cameras are those filmed.
        board: Description of the board (`formats.calibration.board.read_board` reads it).
        videos: Folder with what the cameras filmed of the board at once; default: the session's videos. A Caliscope or
            Pose2Sim project also holds those for the intrinsics.
        intrinsics_videos: Folder with more videos or pictures of each camera alone. Without `videos` and a session's
            own, only the intrinsics are estimated.
        intrinsics: File with the intrinsics, which then are not estimated.
        origin_frame: Frame in which the board lies on the floor.
        board_frames: Frames per camera in which the board is searched, evenly spread.
        size_mismatch: What to do where the images of `intrinsics` differ from those filmed by a crop.

    Returns:
        The calibration written, and how well it explains the corners.

    Raises:
        NotDeterminedError: Where the views of the board do not determine the cameras, with what to record.
        InputError: For settings and recordings that cannot be used.
        MissingFileError: Where a folder or video is missing.
    """
    if board_frames < 1:
        raise InputError(
            f"--board-frames {board_frames}: at least one frame of each camera must be examined."
        )
    if origin_frame is not None and origin_frame < 0:
        raise InputError(f"--origin-frame {origin_frame}: frames are counted from 0.")
    printed = read_board(board)
    existing = session if isinstance(session, Session) else None
    path = session if isinstance(session, Path) else session.path
    if existing is None and videos is intrinsics_videos is None:
        # the videos must be those of a session: loading raises where there is none
        existing = Session.load(path)
    films, alone, where = _films(path, existing, videos, intrinsics_videos)
    folder = path / BOARD_FOLDER
    seen = {name: _detect(film, printed, board_frames, folder / "together") for name, film in films.items()}
    more = {name: _detect(film, printed, board_frames, folder / "alone") for name, film in alone.items()}
    if not films:
        return _intrinsics_only(path / INTRINSICS_FILE, printed, more)
    names = tuple(films)
    if printed.is_symmetric and len(names) > 1:
        raise InputError(
            f"a {printed} looks the same when turned by half a turn (a square one by a quarter), so two cameras cannot "
            f"tell its corners apart. Use a board with an even and an odd count of squares, or a ChArUco board."
        )
    recording, numbers, fps = board_recording(printed, names, seen, more, where)
    given = _given(intrinsics, recording, size_mismatch)
    solution = solve_boards(recording, None if given is None else given.cameras.to(torch.float64))
    return _finished(path, existing, solution, numbers, fps, origin_frame, given, videos is None)


# --- what was filmed -------------------------------------------------------------------------------


def _films(
    path: Path, session: Session | None, videos: Path | None, intrinsics_videos: Path | None
) -> tuple[dict[str, Film], dict[str, Film], Path]:
    """Films of the cameras at once and of each alone, by the session's names; and the folder of the first."""
    alone = intrinsics_videos
    shared: dict[str, Film] = {}
    where = path
    if videos is not None:
        where, found = board_folders(Path(videos))
        alone = intrinsics_videos or found
        shared = find_films(where)
    elif intrinsics_videos is None:
        assert session is not None
        shared = {c.name: Film(c.name, (c.video,)) for c in session.cameras if c.video is not None}
        if not shared:
            raise InputError(
                f"session {path} has no videos. Say where those of the board are: --videos FOLDER."
            )
    single = find_films(Path(alone)) if alone is not None else {}
    names = session.camera_names if session is not None else tuple(shared or single)
    shared = films_of(shared, names, where) if shared else {}
    missing = [name for name in names if shared and name not in shared]
    if missing:
        raise InputError(
            f"{where} has no video or picture of camera {', '.join(missing)}; each must see the board."
        )
    return shared, films_of(single, names, Path(alone or path)) if single else {}, where


def _detect(film: Film, board: Board, most: int, folder: Path) -> BoardDetections:
    seen = detect_boards(film, board, most, folder)
    check_found(seen, film, board)
    return seen


def board_recording(
    board: Board,
    names: tuple[str, ...],
    seen: dict[str, BoardDetections],
    more: dict[str, BoardDetections],
    where: Path,
) -> tuple[BoardRecording, list[int], float | None]:
    """Collect the detections of all cameras by instant.

    Args:
        board: The board.
        names: Names of the cameras.
        seen: Per camera: detections that all cameras filmed at once.
        more: Per camera: detections that it filmed alone.
        where: Folder of the first; a `timestamps.csv` in it says which frames are of one instant.

    Returns:
        The recording, with instants counted from 0; the frame number of each instant (-1: a camera alone); frames per
        second, None for pictures.

    Raises:
        InputError: Where frame rates differ and nothing says which frames are of one instant, or where image sizes
            differ.
    """
    rates = [one.fps for one in seen.values()]
    fps = rates[0]
    said = instants(where, names, [seen[name].count for name in names])
    if said is None and any(
        (a is None) != (fps is None) or (a and fps and abs(a / fps - 1) > _RATES_DIFFER) for a in rates
    ):
        shown = ", ".join(f"{name} {one.fps or 'pictures'}" for name, one in seen.items())
        raise InputError(
            f"frame n is not the same instant in all videos: their rates are {shown} per second. Convert them to one "
            f"rate, or put a timestamps.csv (cam_id, frame_time) beside them."
        )
    # view, frame number of the instant, corners
    rows: list[tuple[int, int, np.ndarray]] = []
    for view, name in enumerate(names):
        for frame, corners in zip(seen[name].frames.tolist(), seen[name].corners, strict=True):
            instant = frame if said is None else said[view].get(frame)
            if instant is not None:
                rows.append((view, instant, corners))
    numbers = sorted({instant for _, instant, _ in rows})
    place = {number: index for index, number in enumerate(numbers)}
    rows = [(view, place[instant], corners) for view, instant, corners in rows]
    for view, name in enumerate(names):
        if name in more:
            _check_same_size(name, seen[name], more[name])
            for corners in more[name].corners:
                rows.append((view, len(numbers), corners))
                numbers.append(-1)
    times = torch.tensor([n / fps if fps and n >= 0 else np.nan for n in numbers], dtype=torch.float64)
    sizes = tuple(seen[name].size for name in names)
    return BoardRecording(names, sizes, board, _sightings(rows, board), times), numbers, fps


def _sightings(rows: list[tuple[int, int, np.ndarray]], board: Board) -> BoardObservations:
    """Detections with enough corners that do not lie on one line."""
    pixels = torch.from_numpy(np.stack([corners for _, _, corners in rows])).double()
    weights = pixels.isfinite().all(dim=-1).double()
    flat = board.corners[:, :2]
    middle = (weights @ flat) / weights.sum(dim=-1, keepdim=True).clamp(min=1)
    centred = (flat - middle[:, None]) * weights[..., None]
    wide = torch.linalg.svdvals(centred)[:, 1] > 0.1 * board.square
    usable = wide & (weights.sum(dim=-1) >= LEAST_CORNERS)
    every = BoardObservations(
        torch.tensor([view for view, _, _ in rows]),
        torch.tensor([instant for _, instant, _ in rows]),
        torch.nan_to_num(pixels),
        weights,
    )
    return every.where(usable)


def _check_same_size(name: str, shared: BoardDetections, alone: BoardDetections) -> None:
    if shared.size != alone.size:
        raise InputError(
            f"camera '{name}': its lens was filmed at {alone.size[0]}×{alone.size[1]} pixels and the board with the "
            f"other cameras at {shared.size[0]}×{shared.size[1]}. Calibrate the intrinsics first "
            f"(--intrinsics-videos without --videos), then give the result with --intrinsics: it is fitted to the "
            f"other size where that is possible."
        )


def _given(file: Path | None, recording: BoardRecording, size_mismatch: SizeMismatch) -> Calibration | None:
    if file is None:
        return None
    read = read_calibration(file, units="m").without_extrinsics()
    return calibration_for(read, recording.names, recording.sizes, size_mismatch=size_mismatch)


# --- results ---------------------------------------------------------------------------------------


def _finished(
    path: Path,
    session: Session | None,
    solution: BoardSolution,
    numbers: list[int],
    fps: float | None,
    origin_frame: int | None,
    given: Calibration | None,
    own_videos: bool,
) -> Calibrated:
    recording, adjusted = solution.recording, solution.adjusted
    names = recording.names
    world, vertical = board_world(solution, numbers, origin_frame)
    clocks, time_notes = board_clocks(solution)
    centre = adjusted.centre_covariance.diagonal(dim1=1, dim2=2).sum(-1).sqrt().tolist()
    rotation = adjusted.covariance[:, :3, :3].diagonal(dim1=1, dim2=2).sum(-1).sqrt().tolist()
    provenance = board_provenance(solution, given is None) | {"gravity": vertical}
    if len(names) > 1:
        errors = distance_errors(solution.cameras, adjusted.scene.clocks, recording)
        provenance["distances"] = (
            f"{1000 * float(errors.square().mean().sqrt()):.2f} mm RMS off the print, {len(errors)} between "
            f"triangulated corners"
        )
    calibration = Calibration(
        names,
        solution.cameras.moved(world),
        provenance,
        dict(zip(names, zip(centre, rotation, strict=True), strict=True)),
        notes=(() if given is None else given.notes) + time_notes + board_remarks(solution, origin_frame),
        clocks=clocks if own_videos else {},
        focal_sigma=focal_sigmas(solution) if given is None else given.focal_sigma,
    )
    target = path / CALIBRATION_FILE
    judgement = None
    if session is not None:
        calibration = calibration_for(calibration, session.camera_names, session.sizes)
        # said, never refused: the board is the better witness, and the people may be of a take that is out of step
        people = update_people(session, calibration)
        judgement = judge_session(session, calibration, people=1 if people is None else people.count)
        calibration = install_calibration(session, judged(calibration, judgement))
    else:
        write_calibration(with_notes(calibration), target)
    fits = tuple(camera_fit(solution, v, centre[v]) for v in range(len(names)))
    return Calibrated(target, calibration, fits, judgement=judgement)


def _intrinsics_only(target: Path, board: Board, seen: dict[str, BoardDetections]) -> Calibrated:
    """Calibrate every camera by itself; for `--intrinsics` of `calibrate people` or `board`."""
    fits, cameras = [], []
    provenance: dict[str, str] = {}
    sigma: dict[str, float] = {}
    for name, one in seen.items():
        rows = [(0, number, corners) for number, corners in enumerate(one.corners)]
        times = torch.full((len(rows),), torch.nan, dtype=torch.float64)
        found = solve_intrinsics(
            BoardRecording((name,), (one.size,), board, _sightings(rows, board), times), 0
        )
        unknown = torch.full_like(found.cameras.cam_from_world, torch.nan)
        cameras.append(replace(found.cameras, cam_from_world=unknown)[0])
        fits.append(camera_fit(found, 0, float("nan")))
        provenance |= board_provenance(found, True)
        sigma |= focal_sigmas(found)
    note = (
        "only intrinsics were found: the board was not filmed by several cameras at once. Place the cameras with "
        f"`coview calibrate people SESSION --intrinsics {target}`."
    )
    made = Calibration(tuple(seen), Cameras.stack(cameras), provenance, notes=(note,), focal_sigma=sigma)
    write_calibration(with_notes(made), target)
    return Calibrated(target, made, tuple(fits))
