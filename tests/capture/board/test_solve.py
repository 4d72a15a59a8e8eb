from dataclasses import replace

import pytest
import torch

from coview.capture.board.solve import (
    BoardRecording,
    board_tilts,
    distance_errors,
    solve_boards,
    solve_intrinsics,
)
from coview.data.synthetic.board import BOARD, SIZE, waved_board
from coview.geometry.epipolar.view_graph import NotDeterminedError


def recording(waved, views=None):
    count = len(waved.scene.cameras) if views is None else views
    names = ("north", "east", "south")[:count]
    return BoardRecording(names, (SIZE,) * count, BOARD, waved.seen, waved.times)


@pytest.fixture(scope="module")
def shifted():
    """Two cameras, one of them 40 ms late, 0.2 px of noise; and the answer."""
    waved = waved_board(30, clocks=(0.0, 0.04), noise=0.2)
    return waved, recording(waved), solve_boards(recording(waved))


def test_lenses_places_and_clocks_together(shifted):
    waved, _, solution = shifted
    truth, sigma = waved.scene, solution.adjusted.column_sigma
    assert float(solution.adjusted.scene.clocks[1]) == pytest.approx(0.04, abs=0.002)
    off = (solution.cameras.centres - truth.cameras.centres).norm(dim=-1)
    assert off.max() < 0.01
    focal = (solution.cameras.focal[:, 0] / truth.cameras.focal[:, 0] - 1).abs()
    assert bool((focal < 4 * sigma[:, 6] + 1e-3).all())
    assert 0.1 < solution.adjusted.sigma < 0.3


def test_distances_are_read_at_one_time(shifted):
    _, made, solution = shifted
    right = distance_errors(solution.cameras, solution.adjusted.scene.clocks, made)
    wrong = distance_errors(solution.cameras, torch.zeros(2).double(), made)
    assert right.square().mean().sqrt() < 0.001
    assert wrong.square().mean() > 2 * right.square().mean()


def test_given_lenses_stay():
    waved = waved_board(8, noise=0.2)
    solution = solve_boards(recording(waved), waved.scene.cameras)
    torch.testing.assert_close(solution.cameras.intrinsics, waved.scene.cameras.intrinsics, atol=0, rtol=0)
    assert float((solution.cameras.centres - waved.scene.cameras.centres).norm(dim=-1).max()) < 0.004


def test_one_board_in_one_picture_places_cameras_with_given_lenses():
    waved = waved_board(1, noise=0.1)
    solution = solve_boards(recording(waved), waved.scene.cameras)
    assert float((solution.cameras.centres - waved.scene.cameras.centres).norm(dim=-1).max()) < 0.03
    assert bool(solution.adjusted.centre_covariance.isfinite().all())


def test_too_few_pictures():
    waved = waved_board(4)
    with pytest.raises(
        NotDeterminedError,
        match=r"camera 'north' saw the board in 4 pictures.*needs at least 6.*--intrinsics",
    ):
        solve_boards(recording(waved))


def test_one_angle_leaves_the_focal_unknown():
    waved = waved_board(12, clocks=(0.0,), tilt=0.0, noise=0.3)
    with pytest.raises(
        NotDeterminedError, match=r"focal length is not determined: camera 'north'.*tilted by 0 to"
    ):
        solve_boards(recording(waved))


def test_views_of_other_instants_are_refused():
    waved = waved_board(20, clocks=(0.0, 0.0))
    shuffled = replace(waved.seen, pixels=torch.cat([waved.seen.pixels[:20], waved.seen.pixels[20:].flip(0)]))
    with pytest.raises(NotDeterminedError, match=r"no cameras explain.*not synchronised"):
        solve_boards(replace(recording(waved), seen=shuffled), waved.scene.cameras)


def test_a_lens_alone():
    waved = waved_board(12, noise=0.1)
    solution = solve_intrinsics(recording(waved), 2)
    assert float(solution.cameras.focal[0, 0]) == pytest.approx(650, rel=0.01)
    assert float(board_tilts(solution, 0).max()) > 20
