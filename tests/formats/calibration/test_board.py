import pytest
import torch

from coview.formats.calibration.board import Board, read_board


def test_a_board_from_text():
    board = read_board("charuco:7x5:0.04:0.03:4x4_50:legacy")
    assert board == Board("charuco", 7, 5, 0.04, 0.03, "DICT_4X4_50", legacy=True)
    assert read_board("checkerboard:8x5:0.06") == Board("checkerboard", 8, 5, 0.06)
    assert "8×5 squares (7×4 inner corners) of 60 mm" in str(read_board("checkerboard:8x5:0.06"))


def test_corners_are_metres_row_by_row_from_the_boards_corner():
    corners = read_board("checkerboard:4x3:0.05").corners
    expected = torch.tensor([[1, 1, 0], [2, 1, 0], [3, 1, 0], [1, 2, 0], [2, 2, 0], [3, 2, 0]])
    torch.testing.assert_close(corners, 0.05 * expected.double())


def test_corners_are_those_of_opencv():
    import cv2

    board = read_board("charuco:4x5:0.054:0.0405:DICT_4X4_1000")
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    theirs = cv2.aruco.CharucoBoard((4, 5), 0.054, 0.0405, dictionary).getChessboardCorners()
    torch.testing.assert_close(board.corners.float(), torch.from_numpy(theirs))


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("charuco:7x5:40:30:DICT_4X4_50", r"squares of 40 m are no calibration board"),
        ("charuco:7x5:0.04:0.05:DICT_4X4_50", r"markers of 0.05 m do not fit"),
        ("charuco:7x5:0.04", r"no board can be read"),
        ("checkerboard:8x5:sixty", r"sixty"),
        ("checkerboard:2x5:nan", r"squares of nan|too few"),
        ("checkerboard:2x5:0.06", r"too few inner corners"),
        ("chess:8x5:0.06", r"count SQUARES, not inner corners; lengths are metres"),
    ],
)
def test_a_wrong_description_is_told_the_syntax(description, said):
    with pytest.raises(ValueError, match=said):
        read_board(description)


def test_which_boards_look_the_same_turned():
    assert read_board("checkerboard:8x6:0.06").is_symmetric
    assert not read_board("checkerboard:8x5:0.06").is_symmetric
    assert not read_board("charuco:8x6:0.06:0.04:DICT_4X4_50").is_symmetric


def test_toml_of_ours_and_of_caliscope(tmp_path):
    ours = tmp_path / "board.toml"
    ours.write_text('kind = "checkerboard"\ncolumns = 8\nrows = 5\nsquare = 0.06\n')
    assert read_board(str(ours)) == Board("checkerboard", 8, 5, 0.06)
    ours.write_text('kind = "checkerboard"\ncolumns = 8\nrows = 5\nsquare_mm = 60\n')
    with pytest.raises(ValueError, match=r"square_mm.*keys kind, columns"):
        read_board(str(ours))
    theirs = tmp_path / "charuco.toml"
    text = 'columns = 4\nrows = 5\ndictionary = "DICT_4X4_1000"\naruco_scale = 0.75\ninverted = true\n'
    theirs.write_text(text + "square_size_override_cm = 5.4\n")
    board = read_board(str(theirs))
    assert (board.square, board.inverted) == (pytest.approx(0.054), True)
    assert board.marker == pytest.approx(0.0405)
    theirs.write_text(text)
    with pytest.raises(ValueError, match=r"nobody measured the printed squares"):
        read_board(str(theirs))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'kind = "checkerboard"\ncolumns = "8"\nrows = 5\nsquare = 0.06',
            r"board.toml: columns = '8' should be",
        ),
        (
            "columns = 4\naruco_scale = 0.75\nsquare_size_override_cm = 5.4",
            r"board.toml: .*'rows' is missing",
        ),
        (
            'columns = 4\nrows = 5\naruco_scale = "x"\nsquare_size_override_cm = 5.4',
            r"board.toml: .*cannot be read",
        ),
    ],
)
def test_a_damaged_board_file_is_named(tmp_path, text, said):
    (tmp_path / "board.toml").write_text(text)
    with pytest.raises(ValueError, match=said):
        read_board(str(tmp_path / "board.toml"))
