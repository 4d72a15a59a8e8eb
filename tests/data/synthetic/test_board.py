import torch

from coview.data.synthetic.board import BOARD, SIZE, waved_board


def test_every_corner_is_in_the_picture_of_every_camera():
    waved = waved_board(60)
    assert len(waved.seen) == 180
    assert bool((waved.seen.pixels >= 0).all() and (waved.seen.pixels < torch.tensor(SIZE)).all())


def test_the_truth_explains_the_pixels():
    waved = waved_board(5)
    boards = waved.scene.boards[waved.seen.instant]
    points = BOARD.corners @ boards[..., :3].mT + boards[:, None, :, 3]
    torch.testing.assert_close(waved.scene.cameras[waved.seen.view].project(points), waved.seen.pixels)


def test_a_late_camera_shows_the_board_later():
    late, on_time = (
        waved_board(20, clocks=(0.0, 0.1)).seen.pixels[20:],
        waved_board(20, clocks=(0.0, 0.0)).seen.pixels[20:],
    )
    torch.testing.assert_close(late[:-1], on_time[1:])
