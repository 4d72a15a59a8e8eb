import cv2
import numpy as np
import pytest

from coview.capture.board import observations as board_sightings
from coview.capture.board.observations import check_found, detect_boards, frames_to_look_at
from coview.capture.board.videos import Film
from coview.formats.calibration.board import read_board

BOARD = read_board("charuco:6x5:0.05:0.0375:DICT_4X4_50")


def film(folder, count=3):
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    shown = cv2.aruco.CharucoBoard((6, 5), 0.05, 0.0375, dictionary).generateImage((300, 250))
    for n in range(count):
        cv2.imwrite(str(folder / f"{n}.png"), np.pad(shown, 30 + n, constant_values=255)[:300, :350])
    return Film("left", tuple(folder / f"{n}.png" for n in range(count)))


def test_what_was_found_is_kept(tmp_path, monkeypatch):
    first = detect_boards(film(tmp_path), BOARD, 10, tmp_path / "kept")
    assert (first.size, first.fps, first.frames.tolist()) == ((350, 300), None, [0, 1, 2])
    np.testing.assert_allclose(np.nanmedian(first.corners[1] - first.corners[0]), 1.0, atol=0.1)
    monkeypatch.setattr(board_sightings, "board_detector", None)
    again = detect_boards(
        Film("left", tuple(tmp_path / f"{n}.png" for n in range(3))), BOARD, 10, tmp_path / "kept"
    )
    np.testing.assert_array_equal(again.corners, first.corners)


def test_pictures_of_two_sizes_are_refused(tmp_path):
    made = film(tmp_path)
    cv2.imwrite(str(made.files[1]), np.zeros((100, 100), np.uint8))
    with pytest.raises(ValueError, match=r"1.png has 100×100 pixels and others 350×300"):
        detect_boards(made, BOARD, 10, tmp_path / "kept")


def test_nothing_found_says_what_would_be(tmp_path):
    made = film(tmp_path)
    wrong = read_board("charuco:5x6:0.05:0.0375:DICT_4X4_50")
    seen = detect_boards(made, wrong, 10, tmp_path / "kept")
    with pytest.raises(ValueError, match=r"none of 3 frames.*But a charuco, 6×5 squares.*IS found in 3 of 3"):
        check_found(seen, made, wrong)


def test_frames_are_spread_and_paired_where_they_lie_far_apart():
    assert frames_to_look_at(10, 200, 30.0) == list(range(10))
    assert frames_to_look_at(600, 200, 30.0) == list(range(0, 600, 3))
    pairs = frames_to_look_at(9000, 200, 30.0)
    assert pairs[:4] == [0, 3, 90, 93]
    assert len(pairs) == 200
