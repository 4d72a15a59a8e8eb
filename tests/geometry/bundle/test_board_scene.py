import torch

from coview.data.synthetic.board import waved_board
from coview.geometry.bundle.board_scene import COLUMNS, LENS, board_rates, columns, moved_boards


def test_rates_are_how_the_board_moves():
    waved = waved_board(200)
    rates = board_rates(waved.scene.boards, waved.times, 0.35)
    later = moved_boards(waved.scene.boards, 0.1 * rates)  # a period on
    torch.testing.assert_close(later[1:-1], waved.scene.boards[2:], atol=4e-3, rtol=0)


def test_an_instant_without_neighbours_has_no_rate():
    waved = waved_board(5)
    times = torch.tensor([0.0, 0.1, 5.0, torch.nan, torch.nan]).double()
    rates = board_rates(waved.scene.boards, times, 0.35)
    assert bool((rates[2:] == 0).all())
    assert bool((rates[:2] != 0).all())


def test_a_step_moves_what_its_column_names():
    waved = waved_board(3)
    for place, name in enumerate(LENS):
        step = torch.zeros(3, COLUMNS).double()
        step[1, 6 + place] = 0.01
        change = columns(waved.scene.moved(step)) - columns(waved.scene)
        torch.testing.assert_close(change, step, msg=f"column {name}")
