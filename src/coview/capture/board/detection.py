"""Detection of the inner corners of a board in one picture, always in the same order."""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from coview.errors import InputError
from coview.formats.calibration.board import Board

# corners in one picture below which the board's pose is not determined
LEAST_CORNERS = 6
# pixels: larger pictures are searched for a checkerboard at half the size first
_SHORT_SIDE = 700
_CLASSIC = cv2.CALIB_CB_ADAPTIVE_THRESH | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_FAST_CHECK
_SECTORS = cv2.CALIB_CB_ACCURACY | cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE

Picture = UInt8[np.ndarray, "height width"]
Corners = Float[np.ndarray, "corners 2"]
Detector = Callable[[Picture], Corners | None]


def board_detector(board: Board, *, thorough: bool = False) -> Detector:
    """Make a function that finds the corners of a board in a grey picture.

    Args:
        board: The board to look for.
        thorough: Try a slow detector where the fast one finds no checkerboard: for pictures, not for videos.

    Returns:
        From picture to the board's corners in pixels, NaN where one is hidden; None where there is no board.

    Raises:
        InputError: For an unknown marker dictionary, or one with too few markers.
    """
    if board.kind == "checkerboard":
        return lambda picture: _checkerboard(_as_printed(picture, board), board, thorough)
    detector = cv2.aruco.CharucoDetector(_charuco(board))
    return lambda picture: _charuco_corners(_as_printed(picture, board), detector, len(board.corners))


def better_boards(board: Board, pictures: list[Picture]) -> str:
    """Find out whether the description of a board is wrong in one of the usual ways.

    Args:
        board: The board as described.
        pictures: Grey pictures of it.

    Returns:
        What is found with the correction, in words; "" if nothing is.
    """
    for other, mistake in _usual_mistakes(board):
        try:
            detector = board_detector(other)
        except ValueError:
            continue
        found = sum(detector(picture) is not None for picture in pictures)
        if found:
            return f" But a {other} IS found in {found} of {len(pictures)} pictures: {mistake}."
    return ""


def _as_printed(picture: Picture, board: Board) -> Picture:
    return 255 - picture if board.inverted else picture


# --- ChArUco -------------------------------------------------------------------------------------


def _charuco(board: Board) -> "cv2.aruco.CharucoBoard":
    assert board.marker is not None
    code = getattr(cv2.aruco, board.dictionary or "", None)
    if code is None:
        dictionaries = ", ".join(sorted(name for name in dir(cv2.aruco) if name.startswith("DICT_")))
        raise InputError(f"OpenCV knows no marker dictionary {board.dictionary}. Known: {dictionaries}.")
    dictionary = cv2.aruco.getPredefinedDictionary(code)
    markers, available = board.columns * board.rows // 2, len(dictionary.bytesList)
    if markers > available:
        raise InputError(
            f"a board of {board.columns}×{board.rows} squares has {markers} markers and {board.dictionary} "
            f"only {available}: it was printed from another dictionary."
        )
    made = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square, board.marker, dictionary)
    made.setLegacyPattern(board.legacy)
    return made


def _charuco_corners(picture: Picture, detector: "cv2.aruco.CharucoDetector", count: int) -> Corners | None:
    found, numbers, _, _ = detector.detectBoard(picture)
    if numbers is None or len(numbers) < LEAST_CORNERS:
        return None
    corners = np.full((count, 2), np.nan)
    corners[numbers.ravel()] = found.reshape(-1, 2)
    return corners


# --- checkerboard --------------------------------------------------------------------------------


def _checkerboard(picture: Picture, board: Board, thorough: bool) -> Corners | None:
    """All inner corners or None; refined to subpixels in the full picture."""
    half = min(picture.shape) > _SHORT_SIDE
    scale = 2 if half else 1
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) if half else picture
    found, corners = cv2.findChessboardCorners(small, board.shape, flags=_CLASSIC)
    if found:
        # pixel (0, 0) is the centre of the first pixel
        corners = (corners + 0.5) * scale - 0.5
    elif thorough:
        found, corners = cv2.findChessboardCornersSB(picture, board.shape, flags=_SECTORS)
    if not found:
        return None
    grid = corners.reshape(board.shape[1], board.shape[0], 2)
    reach = int(np.clip(_least_gap(grid) / 3, 2, 11))
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_COUNT, 50, 1e-3)
    refined = cv2.cornerSubPix(
        picture, np.ascontiguousarray(grid.reshape(-1, 1, 2), np.float32), (reach, reach), (-1, -1), stop
    )
    return _canonical(refined.reshape(grid.shape).astype(np.float64), picture).reshape(-1, 2)


def _least_gap(grid: np.ndarray) -> float:
    """Least distance of neighbouring corners, pixels."""
    return min(float(np.linalg.norm(np.diff(grid, axis=axis), axis=-1).min()) for axis in (0, 1))


def _canonical(grid: np.ndarray, picture: Picture) -> np.ndarray:
    """Order the corners by columns to the right and rows down, starting beside the corner whose square is black.

    Detectors start at any end. A board is never seen from behind, so a left-handed order is a mirrored one.
    """
    along, down = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
    if along[0] * down[1] - along[1] * down[0] < 0:
        grid = grid[:, ::-1]
    inner, beside = _brightness(grid[:2, :2], picture), _brightness(grid[:2, 1:3], picture)
    # compare the square inside the first corner with its neighbour
    return grid if inner < beside else grid[::-1, ::-1]


def _brightness(square: np.ndarray, picture: Picture) -> float:
    """Mean brightness of the middle of a square with these four corners."""
    x, y = square.reshape(4, 2).mean(axis=0)
    reach = max(1, round(_least_gap(square) / 5))
    top, left = max(0, round(y) - reach), max(0, round(x) - reach)
    return float(picture[top : round(y) + reach + 1, left : round(x) + reach + 1].mean())


# --- mistakes ------------------------------------------------------------------------------------


def _usual_mistakes(board: Board) -> list[tuple[Board, str]]:
    from dataclasses import replace

    turned = replace(board, columns=board.rows, rows=board.columns)
    inverted = replace(board, inverted=not board.inverted)
    mistakes = [(inverted, "add or remove `inverted`")]
    if board.kind == "charuco":
        legacy = replace(board, legacy=not board.legacy)
        return [
            (turned, "columns and rows are exchanged"),
            (legacy, "add or remove `legacy`"),
            *mistakes,
            (replace(inverted, columns=board.rows, rows=board.columns), "two things are exchanged"),
        ]
    counted = replace(board, columns=board.columns + 1, rows=board.rows + 1)
    return [(counted, "you counted inner corners; columns and rows count squares"), *mistakes]
