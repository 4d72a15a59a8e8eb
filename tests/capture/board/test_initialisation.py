import pytest
import torch

from coview.capture.board.initialisation import board_poses, initial_lens, initial_scene, spread_views
from coview.data.synthetic.board import BOARD, SIZE, waved_board
from coview.geometry.epipolar.view_graph import NotDeterminedError


def test_a_lens_to_begin_with():
    waved = waved_board(20)
    lens = initial_lens(waved.seen.where(waved.seen.view == 1), BOARD.corners, SIZE)
    assert float(lens[0]) == pytest.approx(760, rel=0.02)
    assert float(lens[4]) == pytest.approx(-0.25, abs=0.05)


def test_one_of_the_poses_of_a_plane_is_the_true_one():
    waved = waved_board(3)
    flat = waved.scene.cameras[0].normalise(waved.seen.pixels[0])
    poses = board_poses(flat, waved.seen.weights[0], BOARD.corners)
    off = (poses - waved.scene.boards[0]).flatten(1).norm(dim=-1)
    assert float(off.min()) < 1e-4
    assert len(board_poses(flat, torch.zeros(len(flat)).double(), BOARD.corners)) == 0


def test_cameras_stand_where_pairs_say():
    waved = waved_board(12, noise=0.3)
    found = initial_scene(waved.scene.cameras, waved.seen, BOARD.corners, 12, ("a", "b", "c"))
    torch.testing.assert_close(found.cameras.centres, waved.scene.cameras.centres, atol=0.03, rtol=0)
    torch.testing.assert_close(found.boards, waved.scene.boards, atol=0.1, rtol=0)


def test_groups_that_never_met_are_named():
    waved = waved_board(12)
    apart = waved.seen.where((waved.seen.view < 2) == (waved.seen.instant < 6))
    with pytest.raises(
        NotDeterminedError, match=r"a, b .6 pictures, 6 pictures. . c .6 pictures.*see it at once"
    ):
        initial_scene(waved.scene.cameras, apart, BOARD.corners, 12, ("a", "b", "c"))


def test_views_are_spread():
    waved = waved_board(30, clocks=(0.0,))
    doubled = torch.cat([waved.seen.pixels[:1]] * 20 + [waved.seen.pixels[1:]])
    chosen = spread_views(doubled, torch.ones(len(doubled), len(BOARD.corners)).double(), BOARD.corners, 10)
    assert int((chosen < 20).sum()) <= 1
    assert len(chosen) == 10


def test_one_picture_that_could_be_tilted_either_way_is_refused():
    waved = waved_board(1, clocks=(0.0, 0.0), tilt=0.0, noise=1.0)
    with pytest.raises(NotDeterminedError, match=r"a single picture.*tilted either way"):
        initial_scene(waved.scene.cameras, waved.seen, BOARD.corners, 1, ("a", "b"))
