"""Detection of the board in videos and pictures; results are kept, so that a stopped run goes on."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from coview.capture.board.detection import LEAST_CORNERS, better_boards, board_detector
from coview.capture.board.videos import Film
from coview.errors import InputError
from coview.formats.calibration.board import Board
from coview.formats.io.atomic import replacing
from coview.formats.io.damage import reader
from coview.formats.io.video import probe, read_frames
from coview.progress import progress

# seconds between frames up to which the board's motion can be told
LONGEST_GAP = 0.35
# seconds between the two frames of a pair
_PAIR = 0.1
# pictures in which other descriptions of the board are tried
_TRIED = 12
# version of the detection; raised when kept results are no longer what would be found
_VERSION = 1


@dataclass(frozen=True)
class BoardDetections:
    """Detections of the board by one camera."""

    # name of the camera
    camera: str
    # width and height, pixels
    size: tuple[int, int]
    # frames per second; None: pictures
    fps: float | None
    # number of frames there are
    count: int
    # number of frames examined
    examined: int
    # numbers of the frames with a board, ascending
    frames: np.ndarray
    # (frames, corners, 2) pixels, NaN where hidden
    corners: np.ndarray


def detect_boards(film: Film, board: Board, most: int, folder: Path) -> BoardDetections:
    """Detect the board in evenly spread frames; the result is kept, so that a stopped run goes on.

    Args:
        film: Video or pictures of one camera.
        board: The board.
        most: Frames to examine at most.
        folder: Where results are kept, under the camera's name.

    Returns:
        The detections.

    Raises:
        InputError: Naming the camera whose pictures differ in size or cannot be read.
    """
    key = _key(film, board, most)
    kept = folder / f"{film.camera}-{key}.npz"
    if kept.is_file():
        return _read(kept, film.camera)
    seen = _examined(film, board, most)
    with replacing(kept) as temporary:
        np.savez_compressed(
            temporary,
            size=np.array(seen.size),
            fps=np.array(np.nan if seen.fps is None else seen.fps),
            counts=np.array([seen.count, seen.examined]),
            frames=seen.frames,
            corners=seen.corners,
        )
    return seen


def check_found(seen: BoardDetections, film: Film, board: Board) -> None:
    """Check that the board was found at all.

    Args:
        seen: Detections of one camera.
        film: Its video or pictures, in which corrected descriptions of the board are tried.
        board: The board.

    Raises:
        InputError: Where it was not, with the description under which it would be found.
    """
    if len(seen.frames):
        return
    if film.is_video:
        few = np.linspace(0, seen.count - 1, min(seen.count, 4 * _TRIED)).round().astype(int)
        pictures = [picture for _, picture in _grey(film, few.tolist())]
    else:
        pictures = [picture for _, picture in _grey(film, list(range(min(len(film.files), _TRIED))))]
    raise InputError(
        f"camera '{film.camera}': the board was found in none of {seen.examined} frames of {film.files[0]}. Looked "
        f"for: {board}.{better_boards(board, pictures)} Check the description, the light, and that at least "
        f"{LEAST_CORNERS} corners (of a checkerboard: all) are in the picture and sharp."
    )


def frames_to_look_at(count: int, most: int, fps: float | None) -> list[int]:
    """Choose frames evenly, in pairs where the gaps are too long to tell how the board moved.

    Args:
        count: Number of frames.
        most: Frames to choose at most.
        fps: Frames per second; None: pictures.

    Returns:
        Frame numbers, ascending.
    """
    step = -(-count // most)
    if fps is None or step == 1 or step / fps <= LONGEST_GAP:
        return list(range(0, count, step))
    apart = max(1, round(_PAIR * fps))
    starts = range(0, count - apart, -(-2 * count // most))
    return sorted({frame for start in starts for frame in (start, start + apart)})


# --- parts ---------------------------------------------------------------------------------------


def _examined(film: Film, board: Board, most: int) -> BoardDetections:
    detect = board_detector(board, thorough=not film.is_video)
    info = probe(film.files[0]) if film.is_video else None
    count = len(film.files) if info is None else info.frames
    wanted = frames_to_look_at(count, most, None if info is None else info.fps)
    size, frames, corners = None, [], []
    for number, picture in progress(_grey(film, wanted), total=len(wanted), what=f"board in {film.camera}"):
        shape = (picture.shape[1], picture.shape[0])
        if size not in (None, shape):
            raise InputError(
                f"camera '{film.camera}': {film.files[number].name} has {shape[0]}×{shape[1]} pixels and others "
                f"{size[0]}×{size[1]}. One lens calibration needs pictures of one size."
            )
        size = shape
        there = detect(picture)
        if there is not None:
            frames.append(number)
            corners.append(there)
    if size is None:
        raise InputError(f"camera '{film.camera}': {film.files[0]} holds no frame that can be read.")
    stacked = np.stack(corners) if corners else np.zeros((0, len(board.corners), 2))
    numbers = np.array(frames, dtype=np.int64)
    return BoardDetections(
        film.camera, size, None if info is None else info.fps, count, len(wanted), numbers, stacked
    )


def _grey(film: Film, frames: list[int]) -> Iterator[tuple[int, np.ndarray]]:
    if film.is_video:
        for number, picture in read_frames(film.files[0], frames):
            yield number, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        return
    for number in frames:
        loaded = cv2.imread(str(film.files[number]), cv2.IMREAD_GRAYSCALE)
        if loaded is None:
            raise InputError(f"camera '{film.camera}': {film.files[number]} is not a readable picture.")
        yield number, loaded


def _key(film: Film, board: Board, most: int) -> str:
    """Hash of the files, the board and the number of frames."""
    told = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in film.files]
    return hashlib.sha256(repr((_VERSION, board, most, told)).encode()).hexdigest()[:12]


@reader("corners of a board")
def _read(path: Path, camera: str) -> BoardDetections:
    with np.load(path, allow_pickle=False) as kept:
        fps = float(kept["fps"])
        width, height = kept["size"].tolist()
        count, examined = kept["counts"].tolist()
        return BoardDetections(
            camera,
            (width, height),
            None if np.isnan(fps) else fps,
            count,
            examined,
            kept["frames"],
            kept["corners"],
        )
