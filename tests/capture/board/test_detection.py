import cv2
import numpy as np
import pytest

from coview.capture.board.detection import better_boards, board_detector
from coview.formats.calibration.board import read_board

CHARUCO = read_board("charuco:6x5:0.05:0.0375:DICT_4X4_50")
CHECKER = read_board("checkerboard:8x5:0.06")
UNIT = 40  # pixels per square of a print


def printed(board):
    """The print, one square of margin; white outside."""
    if board.kind == "charuco":
        dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
        made = cv2.aruco.CharucoBoard((board.columns, board.rows), board.square, board.marker, dictionary)
        made.setLegacyPattern(board.legacy)
        inner = made.generateImage((board.columns * UNIT, board.rows * UNIT))
    else:
        y, x = np.mgrid[: board.rows, : board.columns]
        inner = np.kron(255 * ((x + y) % 2), np.ones((UNIT, UNIT))).astype(np.uint8)
    return np.pad(inner, UNIT, constant_values=255)


def picture(board, angle=0.0):
    """The print seen obliquely, turned by `angle` degrees; and where its inner corners are."""
    flat = printed(board)
    turn = np.vstack([cv2.getRotationMatrix2D((flat.shape[1] / 2, flat.shape[0] / 2), angle, 1.0), [0, 0, 1]])
    away = np.array([[1.0, 0.1, 130], [0.05, 0.95, 130], [2e-4, 3e-4, 1]]) @ turn
    shown = cv2.warpPerspective(flat, away, (640, 560), flags=cv2.INTER_AREA, borderValue=255)
    squares = board.corners[:, :2].numpy() / board.square
    at = (squares + 1) * UNIT - 0.5  # pixel centres are whole numbers
    return cv2.GaussianBlur(shown, (0, 0), 0.7), cv2.perspectiveTransform(at[None], away)[0]


@pytest.mark.parametrize("board", [CHARUCO, CHECKER], ids=["charuco", "checkerboard"])
@pytest.mark.parametrize("angle", [0.0, 100.0, 180.0, -80.0])
def test_corners_are_found_where_they_are_and_in_order(board, angle):
    shown, truth = picture(board, angle)
    found = board_detector(board)(shown)
    assert found is not None
    assert np.abs(found - truth).max() < 0.3


def test_hidden_corners_are_absent():
    shown, truth = picture(CHARUCO)
    shown[:, : int(truth[:, 0].min() + 30)] = 255
    found = board_detector(CHARUCO)(shown)
    hidden = np.isnan(found[:, 0])
    assert 0 < hidden.sum() < len(found)
    assert np.abs(found[~hidden] - truth[~hidden]).max() < 0.3


def test_an_empty_picture_has_no_board():
    empty = np.full((400, 500), 200, np.uint8)
    assert board_detector(CHARUCO)(empty) is None
    assert board_detector(CHECKER, thorough=True)(empty) is None


def test_the_usual_mistakes_are_named():
    shown, _ = picture(CHECKER)
    counted = read_board("checkerboard:7x4:0.06")  # inner corners
    assert "you counted inner corners" in better_boards(counted, [shown])
    shown, _ = picture(CHARUCO)
    turned = read_board("charuco:5x6:0.05:0.0375:DICT_4X4_50")
    assert "columns and rows are exchanged" in better_boards(turned, [shown])
    assert "`inverted`" in better_boards(CHARUCO, [255 - shown])


def test_an_unknown_dictionary_is_refused():
    with pytest.raises(ValueError, match=r"no marker dictionary DICT_9X9.*DICT_4X4_50"):
        board_detector(read_board("charuco:6x5:0.05:0.03:9X9"))
    with pytest.raises(ValueError, match=r"72 markers and DICT_4X4_50 only 50"):
        board_detector(read_board("charuco:12x12:0.05:0.03:DICT_4X4_50"))
